//! The straight way: gate, run, teardown, and what the Job says of it.

use serde_json::json;

use crate::kube::Namespace;
use crate::manifest::{QUIT, create, job, kept_pod, main, pod_spec, sidecar};

/// Where this fails the cluster is broken, not proa.
#[test]
fn a_job_without_proa_completes() {
    let namespace = Namespace::new("plain");
    let container = json!({"name": "main", "image": "localhost/busybox:1", "command": ["echo", "hello"]});
    create(&namespace, job(&pod_spec(&[container])));
    assert_eq!(namespace.job_end("main"), "Complete");
    namespace.story().in_order(&["main: hello"]);
}

#[test]
fn the_commands_code_is_the_jobs() {
    let namespace = Namespace::new("fails");
    let containers = [main(&[QUIT], "say fails; exit 7"), sidecar(&[])];
    create(&namespace, job(&pod_spec(&containers)));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 7), ("sidecar", 0)]);
    assert_eq!(story.end("main").reason, "Error");
    assert_eq!(story.end("main").message, "", "the child's own code needs no termination message");
    story.in_order(&["sidecar: ready", "main: fails", "sidecar: quit request 1", "sidecar: ends"]);
}

#[test]
fn proa_waits_until_a_slow_sidecar_has_ended() {
    let namespace = Namespace::new("drains");
    let containers = [main(&[QUIT], "say works"), sidecar(&["-drain=3s"])];
    create(&namespace, job(&pod_spec(&containers)));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    assert!(story.end("main").finished >= story.end("sidecar").finished);
    story.no_warnings();
}

/// The command hears of it, and its code is the container's. The kubelet ends the sidecars, and
/// tells of no end before all have ended: whoever waited for them would wait out the grace period.
#[test]
fn a_deleted_pod_ends_with_the_commands_code() {
    let namespace = Namespace::new("deleted");
    // The shell runs its trap at once, for `wait` is interrupted.
    let script = "trap 'say got TERM; exit 42' TERM; say works; sleep 600 & wait";
    create(&namespace, kept_pod(&pod_spec(&[main(&[QUIT], script), sidecar(&[])])));
    namespace.wait_for_line("main", "works");
    let story = namespace.delete_pod();
    story.codes(&[("main", 42), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: works", "main: got TERM"]);
    let took = story.end("main").finished.duration_since(story.time("main: got TERM"));
    assert!(took.as_secs() < 10, "teardown took {took:#}");
}
