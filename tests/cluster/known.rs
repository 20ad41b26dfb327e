//! Sidecars that proa knows: `proa -- command` alone is enough.

use serde_json::{Value, json};

use crate::chain::Chain;
use crate::exits::Exits;
use crate::kube::Namespace;
use crate::manifest::{create, job, main, pod_spec, sidecar};
use crate::teardown::gives_up;

/// proa with no option, beside this sidecar.
fn completes(test: &str, sidecar: &Value, script: &str) {
    let namespace = Namespace::new(test);
    let exits = Exits::new();
    create(&namespace, job(&pod_spec(&[sidecar.clone(), main(&[], script)])));
    let name = sidecar["name"].as_str().unwrap();
    let (chain, story) = Chain::of(&namespace, &exits, "main", name);
    chain.check();
    story.in_order(&["main: works", "stop request answered", "sidecar ended"]);
    assert!(story.end("main").finished >= story.end(name).finished);
    story.no_warnings();
}

/// With a port given it asks nobody for anything before a client connects to it.
fn cloud_sql_proxy(options: &[&str]) -> Value {
    let usual = ["--token=none", "--lazy-refresh", "--port=5432", "--health-check", "--http-address=0.0.0.0"];
    let args = [&usual, options, &["project:region:instance"]].concat();
    json!({
        "name": "cloud-sql-proxy",
        "image": "localhost/cloud-sql-proxy:1",
        "args": args,
        "readinessProbe": {"httpGet": {"path": "/readiness", "port": 9090}},
    })
}

fn envoy() -> Value {
    json!({
        "name": "envoy",
        "image": "localhost/envoy:1",
        "command": ["/envoy", "--concurrency", "1", "--log-level", "error", "--config-yaml"],
        "args": ["admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 9901}},
    })
}

#[test]
fn cloud_sql_proxy_ends_soon() {
    completes("cloud-sql", &cloud_sql_proxy(&["--quitquitquit"]), "say works");
}

#[test]
fn envoy_ends_soon() {
    completes("envoy", &envoy(), "say works");
}

/// Without a readiness probe the gate opens as soon as Envoy runs, so that the stop request comes
/// before it listens: it is sent until somebody answers.
#[test]
fn envoy_is_stopped_in_its_first_moments() {
    let namespace = Namespace::new("envoy-early");
    let mut envoy = envoy();
    envoy.as_object_mut().unwrap().remove("readinessProbe");
    let mut main = main(&[], "");
    main["command"] = json!(["proa", "--", "true"]);
    create(&namespace, job(&pod_spec(&[main, envoy])));
    assert_eq!(namespace.job_end("main"), "Complete");
    namespace.story().codes(&[("main", 0), ("envoy", 0)]);
}

/// By a signal it ends with 143, which fails the Pod: that is said, and what is better.
#[test]
fn cloud_sql_proxy_by_a_signal_comes_with_advice() {
    let namespace = Namespace::new("cloud-sql-kill");
    let options = ["--sidecars=off", "--kill=cloud-sql-proxy"];
    let mut spec = pod_spec(&[main(&options, "say works"), cloud_sql_proxy(&[])]);
    spec["shareProcessNamespace"] = json!(true);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 0), ("cloud-sql-proxy", 143)]);
    let warnings: Vec<_> = story.lines(" WARN ").collect();
    let [warning] = warnings[..] else { panic!("not one warning: {warnings:?}") };
    for part in ["cloud-sql-proxy", "143", "fails the Pod", "stop endpoint", "--quit-file"] {
        assert!(warning.contains(part), "no {part:?} in {warning}");
    }
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
