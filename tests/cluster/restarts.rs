//! Containers that the kubelet starts again in the same Pod.

use crate::kube::Namespace;
use crate::manifest::{QUIT, create, job, main, pod_spec, restarting_job, share, sidecar};

/// The sidecar is left running for the retries, and ends after the last one.
#[test]
fn a_command_that_fails_twice_keeps_its_sidecar() {
    let namespace = Namespace::new("retries");
    let script = "n=$(cat /shared/n || echo 0); echo $((n + 1)) >/shared/n; say run $n; [ $n -ge 2 ]";
    let mut spec = pod_spec(&[main(&[QUIT], script), sidecar(&["-ready-after=1s"])]);
    share(&mut spec, 0);
    create(&namespace, restarting_job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    assert_eq!(story.end("main").restarts, 2);
    assert_eq!(story.end("sidecar").restarts, 0);
    story.in_order(&["sidecar: ready", "main: run 2", "sidecar: quit request 1", "sidecar: ends"]);
}

/// Asked to end it ends badly, so the kubelet starts it again: it is asked again.
#[test]
fn a_sidecar_that_comes_back_is_stopped_again() {
    let namespace = Namespace::new("comes-back");
    let sidecar = sidecar(&["-exit=3", "-first=/shared/ended"]);
    let mut spec = pod_spec(&[main(&[QUIT], "say works"), sidecar]);
    share(&mut spec, 1);
    create(&namespace, restarting_job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    assert_eq!(story.end("sidecar").restarts, 1);
    assert!(story.has(" WARN "));
}

/// Its code fails the Pod, whatever ours is: that is said, with its name.
#[test]
fn a_sidecar_that_fails_the_pod_is_named() {
    let namespace = Namespace::new("fails-pod");
    create(&namespace, job(&pod_spec(&[main(&[QUIT], "say works"), sidecar(&["-exit=3"])])));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 3)]);
    story.in_order(&["sidecar: ends after a quit request", " WARN "]);
}
