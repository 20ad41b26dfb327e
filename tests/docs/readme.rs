//! The README's blocks are the files and the help text that they claim to be.

use std::fs;
use std::io::Write;
use std::process::Command;

use proa::internals::CODES;

use crate::{read, root, sources};

/// Every option, each with a variable of its own.
const OPTIONS: &[&str] = &[
    "shutdown-http-get",
    "shutdown-http-post",
    "shutdown-file",
    "kill",
    "kill-all",
    "sidecars",
    "stop-sidecars",
    "shutdown-timeout",
    "http-timeout",
    "ready-http-get",
    "ready-tcp",
    "ready-file",
    "probe-sidecars",
    "ignore-container",
    "startup-timeout",
    "no-api",
    "pod",
    "namespace",
    "container",
    "service-account-dir",
    "signal-group",
    "quit-file",
    "log-format",
    "install-to",
];

/// What the program prints on stdout.
pub fn proa(option: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_proa")).arg(option).env_clear().output().unwrap();
    assert!(output.status.success(), "proa {option}: {:?}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What belongs into the fence that follows this marker.
fn content(marker: &str) -> Option<String> {
    let inner = marker.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    match inner.strip_prefix("file: ") {
        Some(path) => Some(read(path)),
        None => (inner == "help").then(|| proa("--help")),
    }
}

/// The README with each such block as it should be, and how many there are.
fn renewed(readme: &str) -> (String, usize) {
    let (mut out, mut blocks) = (String::new(), 0);
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        out.extend([line, "\n"]);
        if let Some(content) = content(line) {
            blocks += 1;
            let fence = lines.next().unwrap();
            assert!(fence.starts_with("```"), "{line} is not followed by a fence");
            out.extend([fence, "\n", content.trim_end(), "\n```\n"]);
            lines.find(|line| *line == "```").unwrap();
        }
    }
    (out, blocks)
}

#[test]
fn blocks_are_what_they_are_made_of() {
    let readme = read("README.md");
    let (renewed, blocks) = renewed(&readme);
    assert_eq!(blocks, 3, "Dockerfile, Job and help");
    if std::env::var_os("PROA_UPDATE_README").is_some() {
        fs::write(root().join("README.md"), renewed).unwrap();
        return;
    }
    let difference = readme.lines().zip(renewed.lines()).find(|(is, should)| is != should);
    assert!(
        readme == renewed,
        "README.md is out of date: run `PROA_UPDATE_README=1 cargo test --test docs`. First difference: {difference:?}"
    );
}

#[test]
fn the_picture_is_what_its_script_draws() {
    let drawn = Command::new("python3").arg("docs/flow.py").current_dir(root()).output();
    let Ok(drawn) = drawn else {
        let all = std::env::var_os("PROA_TEST_ALL").is_some_and(|value| value == "1");
        assert!(!all, "python3 must be here");
        // Not println, which the test runner swallows.
        drop(writeln!(std::io::stderr(), "NOT RUN HERE: docs/flow.svg: there is no python3"));
        return;
    };
    assert!(drawn.status.success());
    let expected = read("docs/flow.svg");
    assert!(drawn.stdout == expected.as_bytes(), "run `python3 docs/flow.py > docs/flow.svg`");
}

#[test]
fn every_option_is_in_the_help_with_its_variable() {
    let help = proa("--help");
    // A line may be broken between any two words.
    let words: Vec<_> = help.split_whitespace().collect();
    let mut named: Vec<_> = words.iter().filter_map(|word| word.strip_prefix("--")).collect();
    named.retain(|name| !["", "help", "version"].contains(name) && !name.contains('*'));
    for option in OPTIONS {
        let variable = format!("PROA_{}]", option.to_uppercase().replace('-', "_"));
        assert!(words.contains(&format!("--{option}").as_str()), "--{option} is not in the help");
        assert!(words.contains(&variable.as_str()), "{variable} is not in the help");
    }
    for name in named {
        let name = name.trim_end_matches([',', ')', '.', ':']);
        let known = OPTIONS.contains(&name) || name == "ready-";
        assert!(known, "--{name} is missing from the list in this file");
    }
}

#[test]
fn options_in_documents_exist() {
    for document in ["README.md", "SECURITY.md", "CHANGELOG.md", "docs/design.md", "docs/add-a-sidecar.md"] {
        let text = read(document);
        for part in text.split('`').skip(1).step_by(2) {
            let ours = part.starts_with("--") || part.starts_with("proa ");
            for word in part.split_whitespace().take_while(|word| *word != "--").filter(|_| ours) {
                let Some(name) = word.strip_prefix("--").and_then(|word| word.split('=').next()) else {
                    continue;
                };
                let others = ["quitquitquit", "exit-zero-on-sigterm", "admin-port", "dapr-http-port"];
                let known = OPTIONS.contains(&name) || ["help", "version", "ready-*"].contains(&name);
                assert!(known || others.contains(&name), "{document}: --{name} is no option");
            }
        }
    }
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("\n| code | when |\n| --- | --- |\n").unwrap();
    let table: Vec<_> = rest.lines().take_while(|line| line.starts_with('|')).collect();
    let expected: Vec<_> = CODES.iter().map(|(code, when, _)| format!("| {code} | {when} |")).collect();
    assert_eq!(table, expected, "README.md");
    let help = proa("--help").split_whitespace().collect::<Vec<_>>().join(" ");
    for (code, _, short) in CODES {
        let told = if short.contains("own") { short.to_owned() } else { format!("{code} {short}") };
        assert!(help.contains(&told), "--help does not say: {told}");
    }
}

#[test]
fn signals_and_exit_codes_agree() {
    let signals = read("docs/signals.md");
    let (_, rest) = signals.split_once("\n| what happened | exit code |\n|---|---|\n").unwrap();
    let rows: Vec<_> = rest.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 5, "docs/signals.md: the table was not found");
    for row in rows {
        let code = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        // Words of the command's own code, and the runtime's after a SIGKILL.
        let told = code.contains("its code") || code.contains("the command's") || code.contains("runtime");
        assert!(told || CODES.iter().any(|(known, ..)| *known == code), "docs/signals.md: {code:?}");
    }
    for (code, ..) in CODES.iter().filter(|(code, ..)| code.starts_with("12")) {
        assert!(signals.contains(&format!(" | {code} |\n")), "docs/signals.md does not name {code}");
    }
}

#[test]
fn messages_that_the_readme_explains_are_in_the_code() {
    let readme = read("README.md");
    let code: String = sources(&["src"]).iter().map(|path| read(path.to_str().unwrap())).collect();
    for message in [
        "not in the Pod's status yet",
        "running, its startup probe has not passed",
        "running, its readiness probe has not passed",
        "the API server forbids reading Pod",
        "there is no Pod",
        "the state of the Pod from the API server",
        "still running at the deadline",
        "which fails the Pod",
    ] {
        assert!(readme.contains(message), "README.md no longer explains {message:?}");
        assert!(code.contains(message), "src no longer says {message:?}");
    }
}
