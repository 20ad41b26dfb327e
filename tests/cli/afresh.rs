//! While the command runs the wrapper starts itself afresh (`src/kept.rs`):
//! same process, same duties, same knowledge, less memory. Nobody may notice.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::libc;

use crate::harness::pods::terminate;
use crate::harness::{
    Api, Container, Pod, Proa, Running, Sidecar, TempDir, Verb, binaries, eventually, let_pass, pid1, process,
};

const AFRESH: &str = "started afresh";
const NOT_AFRESH: &str = "not started afresh: ";

/// Teardown knows all that the gate has found out, in the log's old format.
#[test]
fn it_knows_what_it_knew() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("proxy"), Container::new("logs")]));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit"), "--log-format", "json"]);
    let run = run.args(["--ignore-container", "logs"]).child("on 15 exit 7").spawn();
    run.stderr.wait_for(AFRESH);
    run.signal(libc::SIGTERM);
    eventually("a stop request", || (sidecar.asked().len() == 1).then_some(()));
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "proxy", 0));
    let done = run.wait().assert_code(7);
    assert!(done.stderr.lines().all(|line| line.starts_with('{')), "{}", done.stderr);
    assert!(done.stderr.contains(r#""sidecars":"proxy 0""#), "{}", done.stderr);
    assert_eq!(done.stderr.matches("command started").count(), 1, "{}", done.stderr);
    assert_eq!(sidecar.asked().len(), 1);
}

#[test]
fn it_looks_as_before() {
    let run = Proa::without_api().child("wait").spawn();
    run.stdout.wait_for("ready");
    let pid = run.pid();
    let look = || {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let variables = environment.split(|byte| *byte == 0).map(<[u8]>::to_vec);
        let variables: Vec<_> = variables.filter(|variable| !variable.starts_with(b"PROA_LEFT=")).collect();
        let masks = ["Name", "SigBlk", "SigIgn", "SigCgt"].map(|field| process::status(pid).remove(field));
        let descriptors: Vec<_> = process::descriptors(pid).into_values().collect();
        (line, variables, masks, descriptors, run.child())
    };
    let before = look();
    run.stderr.wait_for(AFRESH);
    assert_eq!(look(), before);
    run.signal(libc::SIGTERM);
    run.wait().assert_code(143);
}

/// A signal at any moment around the fresh start reaches the command, whose
/// end, at once after it, reaches the wrapper: also one that is ignored by
/// default, as is the SIGCHLD of that end.
#[test]
fn no_signal_is_lost_on_the_way() {
    for as_pid1 in [false, pid1::prefix("no_signal_is_lost_on_the_way").is_some()] {
        let run = move |index: u32| {
            let signal = if index.is_multiple_of(2) { 64 } else { libc::SIGWINCH };
            let run = Proa::without_api().child(&format!("on {signal} exit 7"));
            let run = if as_pid1 { run.pid1() } else { run }.spawn();
            run.stdout.wait_for("ready");
            // The fresh start is 100 ms after the command's.
            let_pass(Duration::from_millis(85) + Duration::from_micros(500) * index);
            run.signal(signal);
            assert_eq!(run.wait().assert_code(7).stdout, "ready\n");
        };
        let runs: Vec<_> = (0..40).map(|index| thread::spawn(move || run(index))).collect();
        for run in runs {
            run.join().unwrap();
        }
    }
}

#[test]
fn orphans_from_before_are_reaped_after() {
    let run = Proa::without_api().sh("(sleep 1 &); exec sleep 60").spawn();
    run.stderr.wait_for(AFRESH);
    assert_eq!(process::children(run.pid()).len(), 2);
    eventually("the orphan's end", || (process::children(run.pid()).len() == 1).then_some(()));
    run.signal(libc::SIGTERM);
    run.wait().assert_code(143);
}

/// As before, the command does not outlive a wrapper that is not PID 1.
#[test]
fn the_command_dies_with_it() {
    let run = Proa::without_api().child("wait").spawn();
    run.stderr.wait_for(AFRESH);
    let child = run.child();
    run.signal(libc::SIGKILL);
    eventually("the child's end", || (!process::alive(child)).then_some(()));
}

#[test]
fn a_storm_of_signals_does_not_put_it_off() {
    let run = Proa::without_api().child("on 15 exit 7").spawn();
    run.stdout.wait_for("ready");
    eventually("a fresh start", || {
        run.signal(libc::SIGUSR1);
        run.stderr.text().contains(AFRESH).then_some(())
    });
    run.signal(libc::SIGTERM);
    run.wait().assert_code(7);
}

#[test]
fn a_quit_file_counts() {
    let folder = TempDir::new();
    let file = folder.join("done");
    let sidecar = || Proa::without_api().args(["--quit-file".as_ref(), file.as_os_str()]).child("wait");
    let run = sidecar().spawn();
    run.stderr.wait_for(AFRESH);
    folder.write("done", "");
    let done = run.wait().assert_code(0);
    assert!(done.stderr.contains("quit file is there"), "{}", done.stderr);
}

/// It stays what it is, with the reason in the log, and does its work.
fn stays(run: &Running, why: &str) {
    let (line, _) = run.stderr.wait_for(NOT_AFRESH);
    assert!(line.contains(why), "{line}");
    run.signal(libc::SIGTERM);
}

#[test]
fn an_executable_that_is_gone_or_another_is_not_started() {
    let folder = TempDir::new();
    for other in [None, Some("#!/bin/sh\nexit 99\n")] {
        let copy = folder.join("proa");
        // By another process: one forked meanwhile would inherit the open file,
        // and what is written to cannot be started.
        assert!(Command::new("cp").arg(binaries::proa()).arg(&copy).status().unwrap().success());
        let run = Proa::without_api().binary(&copy).child("wait").spawn();
        run.stdout.wait_for("ready");
        fs::remove_file(&copy).unwrap();
        if let Some(other) = other {
            folder.write("proa", other);
        }
        stays(&run, "our executable is gone");
        run.wait().assert_code(143);
    }
}

/// The kernel calls the linker our executable then. (A static binary has none.)
#[test]
fn what_a_dynamic_linker_was_told_to_run_is_not_started() {
    let run = Proa::without_api().child("wait").spawn();
    run.stdout.wait_for("ready");
    let maps = fs::read_to_string(format!("/proc/{}/maps", run.pid())).unwrap();
    let Some(linker) = maps.split_ascii_whitespace().find(|word| word.contains("/ld-")) else { return };
    let run = Proa::without_api().after([linker]).child("wait").spawn();
    run.stdout.wait_for("ready");
    stays(&run, "another program's hand");
    run.wait().assert_code(143);
}

#[test]
fn a_path_that_is_no_text_is_not_carried_over() {
    let folder = TempDir::new();
    let file = folder.join("").join(OsStr::from_bytes(b"done\xff"));
    let run = Proa::without_api().args(["--shutdown-file".as_ref(), file.as_os_str()]).child("wait").spawn();
    stays(&run, "cannot be written down");
    run.wait().assert_code(143);
    assert!(file.exists());
}

/// The variable is between us and us.
#[test]
fn a_users_variable_of_that_name_means_nothing() {
    for value in ["", "x", "1:3", "x:y", "-1:0", "999999999:2"] {
        let run = Proa::without_api().env("PROA_LEFT", value).child("wait").spawn();
        run.stderr.wait_for(AFRESH);
        run.signal(libc::SIGTERM);
        let done = run.wait().assert_code(143);
        assert_eq!(done.stdout, "ready\n", "{value}");
    }
}

/// A state that is lost must not make the command run twice.
#[test]
fn a_state_that_cannot_be_read_is_a_failure() {
    for descriptor in ["0", "77", "x", "4294967295"] {
        let shell = format!("export PROA_LEFT=$$:{descriptor}");
        let done = Proa::without_api().after_shell(&shell).child("exit 7").run().assert_code(125);
        assert!(done.stderr.contains("cannot go on") && !done.stderr.contains("command started"));
    }
}
