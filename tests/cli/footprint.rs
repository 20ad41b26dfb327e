//! SPEC section 6, last but one: while the command runs, the gate's runtime
//! and client are gone, and nothing wakes the wrapper.

use std::time::{Duration, Instant};

use crate::harness::pods::{ready, terminate};
use crate::harness::{
    Api, Container, Pod, Proa, Running, Sidecar, TempDir, Verb, eventually, let_pass, process,
};

/// A run that has been through every kind of waiting, and whose command runs.
fn running(api: &Api) -> Running {
    let sidecar = Sidecar::good();
    let folder = TempDir::new();
    let marker = folder.write("marker", "ready");
    let run = Proa::new().api(api).args(["--ready-http-get", &sidecar.url("/")]);
    let run = run.args(["--ready-tcp", &format!("localhost:{}", sidecar.port())]);
    let run = run.args(["--ready-file".as_ref(), marker.as_os_str()]).child("wait").spawn();
    run.stdout.wait_for("ready");
    run
}

/// The wrapper's descriptors beyond those it was started with.
fn own_descriptors(run: &Running) -> Vec<String> {
    let child = process::descriptors(run.child());
    let own = process::descriptors(run.pid()).into_iter().filter(|(number, _)| !child.contains_key(number));
    own.map(|(_, what)| what.display().to_string()).collect()
}

#[test]
fn only_a_signal_loop_is_alive_while_the_command_runs() {
    for api in [
        Api::serving(Pod::of([Container::new("proxy")])),
        Api::asking_for_certificates(Pod::of([Container::new("proxy")])),
    ] {
        let run = running(&api);
        let pid = run.pid();
        eventually("one thread", || (process::threads(pid) == 1).then_some(()));
        api.wait_until_left_alone();
        let own = own_descriptors(&run);
        assert!(own.len() <= 1, "{own:?}");
        assert!(own.iter().all(|what| what == "anon_inode:[signalfd]"), "{own:?}");
        let sockets = process::descriptors(pid).into_values().filter(|what| what.starts_with("socket:"));
        assert_eq!(sockets.count(), 0);
        let requests = api.requests().len();
        let connections = api.connections();
        no_wake_ups(pid);
        assert_eq!((api.requests().len(), api.connections()), (requests, connections));
    }
}

/// Once it has settled, nothing wakes it for three seconds.
fn no_wake_ups(pid: u32) {
    let mut since = Instant::now();
    let mut count = process::voluntary_switches(pid);
    eventually("three seconds without a wake-up", || {
        let now = process::voluntary_switches(pid);
        if now != count {
            (since, count) = (Instant::now(), now);
        }
        (since.elapsed() > Duration::from_secs(3)).then_some(())
    });
    // It settled soon, not by luck at the end of the wait.
    assert!(count < 1000, "{count} wake-ups before");
}

/// The figures themselves are a budget of the release build, beside tini; here
/// only what no build may have: the gate's memory kept while the command runs.
#[test]
fn the_gates_memory_is_given_back() {
    let api = Api::serving(Pod::of([Container::new("proxy")]).set(
        "/metadata",
        "managedFields",
        serde_json::json!(["x".repeat(1_000_000)]),
    ));
    let run = running(&api);
    let pid = run.pid();
    let anonymous = eventually("given back memory", || {
        let kilobytes = process::kilobytes(pid, "RssAnon");
        (kilobytes < 1000).then_some(kilobytes)
    });
    assert!(anonymous > 0);
}

/// While it waits for the kubelet to say ready, and while it waits for the
/// sidecars to end, it sleeps: no spinning, no polling of a healthy API.
#[test]
fn waiting_is_idle() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]).grace(60));
    let run = Proa::new().api(&api).child("exit 7").spawn();
    run.stderr.wait_for("waiting for the sidecars");
    idle_for_two_seconds(&run, &api);
    api.update(|pod| ready(pod, "proxy"));
    api.wait_for(Verb::Watch, 2);
    idle_for_two_seconds(&run, &api);
    api.update(|pod| terminate(pod, "proxy", 0));
    run.wait().assert_code(7);
}

fn idle_for_two_seconds(run: &Running, api: &Api) {
    let (wakes, ticks) = (process::voluntary_switches(run.pid()), process::processor_ticks(run.pid()));
    let requests = api.requests().len();
    let_pass(Duration::from_secs(2));
    let wakes = process::voluntary_switches(run.pid()) - wakes;
    let ticks = process::processor_ticks(run.pid()) - ticks;
    assert!(wakes < 40 && ticks < 10, "{wakes} wake-ups and {ticks} ticks in 2 s");
    assert!(api.requests().len() <= requests + 1, "{:#?}", api.requests());
}
