//! SPEC section 6: orphans are reaped in every phase, and the command's own
//! end is never lost among theirs.

use std::time::{Duration, Instant};

use nix::libc;

use crate::harness::{Api, Container, Pod, Proa, Running, Sidecar, Verb, eventually, pid1, process};

/// A run plain (the wrapper is a subreaper) and one as PID 1.
fn both(test: &str, run: fn() -> Proa) -> Vec<Proa> {
    let pid1 = pid1::prefix(test).map(|_| run().pid1());
    std::iter::once(run()).chain(pid1).collect()
}

fn no_zombies(run: &Running) {
    let pid = run.pid();
    eventually("no zombies", || (process::zombies(pid) == 0).then_some(()));
}

#[test]
fn ten_thousand_orphans_are_reaped() {
    for run in both("ten_thousand_orphans_are_reaped", Proa::without_api) {
        let run = run.env("RUST_LOG", "info").child("orphans-then-wait 10000").spawn();
        run.stdout.wait_for("ready");
        // The last of them may not have ended yet.
        let alone = || (process::children(run.pid()).len() == 1).then_some(());
        eventually("all but the command are reaped", alone);
        no_zombies(&run);
        run.signal(libc::SIGTERM);
        run.wait().assert_code(143);
    }
}

#[test]
fn the_commands_end_is_not_lost_among_orphans() {
    for _ in 0..10 {
        for run in both("the_commands_end_is_not_lost_among_orphans", Proa::without_api) {
            run.sh("for i in 1 2 3 4 5 6 7 8 9; do (true &); done; exit 7").run().assert_code(7);
        }
    }
}

/// Orphans that end while the gate waits: as PID 1 they are ours, whoever
/// started them.
#[test]
fn orphans_of_the_gate_are_reaped() {
    if pid1::prefix("orphans_of_the_gate_are_reaped").is_none() {
        return;
    }
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = Proa::new().api(&api).pid1().after_shell("for i in 1 2 3 4 5; do (sleep 0.3 &) done");
    let run = run.sh("echo started").spawn();
    api.wait_for(Verb::Watch, 1);
    let pid = run.pid();
    eventually("no orphans", || process::children(pid).is_empty().then_some(()));
    assert!(run.stdout.text().is_empty());
}

#[test]
fn orphans_of_teardown_are_reaped() {
    for run in both("orphans_of_teardown_are_reaped", Proa::new) {
        let sidecar = Sidecar::good();
        let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
        let run = run.api(&api).args(["-p", &sidecar.url("/quit")]);
        let run = run.sh("sleep 0.3 & sleep 0.3 & sleep 0.3 & exit 7").spawn();
        sidecar.wait_for(1);
        let pid = run.pid();
        eventually("no orphans", || process::children(pid).is_empty().then_some(()));
        run.signal(libc::SIGTERM);
        run.wait().assert_code(7);
    }
}

#[test]
fn a_stray_does_not_keep_the_run_from_ending() {
    let begin = Instant::now();
    let run = Proa::without_api().child("stray").spawn();
    let (line, _) = run.stdout.wait_for("stray");
    let done = run.wait().assert_code(0);
    assert!(done.at - begin < Duration::from_secs(10));
    let stray = line.split(' ').nth(1).unwrap().parse().unwrap();
    process::kill(stray, libc::SIGKILL);
    // The end of PID 1 is the end of everybody in its namespace.
    if pid1::prefix("a_stray_does_not_keep_the_run_from_ending").is_some() {
        Proa::without_api().pid1().child("stray").run().assert_code(0);
    }
}

#[test]
fn the_command_goes_with_a_wrapper_that_is_killed() {
    let run = Proa::without_api().child("ignore 15 1").spawn();
    run.stdout.wait_for("ready");
    let child = run.child();
    run.signal(libc::SIGKILL);
    eventually("no command", || (!process::alive(child)).then_some(()));
}
