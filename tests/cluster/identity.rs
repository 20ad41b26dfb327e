//! Who am I? Asked in every odd place a Pod can be.

use serde_json::{Value, json};

use crate::kube::Namespace;
use crate::manifest::{QUIT, create, job, main, pod_spec, sidecar};

/// Runs a Job whose main container comes second, after `change`; proa must find its Pod and its
/// container, or it would wait for itself.
fn finds_itself(test: &str, change: impl FnOnce(&mut Value)) {
    let namespace = Namespace::new(test);
    let mut main = main(&[QUIT], "say works");
    main["env"] = json!([{"name": "RUST_LOG", "value": "proa=debug"}]);
    let mut spec = pod_spec(&[sidecar(&[]), main]);
    change(&mut spec);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: works", "sidecar: quit request 1"]);
    story.no_warnings();
    assert!(story.end("main").finished >= story.end("sidecar").finished);
}

#[test]
fn in_the_second_place() {
    finds_itself("second", |_| {});
}

#[test]
fn in_the_first_place() {
    finds_itself("first", |spec| spec["containers"].as_array_mut().unwrap().reverse());
}

#[test]
fn on_the_hosts_network() {
    finds_itself("host-network", |spec| {
        spec["hostNetwork"] = json!(true);
        // A port that the node's own programs leave free.
        spec["containers"][0]["args"] = json!(["-addr=:18080"]);
        spec["containers"][0]["readinessProbe"]["httpGet"]["port"] = json!(18080);
        spec["containers"][1]["command"][1] = json!(QUIT.replace("8080", "18080"));
    });
}

#[test]
fn with_a_host_name_of_its_own() {
    finds_itself("hostname", |spec| spec["hostname"] = json!("somebody-else"));
}

#[test]
fn with_a_host_name_that_is_fully_qualified() {
    finds_itself("fqdn", |spec| {
        spec["setHostnameAsFQDN"] = json!(true);
        spec["subdomain"] = json!("below");
    });
}

#[test]
fn in_a_shared_process_namespace() {
    finds_itself("shared", |spec| spec["shareProcessNamespace"] = json!(true));
}

/// A subPath mount has a container's name in its root too, and the volume's may be any.
#[test]
fn with_sub_path_mounts() {
    finds_itself("sub-path", |spec| {
        spec["volumes"] = json!([{"name": "containers", "emptyDir": {}}]);
        for container in spec["containers"].as_array_mut().unwrap() {
            container["volumeMounts"] =
                json!([{"name": "containers", "mountPath": "/data", "subPath": "containers/sidecar/log"}]);
        }
    });
}

#[test]
fn with_its_last_words_elsewhere() {
    finds_itself("last-words", |spec| {
        spec["containers"][1]["terminationMessagePath"] = json!("/tmp/last-words");
    });
}

/// Nothing is known without a token, so the sidecar is not waited for at the end.
#[test]
fn without_a_token_readiness_can_be_asked_for() {
    let namespace = Namespace::new("no-token");
    let options = ["--ready-http-get=http://localhost:8080/healthz", QUIT];
    let mut spec = pod_spec(&[main(&options, "say works"), sidecar(&["-ready-after=2s"])]);
    spec["automountServiceAccountToken"] = json!(false);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: works", "sidecar: quit request 1"]);
    story.no_warnings();
}

#[test]
fn without_a_token_it_says_what_to_do() {
    let namespace = Namespace::new("no-token-fails");
    let mut spec = pod_spec(&[main(&[QUIT], "say works"), sidecar(&[])]);
    spec["automountServiceAccountToken"] = json!(false);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 125), ("sidecar", 0)]);
    let message = story.end("main").message;
    assert!(message.contains("--no-api") && message.contains("automountServiceAccountToken"), "{message}");
    assert!(!story.has("main: works"));
}
