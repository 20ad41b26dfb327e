//! SPEC section 5: known sidecars are stopped, and daprd is probed, as their
//! documentation says, without an option.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::pods::terminate;
use crate::harness::{Answer, Api, Container, Pod, Proa, Sidecar, Verb};

const SQL_IMAGE: &str = "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.25.3";

fn sql_proxy(name: &str, port: u16) -> Container {
    Container::new(name)
        .image(SQL_IMAGE)
        .spec("args", json!(["--quitquitquit", format!("--admin-port={port}")]))
}

/// Runs a command beside this container, which then ends; what it was asked.
fn asked_of(container: Container, name: &str, sidecar: &Sidecar, options: &[&str]) -> Vec<String> {
    let api = Api::serving(Pod::of([container]).grace(60));
    let run = Proa::new().api(&api).env("DAPR_API_TOKEN", "s3cret").env("RUST_LOG", "trace");
    let run = run.args(options).child("exit 7").spawn();
    api.wait_for(Verb::Watch, 2);
    if !options.contains(&"off") {
        sidecar.wait_for(1);
    }
    api.update(|pod| terminate(pod, name, 0));
    let done = run.wait().assert_code(7);
    assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
    sidecar.asked_lines()
}

#[test]
fn a_known_sidecar_is_told_without_an_option() {
    let sidecar = Sidecar::good();
    let port = sidecar.port();
    for (container, name, line) in [
        (sql_proxy("db", port), "db", "POST /quitquitquit"),
        (
            Container::new("cloud-sql-proxy").spec("args", json!(["--admin-port", port.to_string()])),
            "cloud-sql-proxy",
            "POST /quitquitquit",
        ),
        (
            Container::new("linkerd-proxy").spec(
                "env",
                json!([{"name": "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "value": format!("0.0.0.0:{port}")}]),
            ),
            "linkerd-proxy",
            "POST /shutdown",
        ),
        (
            Container::new("daprd").spec("command", json!(["/daprd", "--dapr-http-port", port.to_string()])),
            "daprd",
            "POST /v1.0/shutdown",
        ),
    ] {
        let sidecar_lines = asked_of(container, name, &sidecar, &[]);
        assert_eq!(sidecar_lines.last().map(String::as_str), Some(line), "{name}");
    }
    let dapr = sidecar.asked().into_iter().next_back().unwrap();
    assert_eq!(dapr.header("dapr-api-token"), Some("s3cret"));
}

#[test]
fn the_users_own_action_counts_more() {
    let sidecar = Sidecar::good();
    let url = format!("http://localhost:{}/mine", sidecar.port());
    let lines = asked_of(sql_proxy("db", sidecar.port()), "db", &sidecar, &["-g", &url]);
    assert_eq!(lines, ["GET /mine"]);
}

#[test]
fn known_sidecars_can_be_left_alone() {
    let sidecar = Sidecar::good();
    let lines = asked_of(sql_proxy("db", sidecar.port()), "db", &sidecar, &["--sidecars", "off"]);
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn native_sidecars_are_the_kubelets_to_stop() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([sql_proxy("db", sidecar.port()).native()]).grace(60));
    let done = Proa::new().api(&api).child("exit 7").run().assert_code(7);
    assert_eq!(sidecar.accepted(), 0);
    done.assert_took(Duration::ZERO..Duration::from_secs(10));
}

#[test]
fn a_switched_off_endpoint_is_explained() {
    let sidecar = Sidecar::answering([Answer::Status(404)]);
    let address =
        json!([{"name": "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "value": format!("0.0.0.0:{}", sidecar.port())}]);
    let api = Api::serving(Pod::of([Container::new("linkerd-proxy").spec("env", address)]).grace(1));
    let done = Proa::new().api(&api).child("exit 7").run().assert_code(7);
    done.assert_stderr(["404", "config.linkerd.io/proxy-admin-shutdown"]);
}

/// daprd's own readiness waits for the main container: a deadlock for us.
#[test]
fn daprd_is_asked_whether_it_can_send() {
    let sidecar =
        Sidecar::new(|asked| Answer::Status(if asked.target.ends_with("/outbound") { 204 } else { 500 }));
    let daprd = Container::new("daprd")
        .http_probe("/v1.0/healthz", sidecar.port())
        .spec("args", json!(["--dapr-http-port", sidecar.port().to_string()]));
    let api = Api::serving(Pod::of([daprd]));
    let begin = Instant::now();
    let run = Proa::new().api(&api).sh("echo started; exec sleep 100").spawn();
    let (_, started) = run.stdout.wait_for("started");
    assert!(started - begin < Duration::from_secs(5));
    assert!(sidecar.asked_lines().contains(&"GET /v1.0/healthz/outbound".to_owned()));
}

#[test]
fn a_sidecar_that_nothing_stops_is_named_before_the_command_starts() {
    let api = Api::serving(Pod::of([Container::new("mystery"), sql_proxy("db", 1)]).grace(1));
    let done = Proa::new().api(&api).child("exit 7").run().assert_code(7);
    let line =
        done.stderr.lines().find(|line| line.contains("nothing will tell these to stop")).unwrap_or_default();
    assert!(line.contains("mystery") && !line.contains("db"), "{}", done.stderr);
    let place = |text: &str| done.stderr.find(text).unwrap();
    assert!(place("nothing will tell these to stop") < place("command started"), "{}", done.stderr);
}
