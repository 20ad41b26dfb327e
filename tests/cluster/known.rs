//! Sidecars that proa knows: `proa -- command` alone is enough.

use serde_json::{Value, json};

use crate::kube::Namespace;
use crate::manifest::{create, job, main, pod_spec, sidecar};
use crate::teardown::gives_up;

/// proa with no option, beside this sidecar, whose first line of log says that it has begun.
fn completes(test: &str, sidecar: &Value) {
    let namespace = Namespace::new(test);
    create(&namespace, job(&pod_spec(&[sidecar.clone(), main(&[], "say works")])));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    let name = sidecar["name"].as_str().unwrap();
    story.codes(&[("main", 0), (name, 0)]);
    story.in_order(&["main: works", "stop request answered", "sidecar ended"]);
    assert!(story.end("main").finished >= story.end(name).finished);
    story.no_warnings();
}

/// With a port given it asks nobody for anything before a client connects to it.
#[test]
fn cloud_sql_proxy() {
    completes(
        "cloud-sql",
        &json!({
            "name": "cloud-sql-proxy",
            "image": "localhost/cloud-sql-proxy:1",
            "args": [
                "--token=none", "--lazy-refresh", "--port=5432", "--health-check", "--http-address=0.0.0.0",
                "--quitquitquit", "project:region:instance",
            ],
            "readinessProbe": {"httpGet": {"path": "/readiness", "port": 9090}},
        }),
    );
}

#[test]
fn envoy() {
    completes(
        "envoy",
        &json!({
            "name": "envoy",
            "image": "localhost/envoy:1",
            "command": ["/envoy", "--concurrency", "1", "--log-level", "error", "--config-yaml"],
            "args": ["admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}"],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 9901}},
        }),
    );
}

/// Linkerd's endpoint is off by default, and then answers with 404.
#[test]
fn a_known_sidecar_that_refuses_comes_with_advice() {
    let mut linkerd = sidecar(&["-addr=:4191"]);
    linkerd["name"] = json!("linkerd-proxy");
    linkerd["readinessProbe"]["httpGet"]["port"] = json!(4191);
    let story = gives_up("linkerd", &[], linkerd);
    assert!(story.has("config.linkerd.io/proxy-admin-shutdown"));
}
