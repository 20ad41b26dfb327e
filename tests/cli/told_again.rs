//! SPEC section 5: who is told to stop a second time.

use std::time::{Duration, Instant};

use crate::harness::Answer::Status;
use crate::harness::pods::{restart, terminate};
use crate::harness::{Api, Container, Pod, Proa, Sidecar, TempDir, Verb, let_pass};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_sidecar_that_comes_back_is_told_again() {
    let sidecar = Sidecar::good();
    let port = sidecar.port();
    let proxy = Container::new("proxy").port("admin", port);
    let api = Api::serving(Pod::of([proxy]).restart_policy("OnFailure").grace(60));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 0").spawn();
    api.wait_for(Verb::Watch, 2);
    sidecar.wait_for(1);
    api.update(|pod| restart(pod, "proxy", 2));
    let (line, _) = run.stderr.wait_for("WARN");
    assert!(line.contains("proxy") && line.contains('2'), "{line}");
    sidecar.wait_for(2);
    api.update(|pod| terminate(pod, "proxy", 0));
    run.wait().assert_code(0);
}

#[test]
fn once_everybody_has_ended_nothing_is_tried_again() {
    let sidecar = Sidecar::answering([Status(503)]);
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 7").spawn();
    sidecar.wait_for(2);
    api.wait_for(Verb::Watch, 2);
    let moment = Instant::now();
    api.update(|pod| terminate(pod, "proxy", 0));
    let done = run.wait().assert_code(7);
    assert!(done.at - moment < 2 * SECOND, "{:?}", done.at - moment);
    assert!(sidecar.asked().len() <= 5);
}

/// Nobody knows whose request it is, so it goes out for both; but not once for each.
#[test]
fn a_request_for_two_sidecars_is_sent_again_once() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("a"), Container::new("b")]).grace(60));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 7").spawn();
    let asked = sidecar.wait_for(2);
    let pause = asked[1].at - asked[0].at;
    assert!((4 * SECOND..7 * SECOND).contains(&pause), "{pause:?}");
    let_pass(SECOND);
    assert_eq!(sidecar.asked().len(), 2);
    api.update(|pod| terminate(pod, "a", 0));
    api.update(|pod| terminate(pod, "b", 0));
    run.wait().assert_code(7);
}

#[test]
fn what_goes_out_once_is_not_said_to_go_out_again() {
    let folder = TempDir::new();
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
    let run = Proa::new().api(&api).args(["--shutdown-timeout", "6s", "--shutdown-file"]);
    let done = run.args([folder.join("done")]).child("exit 7").run().assert_code(7);
    assert_eq!(done.stderr.matches("shutdown file made").count(), 1);
    assert!(!done.stderr.contains("again"), "{}", done.stderr);
}
