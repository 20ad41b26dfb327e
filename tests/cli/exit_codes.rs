//! SPEC section 2: the exit code is the promise.

use crate::harness::{Api, Pod, Proa, Sidecar, TempDir, pid1};
use crate::identity::with_termination_log;

fn both(test: &str) -> Vec<fn() -> Proa> {
    let as_pid1 = || Proa::without_api().pid1();
    match pid1::prefix(test) {
        Some(_) => vec![Proa::without_api, as_pid1],
        None => vec![Proa::without_api],
    }
}

#[test]
fn the_commands_own_code_is_kept() {
    for run in both("the_commands_own_code_is_kept") {
        for code in [0, 1, 2, 7, 124, 125, 126, 127, 128, 130, 143, 254, 255] {
            run().child(&format!("exit {code}")).run().assert_code(code);
        }
    }
}

#[test]
fn a_death_by_signal_is_128_and_its_number() {
    for run in both("a_death_by_signal_is_128_and_its_number") {
        for number in [1, 2, 3, 4, 6, 8, 9, 11, 13, 14, 15, 31, 34, 64] {
            run().child(&format!("die {number}")).run().assert_code(128 + number);
        }
    }
}

#[test]
fn a_command_that_cannot_be_run_is_126_or_127() {
    let folder = TempDir::new();
    let plain = folder.write("plain", "#!/bin/sh\nexit 0\n");
    let no_interpreter = folder.script("no-interpreter", "#!/no/such/interpreter\n");
    let elf = folder.script("broken-elf", "\x7fELF and nothing more");
    let names: [(&str, i32); 7] = [
        ("/no/such/command", 127),
        ("no-such-command-in-path", 127),
        ("", 127),
        (no_interpreter.to_str().unwrap(), 127),
        (plain.to_str().unwrap(), 126),
        (folder.path().to_str().unwrap(), 126),
        ("/dev/null/x", 126),
    ];
    for run in both("a_command_that_cannot_be_run_is_126_or_127") {
        for (name, code) in names {
            let sidecar = Sidecar::good();
            // A folder in PATH that may not be searched would make it 126.
            let run = run().env("PATH", "/usr/bin:/bin").args(["-p", &sidecar.url("/quit")]).command([name]);
            let done = run.run().assert_code(code);
            assert_eq!(sidecar.asked_lines(), ["POST /quit"], "{name}");
            done.assert_stderr([name]);
        }
    }
    // No format that the kernel knows, but ELF by its first bytes: sh fails it.
    let code = Proa::without_api().command([elf.as_os_str()]).run().code();
    assert!(matches!(code, Some(126 | 127)), "{code:?}");
}

/// Runs with a termination log; the code, and what was left in the log.
fn last_words(test: &str, run: Proa) -> Option<(i32, String)> {
    let folder = TempDir::new();
    let run = with_termination_log(test, run, &folder, "main")?;
    let code = run.run().code().unwrap();
    let log = folder.join("pods/8c1bd0a4/containers/main/1f0a");
    Some((code, std::fs::read_to_string(log).unwrap()))
}

#[test]
fn the_termination_message_says_why_there_was_no_command() {
    let test = "the_termination_message_says_why_there_was_no_command";
    let api = Api::serving(Pod::new());
    let long = format!("/{}", "x".repeat(3000));
    let late = ["--startup-timeout", "100ms", "--ready-file", "/no/such/file"];
    for (run, code, words) in [
        (Proa::new().api(&api).args(["--container", "mian"]).child("exit 0"), 125, &["mian", "main"][..]),
        (Proa::without_api().args(late).child("exit 0"), 125, &["/no/such/file"]),
        (Proa::without_api().command(["/no/such/command"]), 127, &["/no/such/command"]),
        (Proa::without_api().command(["/dev"]), 126, &["/dev"]),
        (Proa::without_api().command([long.as_str()]), 126, &["xxx"]),
    ] {
        let Some((got, text)) = last_words(test, run) else { return };
        assert_eq!(got, code, "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(text.len() <= 1024, "{} bytes", text.len());
    }
}

#[test]
fn the_termination_message_is_the_commands_once_it_runs() {
    let test = "the_termination_message_is_the_commands_once_it_runs";
    for code in [0, 7, 125, 126, 127] {
        let run = Proa::without_api().child(&format!("exit {code}"));
        let Some(left) = last_words(test, run) else { return };
        assert_eq!(left, (code, String::new()));
    }
    let run = Proa::without_api().sh("echo mine > /dev/termination-log; exit 125");
    let Some(left) = last_words(test, run) else { return };
    assert_eq!(left, (125, "mine\n".to_owned()));
}

#[test]
#[cfg(feature = "kill")]
fn teardown_never_changes_the_code() {
    let closed = Sidecar::closed(|_| crate::harness::Answer::Status(200));
    let folder = TempDir::new();
    let missing = folder.join("missing/file");
    let run = Proa::without_api().args(["--http-timeout", "200ms", "--shutdown-timeout", "1s"]);
    let run = run.args(["-p", &closed.url("/quit"), "-g", "http://name.invalid:1/"]);
    let run = run.args(["--shutdown-file".as_ref(), missing.as_os_str()]);
    let done = run.args(["--kill", "no-such-process"]).child("exit 7").run().assert_code(7);
    done.assert_stderr(["missing/file", "no-such-process"]);
}
