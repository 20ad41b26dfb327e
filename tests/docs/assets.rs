//! The man page and the completions know every option, and their readers
//! (the shells, groff) find no fault in them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proa::internals::{CODES, VARIABLES, command, variable};

#[path = "../../examples/assets/files.rs"]
mod files;

/// The file whose path ends like this.
#[track_caller]
fn asset(ending: &str) -> String {
    let found = files::all().unwrap().into_iter().find(|(path, _)| path.ends_with(ending));
    String::from_utf8(found.unwrap_or_else(|| panic!("no {ending}")).1).unwrap()
}

/// Runs a reader on a file and returns all that it says. None where it is not
/// installed, which is said, and is a failure where everything must be tried.
fn reader(program: &str, arguments: &[&str], content: &str) -> Option<String> {
    let name = format!("proa-asset-{}-{program}-{}", std::process::id(), content.len());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, content).unwrap();
    let read = Command::new(program).args(arguments).arg(&file).stdin(Stdio::null()).output();
    fs::remove_file(&file).unwrap();
    let Ok(read) = read else {
        let all = std::env::var_os("PROA_TEST_ALL").is_some_and(|value| value == "1");
        assert!(!all, "{program} must be here");
        eprintln!("not tried: {program} is not installed");
        return None;
    };
    let said = [read.stdout, read.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(read.status.success(), "{program}: {said}");
    Some(said)
}

#[test]
fn each_option_is_in_each_file() {
    let page = asset("man1/proa.1").replace("\\-", "-");
    let (bash, zsh, fish) = (asset("/completions/proa"), asset("_proa"), asset("proa.fish"));
    let mut options = 0;
    for argument in command().get_arguments() {
        let Some(long) = argument.get_long() else { continue };
        options += 1;
        assert!(page.contains(&format!("--{long}\\fR")), "--{long} is not in the man page");
        assert!(page.contains(&variable(argument).unwrap()), "--{long} has no variable in the man page");
        assert!(bash.split_whitespace().any(|word| word == format!("--{long}")), "bash: --{long}");
        let zsh_words = ["=[", "["].map(|next| format!("--{long}{next}"));
        assert!(zsh_words.iter().any(|word| zsh.contains(word)), "zsh: --{long}");
        let fish_line =
            |line: &str| line.starts_with("complete -c proa") && line.contains(&format!("-l {long} "));
        assert!(fish.lines().any(fish_line), "fish: --{long}");
    }
    assert!(options > 20, "the options were not found");
}

#[test]
fn the_man_page_has_the_exit_codes_and_the_environment() {
    let page = asset("man1/proa.1").replace("\\*(Aq", "'").replace("\\-", "-");
    let (_, rest) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
    let (status, environment) = rest.split_once(".SH ENVIRONMENT").unwrap();
    for (code, when, _) in CODES {
        assert!(status.contains(&format!("\\fB{code}\\fR\n{when}\n")), "{code}");
    }
    for (name, meaning) in VARIABLES {
        assert!(environment.contains(&format!("\\fB{name}\\fR\n{meaning}\n")), "{name}");
    }
}

#[test]
fn groff_reads_the_man_page_without_a_warning() {
    if let Some(said) = reader("groff", &["-z", "-man", "-ww"], &asset("man1/proa.1")) {
        assert_eq!(said, "");
    }
}

#[test]
fn bash_completes_options_and_their_values() {
    let script = asset("/completions/proa");
    reader("bash", &["-n"], &script);
    let complete = |words: &str, last: usize| {
        format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}\n\
             _proa proa \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\"\n"
        )
    };
    for (words, last, expected) in [
        ("proa --no-a", 1, "--no-api"),
        ("proa --sidecars ''", 2, "auto off"),
        ("proa --log-format j", 2, "json"),
    ] {
        let said = reader("bash", &["--norc"], &complete(words, last)).unwrap_or_default();
        assert_eq!(said.trim(), expected, "{words}");
    }
}

#[test]
fn other_shells_read_theirs() {
    for (shell, ending) in [("zsh", "_proa"), ("fish", "proa.fish")] {
        // Neither is a shell that CI must have.
        if Path::new("/usr/bin").join(shell).exists() {
            reader(shell, &["-n"], &asset(ending));
        } else {
            eprintln!("not tried: {shell} is not installed");
        }
    }
}
