//! SPEC section 4, own probes: the gate does not wait for the kubelet's probe
//! period, and never believes a probe that the kubelet would not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::pods::{ready, status};
use crate::harness::{
    Answer, Api, Container, Fault, Pod, Proa, Running, Sidecar, Verb, clock, let_pass, not_run_here,
};

const SECOND: Duration = Duration::from_secs(1);

fn start(api: &Api) -> Running {
    Proa::new().api(api).sh("echo started; exec sleep 100").spawn()
}

/// A sidecar that answers 503 until it is switched on.
fn switched() -> (Sidecar, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&on);
    (Sidecar::new(move |_| Answer::Status(if on.load(Ordering::SeqCst) { 200 } else { 503 })), switch)
}

/// Demands that the gate stays shut until the API itself says ready.
#[track_caller]
fn only_the_api_opens(api: &Api, run: &Running) {
    api.wait_for(Verb::Watch, 1);
    run.stderr.wait_for("waiting for the sidecars");
    let_pass(SECOND / 2);
    let moment = Instant::now();
    api.update(|pod| ready(pod, "proxy"));
    let (_, started) = run.stdout.wait_for("started");
    assert!(started >= moment, "started {:?} too early:\n{}", moment - started, run.stderr.text());
}

#[test]
fn the_command_starts_when_the_probe_passes() {
    let (sidecar, switch) = switched();
    let api = Api::serving(Pod::of([Container::new("proxy").http_probe("/ready?x=1", sidecar.port())]));
    let run = start(&api);
    sidecar.wait_for(5);
    assert!(run.stdout.text().is_empty());
    let moment = Instant::now();
    switch.store(true, Ordering::SeqCst);
    let (_, started) = run.stdout.wait_for("started");
    assert!(started >= moment && started - moment < SECOND, "{:?}", started - moment);
    assert_eq!(sidecar.asked()[0].line(), "GET /ready?x=1");
}

#[test]
fn a_port_that_opens_is_noticed() {
    let sidecar = Sidecar::closed(|_| Answer::Close);
    let probe = json!({"tcpSocket": {"port": sidecar.port()}, "periodSeconds": 10});
    let api = Api::serving(Pod::of([Container::new("proxy").probe(probe)]));
    let run = start(&api);
    run.stderr.wait_for("waiting for the sidecars");
    let moment = Instant::now();
    sidecar.open();
    let (_, started) = run.stdout.wait_for("started");
    assert!(started >= moment && started - moment < SECOND, "{:?}", started - moment);
}

/// How the kubelet would ask, and what it makes of the answer.
#[test]
fn a_probe_is_run_as_the_kubelet_runs_it() {
    let (sidecar, switch) = switched();
    switch.store(true, Ordering::SeqCst);
    let port = sidecar.port();
    let http = |fields: Value| {
        let mut get = json!({"path": "/p", "port": port});
        get.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"httpGet": get})
    };
    for (container, header) in [
        (Container::new("proxy").probe(http(json!({"port": "admin"}))).port("admin", port), None),
        (Container::new("proxy").probe(http(json!({"port": port.to_string()}))), None),
        (Container::new("proxy").probe(http(json!({"host": "127.0.0.1"}))), None),
        (
            Container::new("proxy")
                .probe(http(json!({"httpHeaders": [{"name": "X-Probe", "value": "a b"}]}))),
            Some(("x-probe", "a b")),
        ),
        (
            Container::new("proxy")
                .probe(http(json!({"httpHeaders": [{"name": "Host", "value": "app.example"}]}))),
            Some(("host", "app.example")),
        ),
        (Container::new("proxy").native().probe(http(json!({}))), None),
    ] {
        let before = sidecar.asked().len();
        let api = Api::serving(Pod::of([container]));
        let run = start(&api);
        run.stdout.wait_for("started");
        let asked = &sidecar.asked()[before];
        assert_eq!(asked.line(), "GET /p");
        if let Some((name, value)) = header {
            assert_eq!(asked.header(name), Some(value));
        }
    }
}

#[test]
fn redirects_up_to_399_pass_and_errors_do_not() {
    for (answer, passes) in [
        (Answer::Status(204), true),
        (Answer::Status(399), true),
        (Answer::Status(400), false),
        (Answer::Status(404), false),
        (Answer::Status(503), false),
        (Answer::Reset, false),
        (Answer::Close, false),
        (Answer::Garbage, false),
        (Answer::Hang, false),
        (Answer::SlowHead, false),
        (Answer::HeaderFlood, false),
    ] {
        let sidecar = Sidecar::answering([answer.clone()]);
        let api = Api::serving(Pod::of([Container::new("proxy").http_probe("/", sidecar.port())]));
        let run = start(&api);
        if passes {
            run.stdout.wait_for("started");
        } else {
            only_the_api_opens(&api, &run);
            assert!(sidecar.accepted() >= 1, "{answer:?}: never asked");
        }
    }
}

#[test]
fn https_is_not_verified() {
    // The fake API server as a sidecar: its authority is nobody's.
    let secure = Api::serving(Pod::new());
    secure.fault(&[Verb::Other], &Fault::Html(200));
    let probe = json!({"httpGet": {"path": "/healthz", "port": secure.address().port(), "scheme": "HTTPS"}});
    let api = Api::serving(Pod::of([Container::new("proxy").probe(probe)]));
    let run = start(&api);
    run.stdout.wait_for("started");
    assert_eq!(secure.requests()[0].target, "/healthz");
}

#[test]
fn what_the_kubelet_would_not_believe_is_not_asked_or_not_believed() {
    let sidecar = Sidecar::good();
    let port = sidecar.port();
    let good = || Container::new("proxy").http_probe("/", port);
    let not_running = json!({"waiting": {"reason": "PodInitializing"}});
    for (container, address) in [
        (good().status("started", json!(false)), Some("127.0.0.1")),
        (good().status("state", not_running), Some("127.0.0.1")),
        (good(), None),
        (Container::new("proxy").probe(json!({"exec": {"command": ["true"]}})), Some("127.0.0.1")),
        (Container::new("proxy").probe(json!({"grpc": {"port": port}})), Some("127.0.0.1")),
        (Container::new("proxy").status("ready", json!(false)), Some("127.0.0.1")),
        (Container::new("proxy").http_probe("/", "no-such-port"), Some("127.0.0.1")),
    ] {
        let before = sidecar.accepted();
        let pod = Pod::of([container]).set("/status", "podIP", json!(address));
        let pod = if address.is_none() { pod.set("/status", "podIPs", json!(null)) } else { pod };
        let api = Api::serving(pod);
        let run = start(&api);
        only_the_api_opens(&api, &run);
        assert_eq!(sidecar.accepted(), before, "asked all the same");
    }
}

#[test]
fn probes_begin_once_the_container_has_started() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("proxy")
        .http_probe("/", sidecar.port())
        .status("started", json!(false))]));
    let run = start(&api);
    run.stderr.wait_for("waiting for the sidecars");
    assert_eq!(sidecar.accepted(), 0);
    let moment = Instant::now();
    api.update(|pod| status(pod, "proxy")["started"] = json!(true));
    let (_, started) = run.stdout.wait_for("started");
    assert!(started >= moment && started - moment < SECOND);
}

#[test]
fn the_initial_delay_counts_from_the_containers_start() {
    let sidecar = Sidecar::good();
    let probe = |delay: u64| json!({"httpGet": {"path": "/", "port": sidecar.port()}, "initialDelaySeconds": delay, "periodSeconds": 10});
    let began = json!({"running": {"startedAt": clock::ago(10 * SECOND)}});
    let api = Api::serving(Pod::of([Container::new("proxy").probe(probe(5)).status("state", began)]));
    let begin = Instant::now();
    let run = start(&api);
    let (_, started) = run.stdout.wait_for("started");
    assert!(started - begin < 3 * SECOND, "the delay was over before: {:?}", started - begin);
    let began = json!({"running": {"startedAt": clock::now()}});
    let api = Api::serving(Pod::of([Container::new("proxy").probe(probe(3)).status("state", began)]));
    let begin = Instant::now();
    let run = start(&api);
    let (_, started) = run.stdout.wait_for("started");
    // The API's times are whole seconds.
    assert!(started - begin > SECOND + SECOND / 2, "started after {:?}", started - begin);
}

#[test]
fn successes_in_a_row_are_counted() {
    let answers = [200, 200, 503, 200, 200, 200].map(Answer::Status);
    let sidecar = Sidecar::answering(answers);
    let probe = json!({"httpGet": {"path": "/", "port": sidecar.port()}, "successThreshold": 3});
    let api = Api::serving(Pod::of([Container::new("proxy").probe(probe)]));
    let run = start(&api);
    run.stdout.wait_for("started");
    assert_eq!(sidecar.asked().len(), 6);
}

#[test]
fn probes_can_be_switched_off() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("proxy").http_probe("/", sidecar.port())]));
    let run =
        Proa::new().api(&api).args(["--probe-sidecars", "off"]).sh("echo started; exec sleep 100").spawn();
    only_the_api_opens(&api, &run);
    assert_eq!(sidecar.accepted(), 0);
}

#[test]
fn the_pace_is_quick_and_never_a_flood() {
    let (sidecar, _switch) = switched();
    let api = Api::serving(Pod::of([Container::new("proxy").http_probe("/", sidecar.port())]));
    let run = start(&api);
    let asked = sidecar.wait_for(40);
    let took = asked[39].at - asked[0].at;
    // 5 ms growing by half to 40: the first seven in 0.2 s, then 25 a second.
    assert!(took > SECOND, "40 probes in {took:?}");
    assert!(asked[6].at - asked[0].at < SECOND, "7 probes in {:?}", asked[6].at - asked[0].at);
    drop(run);
}

#[test]
fn a_probe_that_hangs_does_not_hold_another_up() {
    let hanging = Sidecar::answering([Answer::Hang]);
    let (other, switch) = switched();
    switch.store(true, Ordering::SeqCst);
    let api = Api::serving(Pod::of([
        Container::new("proxy").http_probe("/", hanging.port()),
        Container::new("other").http_probe("/", other.port()),
    ]));
    let run = start(&api);
    hanging.wait_for(2);
    let asked = hanging.asked();
    let pause = asked[1].at - asked[0].at;
    assert!((9 * SECOND / 10..4 * SECOND).contains(&pause), "tried again after {pause:?}");
    assert!(!other.asked().is_empty());
    api.update(|pod| ready(pod, "proxy"));
    run.stdout.wait_for("started");
}

#[test]
fn the_reason_of_a_failed_probe_is_said() {
    let (sidecar, _switch) = switched();
    let api = Api::serving(Pod::of([Container::new("proxy").http_probe("/healthz/ready", sidecar.port())]));
    let run = Proa::new().api(&api).args(["--startup-timeout", "600ms", "--shutdown-timeout", "1s"]);
    let done = run.child("exit 0").run().assert_code(125);
    done.assert_stderr(["proxy", "/healthz/ready", "503", &sidecar.port().to_string()]);
}

/// A clock that was set back after the container's start.
#[test]
fn a_start_in_the_future_delays_by_no_more_than_the_delay() {
    let sidecar = Sidecar::good();
    let probe = json!({"httpGet": {"path": "/", "port": sidecar.port()}, "initialDelaySeconds": 1});
    for began in [json!("2065-01-01T00:00:00Z"), json!(null)] {
        let state = json!({"running": {"startedAt": began}});
        let api =
            Api::serving(Pod::of([Container::new("proxy").probe(probe.clone()).status("state", state)]));
        let run = start(&api);
        let begin = Instant::now();
        let (_, started) = run.stdout.wait_for("started");
        assert!(started - begin < 5 * SECOND, "{:?}", started - begin);
    }
}

#[test]
fn a_pods_address_may_be_ipv6() {
    let Some(sidecar) = Sidecar::good_on_ipv6() else {
        not_run_here("a_pods_address_may_be_ipv6", "no ::1");
        return;
    };
    let api = Api::serving(Pod::of([Container::new("proxy").http_probe("/", sidecar.port())]).set(
        "/status",
        "podIP",
        json!("::1"),
    ));
    start(&api).stdout.wait_for("started");
    assert_eq!(sidecar.asked()[0].header("host"), Some(format!("[::1]:{}", sidecar.port()).as_str()));
}

#[test]
fn a_path_may_be_left_out_or_odd() {
    for (path, target) in [
        (json!(null), "GET /"),
        (json!(""), "GET /"),
        (json!("/"), "GET /"),
        (json!("healthz"), "GET /healthz"),
        (json!("/a?b=c&d"), "GET /a?b=c&d"),
        (json!("/a%20b"), "GET /a%20b"),
    ] {
        let sidecar = Sidecar::good();
        let probe = json!({"httpGet": {"path": path, "port": sidecar.port()}});
        let api = Api::serving(Pod::of([Container::new("proxy").probe(probe)]));
        start(&api).stdout.wait_for("started");
        assert_eq!(sidecar.asked()[0].line(), target, "{path}");
    }
}
