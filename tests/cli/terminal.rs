//! SPEC section 6: a command on a terminal has it for itself, as with
//! `docker run -it`.

use serde_json::Value;

use crate::harness::{Proa, binaries, eventually, pid1, process};

fn both(test: &str) -> Vec<Proa> {
    let plain = Proa::without_api().env("RUST_LOG", "off");
    match pid1::prefix(test) {
        Some(_) => vec![plain, Proa::without_api().env("RUST_LOG", "off").pid1()],
        None => vec![plain],
    }
}

#[test]
fn the_command_is_in_the_foreground() {
    for run in both("the_command_is_in_the_foreground") {
        let (run, terminal) = run.child("describe").on_terminal();
        run.run().assert_code(0);
        let (text, _) = terminal.screen.wait_for("foreground");
        let described: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(described["foreground"], described["pid"], "{text}");
        assert_eq!(described["group"], described["pid"]);
    }
}

#[test]
fn ctrl_c_comes_once() {
    for run in both("ctrl_c_comes_once") {
        let (run, mut terminal) = run.child("tell-signals").on_terminal();
        let run = run.spawn();
        terminal.screen.wait_for("ready");
        terminal.press("\x03");
        terminal.screen.wait_for("got 2;");
        // What came first is seen first.
        run.signal(nix::libc::SIGUSR1);
        terminal.screen.wait_for("got 10;");
        run.signal(nix::libc::SIGTERM);
        run.wait().assert_code(0);
        assert_eq!(terminal.screen.text().matches("got 2;").count(), 1, "{}", terminal.screen.text());
    }
}

#[test]
fn a_new_size_is_told_once() {
    for run in both("a_new_size_is_told_once") {
        let (run, terminal) = run.child("tell-signals").on_terminal();
        let run = run.spawn();
        terminal.screen.wait_for("ready");
        terminal.resize(50, 132);
        terminal.screen.wait_for("got 28;");
        run.signal(nix::libc::SIGUSR1);
        terminal.screen.wait_for("got 10;");
        run.signal(nix::libc::SIGTERM);
        run.wait().assert_code(0);
        assert_eq!(terminal.screen.text().matches("got 28;").count(), 1, "{}", terminal.screen.text());
    }
}

#[test]
fn a_line_that_is_typed_reaches_the_command() {
    for run in both("a_line_that_is_typed_reaches_the_command") {
        let (run, mut terminal) =
            run.sh("stty -echo; echo ready; read line; echo \"<$line>\"; exit 7").on_terminal();
        let run = run.spawn();
        terminal.screen.wait_for("ready");
        terminal.press("hello\n");
        terminal.screen.wait_for("<hello>");
        run.wait().assert_code(7);
    }
}

/// Job control of a shell below: it stops a job at Ctrl-Z and goes on, and
/// the wrapper takes no part in it.
#[test]
fn a_shell_below_has_job_control() {
    for run in both("a_shell_below_has_job_control") {
        let (run, mut terminal) = run.command(["sh", "-i"]).env("PS1", "prompt> ").on_terminal();
        let run = run.spawn();
        terminal.screen.wait_for_part("prompt> ");
        terminal.press("cat\n");
        let shell = run.child();
        let job = eventually("cat", || process::children(shell).first().map(|(pid, _)| *pid));
        let name = || process::status(job).remove("Name");
        eventually("cat itself", || (name().as_deref() == Some("cat")).then_some(()));
        terminal.press("\x1a");
        eventually("a stopped cat", || (process::state(job) == Some('T')).then_some(()));
        assert_ne!(process::state(run.pid()), Some('T'));
        terminal.press("fg\n");
        eventually("a running cat", || (process::state(job) == Some('S')).then_some(()));
        terminal.press("\x04");
        eventually("no cat", || (!process::alive(job)).then_some(()));
        terminal.press("exit 7\n");
        run.wait().assert_code(7);
    }
}

/// Ctrl-C ends the gate too: until the command runs, the terminal is ours.
#[test]
fn ctrl_c_ends_the_gate() {
    let run = Proa::without_api().args(["--ready-file", "/nowhere/at/all"]).child("wait");
    let (run, mut terminal) = run.on_terminal();
    let run = run.spawn();
    run.wait_until_deaf_to_nothing();
    terminal.press("\x03");
    run.wait().assert_code(130);
}

/// A wrapper that was started in the background must leave the terminal to
/// the shell that the user types at.
#[test]
fn a_background_job_does_not_take_the_terminal() {
    let shell = Proa::new().binary("/bin/sh").args(["-i"]).env("PS1", "prompt> ");
    let (shell, mut terminal) = shell.on_terminal();
    let shell = shell.spawn();
    terminal.screen.wait_for_part("prompt> ");
    let (proa, child) = (binaries::proa(), binaries::child());
    terminal.press(&format!("{} --no-api -- {} wait &\n", proa.display(), child.display()));
    terminal.screen.wait_for("ready");
    terminal.press("echo still $((40 + 2)) mine\n");
    terminal.screen.wait_for("still 42 mine");
    terminal.press("kill -9 %1; exit 7\n");
    shell.wait().assert_code(7);
}
