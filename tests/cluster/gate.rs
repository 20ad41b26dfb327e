//! When the command starts, and what is said where it does not.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::kube::Namespace;
use crate::manifest::{
    QUIT, create, create_as, job, kept_pod, main, pod_spec, reader, restarting_job, share, sidecar,
};
use crate::story::Story;

/// Far below the kubelet's ten seconds, and far above what a busy machine needs.
const SOON: SignedDuration = SignedDuration::from_secs(3);

fn starts_soon_after_ready(story: &Story) {
    story.in_order(&["sidecar: ready", "main: works"]);
    let late = story.time("main: works").duration_since(story.time("sidecar: ready"));
    assert!(late < SOON, "the command came {late:#} after the sidecar was ready");
}

/// The kubelet probes every ten seconds, from the container's start on.
fn own_probe(test: &str, probe: &Value) {
    let namespace = Namespace::new(test);
    let mut sidecar = sidecar(&["-listen-after=2500ms"]);
    sidecar["ports"] = json!([{"name": "serves", "containerPort": 8080}]);
    sidecar["readinessProbe"] = probe.clone();
    create(&namespace, job(&pod_spec(&[main(&[QUIT], "say works"), sidecar])));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    starts_soon_after_ready(&story);
    story.no_warnings();
}

#[test]
fn a_http_probe_is_run_from_here() {
    own_probe("probe-http", &json!({"httpGet": {"path": "/healthz", "port": "serves"}}));
}

#[test]
fn a_tcp_probe_is_run_from_here() {
    own_probe("probe-tcp", &json!({"tcpSocket": {"port": 8080}}));
}

#[test]
fn the_kubelets_verdict_is_enough() {
    let namespace = Namespace::new("kubelet");
    let options = ["--probe-sidecars=off", QUIT];
    create(&namespace, job(&pod_spec(&[main(&options, "say works"), sidecar(&["-ready-after=2s"])])));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.in_order(&["sidecar: ready", "main: works", "sidecar: quit request 1"]);
    story.no_warnings();
}

/// Runs the usual Job as a service account with these verbs.
fn with_verbs(test: &str, verbs: &[&str]) {
    let namespace = Namespace::new(test);
    let spec = pod_spec(&[main(&[QUIT], "say works"), sidecar(&["-ready-after=2s", "-drain=1s"])]);
    create_as(&namespace, verbs, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: works", "sidecar: ends"]);
    story.no_warnings();
    assert!(story.end("main").finished >= story.end("sidecar").finished);
}

#[test]
fn a_role_with_get_alone_is_enough() {
    with_verbs("get", &["get"]);
}

/// What proa 0.1.3 could do with.
#[test]
fn a_role_with_list_and_watch_is_enough() {
    with_verbs("list", &["list", "watch"]);
}

#[test]
fn a_role_that_comes_late_is_waited_for() {
    let namespace = Namespace::new("late-role");
    let account = reader(&["get", "watch"]).remove(0);
    namespace.create(&account.to_string());
    namespace.create(&job(&pod_spec(&[main(&[QUIT], "say works"), sidecar(&[])])).to_string());
    namespace.wait_for_line("main", "WARN");
    for object in reader(&["get", "watch"]).iter().skip(1) {
        namespace.create(&object.to_string());
    }
    assert_eq!(namespace.job_end("main"), "Complete");
    namespace.story().codes(&[("main", 0), ("sidecar", 0)]);
}

#[test]
fn without_a_role_it_says_which() {
    let namespace = Namespace::new("no-role");
    namespace.create(&reader(&[]).remove(0).to_string());
    namespace.create(&job(&pod_spec(&[main(&[QUIT], "say works"), sidecar(&[])])).to_string());
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 125), ("sidecar", 0)]);
    let message = story.end("main").message;
    assert!(["pods", "get", "watch"].iter().all(|word| message.contains(word)), "{message}");
    assert!(!story.has("main: works"));
}

/// Nobody will start it again, so waiting is vain.
#[test]
fn a_sidecar_that_ended_for_good_closes_the_gate() {
    let namespace = Namespace::new("ended");
    let sidecar = sidecar(&["-listen-after=1h", "-end-after=1s", "-exit=3"]);
    create(&namespace, job(&pod_spec(&[main(&[QUIT], "say works"), sidecar])));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 125), ("sidecar", 3)]);
    let message = story.end("main").message;
    assert!(message.contains("sidecar") && message.contains('3'), "{message}");
    assert!(!story.has("main: works"));
}

#[test]
fn a_sidecar_that_is_restarted_is_waited_for() {
    let namespace = Namespace::new("crashes");
    let sidecar = sidecar(&["-ready-after=3s", "-end-after=1s", "-exit=3", "-first=/shared/crashed"]);
    let mut spec = pod_spec(&[main(&[QUIT], "say works"), sidecar]);
    share(&mut spec, 1);
    create(&namespace, restarting_job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    assert_eq!(story.end("sidecar").restarts, 1);
    story.in_order(&["sidecar: ready", "main: works", "sidecar: quit request 1"]);
}

#[test]
fn a_gate_that_stays_shut_says_why() {
    let namespace = Namespace::new("shut");
    let options = ["--startup-timeout=4s", QUIT];
    create(&namespace, job(&pod_spec(&[main(&options, "say works"), sidecar(&["-ready-after=1h"])])));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 125), ("sidecar", 0)]);
    let message = story.end("main").message;
    assert!(message.contains("sidecar") && message.contains("503"), "{message}");
}

#[test]
fn a_sidecar_without_a_probe_is_ready_once_it_runs() {
    let namespace = Namespace::new("no-probe");
    let mut sidecar = sidecar(&[]);
    sidecar.as_object_mut().unwrap().remove("readinessProbe");
    create(&namespace, job(&pod_spec(&[main(&[QUIT], "say works"), sidecar])));
    assert_eq!(namespace.job_end("main"), "Complete");
    namespace.story().codes(&[("main", 0), ("sidecar", 0)]);
}

#[test]
fn a_pod_deleted_at_the_gate_never_starts_the_command() {
    let namespace = Namespace::new("deleted-early");
    create(&namespace, kept_pod(&pod_spec(&[main(&[QUIT], "say works"), sidecar(&["-ready-after=1h"])])));
    namespace.wait_for_line("main", "INFO");
    namespace.wait_for_line("sidecar", "listens");
    let story = namespace.delete_pod();
    story.codes(&[("main", 143), ("sidecar", 0)]);
    assert!(!story.has("main: works"));
}

/// Somebody looks what is wrong (`kubectl debug`): neither waited for at the gate nor at the end.
#[test]
fn an_ephemeral_container_never_counts() {
    let namespace = Namespace::new("ephemeral");
    let options = ["--ready-file=/tmp/go", QUIT];
    create(&namespace, job(&pod_spec(&[main(&options, "say works"), sidecar(&[])])));
    namespace.wait_for_line("main", "waiting for the sidecars");
    let pod = namespace.pod()["metadata"]["name"].as_str().unwrap().to_owned();
    let script = "trap 'exit 7' TERM; while true; do sleep 1; done";
    let debugger = ["--image=localhost/busybox:1", "--container=debugger", "--profile=general", "--"];
    namespace.run(&[&["debug", &pod][..], &debugger, &["sh", "-c", script]].concat());
    let debugger = |pod: &Value| pod["status"]["ephemeralContainerStatuses"][0]["state"].clone();
    namespace.watch(&["pods"], "the debugger runs", |pod| debugger(pod)["running"].is_object().then_some(()));
    namespace.exec("main", "echo go >/tmp/go");
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: works", "sidecar: quit request 1"]);
    let introduced: Vec<_> = story.lines("waiting for the sidecars").collect();
    assert!(introduced.len() == 1 && !story.lines("done code").any(|line| line.contains("debugger")));
    let ended: Timestamp =
        debugger(&namespace.pod())["terminated"]["finishedAt"].as_str().unwrap().parse().unwrap();
    assert!(ended >= story.end("main").finished, "the debugger was waited for");
    story.no_warnings();
}

/// As many containers as nobody should have; one of them is slow.
#[test]
fn fifty_containers_are_waited_for() {
    let namespace = Namespace::new("fifty");
    let port = |number: u32| 8100 + number;
    let others = (1..50).map(|number| {
        let slow = if number == 30 { "-ready-after=5s" } else { "-ready-after=0" };
        let mut sidecar = sidecar(&[&format!("-addr=:{}", port(number)), slow]);
        sidecar["name"] = json!(format!("sidecar-{number}"));
        sidecar["readinessProbe"]["httpGet"]["port"] = json!(port(number));
        sidecar
    });
    let requests = (1..50).map(|number| format!("http://localhost:{}/quitquitquit", port(number)));
    let mut main = main(&[], "say works");
    main["env"] =
        json!([{"name": "PROA_SHUTDOWN_HTTP_POST", "value": requests.collect::<Vec<_>>().join(" ")}]);
    let mut spec = pod_spec(&[main].into_iter().chain(others).collect::<Vec<_>>());
    // The node needs a while for so many ends at once.
    spec["terminationGracePeriodSeconds"] = json!(120);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar-1", 0), ("sidecar-30", 0), ("sidecar-49", 0)]);
    assert_eq!(story.lines(": ready").count(), 49);
    story.in_order(&["sidecar-30: ready", "main: works"]);
    assert_eq!(story.lines("stop request answered").count(), 49);
    let closing: Vec<_> = story.lines("proa::flow: done ").collect();
    assert!((1..50).all(|number| closing[0].contains(&format!("sidecar-{number} 0"))), "{closing:?}");
    story.no_warnings();
}
