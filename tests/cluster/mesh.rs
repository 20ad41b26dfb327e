//! A real Envoy as Istio injects it: under its name, in the first place, the main container second.

use serde_json::{Value, json};

use crate::chain::Chain;
use crate::exits::Exits;
use crate::kube::{Namespace, example, objects};

/// As Istio's injection template has it, the parts that matter here.
fn istio_proxy() -> Value {
    json!({
        "name": "istio-proxy",
        "image": "localhost/envoy:1",
        "ports": [{"containerPort": 15021, "name": "http-envoy-prom"}],
        "startupProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1, "failureThreshold": 600},
        "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 15, "failureThreshold": 4},
    })
}

/// The example, with the proxy injected; `change` is given the main container.
fn inject(namespace: &Namespace, change: impl Fn(&mut Value)) {
    for mut object in objects(&example("istio.yaml")) {
        object["metadata"]["namespace"] = Value::Null;
        if object["kind"] == "Job" {
            let containers = object["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
            change(&mut containers[0]);
            containers.insert(0, istio_proxy());
        }
        namespace.create(&object.to_string());
    }
}

#[test]
fn the_example_completes_beside_envoy() {
    let namespace = Namespace::new("istio");
    let exits = Exits::new();
    inject(&namespace, |_| {});
    let (chain, story) = Chain::of(&namespace, &exits, "example", "istio-proxy");
    chain.check();
    story.in_order(&["main: working", "main: done"]);
    assert!(story.end("istio-proxy").started <= story.end("main").started);
    assert!(story.end("main").finished >= story.end("istio-proxy").finished);
    story.no_warnings();
}

#[test]
fn a_failing_command_keeps_its_code_beside_envoy() {
    let namespace = Namespace::new("istio-fails");
    inject(&namespace, |main| main["command"] = json!(["proa", "--", "sh", "-c", "exit 7"]));
    assert_eq!(namespace.job_end("example"), "Failed");
    namespace.story().codes(&[("main", 7), ("istio-proxy", 0)]);
}

/// With the stop request written out, as for a sidecar that proa does not know.
#[test]
fn the_stop_request_can_be_given() {
    let namespace = Namespace::new("istio-given");
    let options = ["--sidecars=off", "--shutdown-http-post=http://localhost:15020/quitquitquit"];
    inject(&namespace, |main| main["command"] = json!(["proa", options[0], options[1], "--", "true"]));
    assert_eq!(namespace.job_end("example"), "Complete");
    namespace.story().codes(&[("main", 0), ("istio-proxy", 0)]);
}

/// What all this is for: the very same Job without proa.
#[test]
fn without_proa_the_job_hangs() {
    let namespace = Namespace::new("istio-hangs");
    inject(&namespace, |main| main["command"] = json!(["sh", "-c", "echo done"]));
    namespace.watch(&["pods"], "the command has ended and Envoy is ready", |pod| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let ended =
            statuses.iter().any(|one| one["name"] == "main" && one["state"]["terminated"]["exitCode"] == 0);
        let serves = statuses.iter().any(|one| one["name"] == "istio-proxy" && one["ready"] == true);
        (ended && serves).then_some(())
    });
    // Fails, as it should, where the Job completes within the ten seconds.
    namespace.run_failing(&["wait", "--for=condition=Complete", "job/example", "--timeout=10s"]);
    let job: Value = serde_json::from_str(&namespace.run(&["get", "job/example", "--output=json"])).unwrap();
    assert_eq!(job["status"]["active"], 1, "{job}");
    let story = namespace.story();
    story.codes(&[("main", 0)]);
    assert_eq!(namespace.pod()["status"]["phase"], "Running");
}
