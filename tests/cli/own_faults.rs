//! A bug of the wrapper's own costs neither the command's code nor the
//! sidecars' end: what a panic in each phase does (`src/fault.rs`).

use nix::libc;

use crate::harness::{Done, Proa, Sidecar, TempDir};

const PANIC: &str = "PROA_TEST_PANIC";

/// The stop request came so often, and the panic was real.
fn sidecar_was_told(sidecar: &Sidecar, times: usize, done: &Done) {
    assert_eq!(sidecar.asked().len(), times, "{}", done.stderr);
    assert!(done.stderr.contains("asked for by PROA_TEST_PANIC"), "{}", done.stderr);
}

#[test]
fn in_the_gate() {
    let sidecar = Sidecar::good();
    let folder = TempDir::new();
    let marker = folder.write("marker", "ready");
    let run = Proa::without_api().args(["-p", &sidecar.url("/quit")]).env(PANIC, "gate");
    let run = run.args(["--ready-file".as_ref(), marker.as_os_str()]).child("exit 7");
    let done = run.run().assert_code(125);
    sidecar_was_told(&sidecar, 1, &done);
}

#[test]
fn in_the_run() {
    let sidecar = Sidecar::good();
    let run = Proa::without_api().args(["-p", &sidecar.url("/quit")]).env(PANIC, "run");
    let run = run.child("on 12 exit 7").spawn();
    run.stdout.wait_for("ready");
    run.signal(libc::SIGUSR1);
    run.stderr.wait_for("asked for by PROA_TEST_PANIC");
    run.signal(libc::SIGUSR2);
    let done = run.wait().assert_code(7);
    sidecar_was_told(&sidecar, 1, &done);
}

#[test]
fn in_teardown() {
    let sidecar = Sidecar::good();
    let run = Proa::without_api().args(["-p", &sidecar.url("/quit")]).env(PANIC, "teardown");
    let done = run.child("exit 7").run().assert_code(7);
    // It was on its way; whether it got there is not known then.
    sidecar_was_told(&sidecar, 2, &done);
}
