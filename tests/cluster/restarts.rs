//! Containers that the kubelet starts again in the same Pod.

use serde_json::{Value, json};

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

/// A container that is restarted after this exit code alone, whatever its Pod's policy is
/// (`ContainerRestartRules`, on by default since Kubernetes 1.35).
fn restarts_after(mut container: Value, code: i32) -> Value {
    container["restartPolicy"] = json!("Never");
    container["restartPolicyRules"] =
        json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [code]}}]);
    container
}

/// A sidecar that ends once with this code before it is ready, and is a good one then.
fn ends_once(code: i32) -> Value {
    let code = format!("-exit={code}");
    sidecar(&["-ready-after=3s", "-end-after=1s", &code, "-first=/shared/ended"])
}

/// Runs the usual Job, which is not tried again, beside this sidecar.
fn beside(test: &str, sidecar: Value) -> (Namespace, String) {
    let namespace = Namespace::new(test);
    let mut spec = pod_spec(&[main(&[QUIT], "say works"), sidecar]);
    share(&mut spec, 1);
    create(&namespace, job(&spec));
    let end = namespace.job_end("main");
    (namespace, end)
}

#[test]
fn a_sidecar_that_a_rule_restarts_is_waited_for() {
    let mut with_policy = ends_once(3);
    with_policy["restartPolicy"] = json!("OnFailure");
    for (test, sidecar) in [("rule", restarts_after(ends_once(42), 42)), ("own-policy", with_policy)] {
        let (namespace, end) = beside(test, sidecar);
        assert_eq!(end, "Complete");
        let story = namespace.story();
        story.codes(&[("main", 0), ("sidecar", 0)]);
        assert_eq!(story.end("sidecar").restarts, 1);
        story.in_order(&["sidecar: ready", "main: works", "sidecar: quit request 1"]);
    }
}

#[test]
fn a_sidecar_that_no_rule_restarts_closes_the_gate() {
    let (namespace, end) = beside("no-rule", restarts_after(ends_once(3), 42));
    assert_eq!(end, "Failed");
    let story = namespace.story();
    story.codes(&[("main", 125), ("sidecar", 3)]);
    let message = story.end("main").message;
    assert!(message.contains("sidecar") && message.contains("exit code 3"), "{message}");
    assert!(!story.has("main: works"));
}

/// The main container's own rule brings the command back, so its sidecar stays; the second end,
/// which no rule is for, is the last one.
#[test]
fn a_command_that_a_rule_restarts_keeps_its_sidecar() {
    let namespace = Namespace::new("main-rule");
    let script =
        "n=$(cat /shared/n || echo 0); echo $((n + 1)) >/shared/n; say run $n; [ $n -ge 1 ] || exit 42";
    let mut spec = pod_spec(&[restarts_after(main(&[QUIT], script), 42), sidecar(&["-ready-after=1s"])]);
    share(&mut spec, 0);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    assert_eq!((story.end("main").restarts, story.end("sidecar").restarts), (1, 0));
    story.in_order(&["sidecar: ready", "main: run 1", "sidecar: quit request 1", "sidecar: ends"]);
}
