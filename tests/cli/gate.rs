//! SPEC section 4: what the gate waits for, and when it gives up.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::pods::{self, begin_deletion, ready, status, terminate};
use crate::harness::{Api, Container, Pod, Proa, Running, Sidecar, TempDir, Verb};

const SECOND: Duration = Duration::from_secs(1);

/// A run in this Pod whose command says `ready` and ends with 7.
fn start(api: &Api) -> Running {
    Proa::new().api(api).sh("echo started; exit 7").spawn()
}

/// Demands that the command starts, but not before this moment.
fn starts_after(run: Running, moment: Instant) {
    let (_, started) = run.stdout.wait_for("started");
    assert!(started >= moment, "started {:?} too early:\n{}", moment - started, run.stderr.text());
    drop(run);
}

#[test]
fn alone_in_its_pod_nothing_is_waited_for() {
    let api = Api::serving(Pod::new());
    Proa::new().api(&api).child("exit 7").run().assert_code(7);
}

#[test]
fn ready_sidecars_are_not_waited_for() {
    for api in [
        Api::serving(Pod::of([Container::new("proxy")])),
        Api::asking_for_certificates(Pod::of([Container::new("proxy")])),
    ] {
        starts_after(start(&api), Instant::now());
    }
}

#[test]
fn every_sidecar_must_be_ready() {
    let api =
        Api::serving(Pod::of([Container::not_ready("a"), Container::not_ready("b"), Container::new("c")]));
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| ready(pod, "a"));
    let moment = Instant::now();
    api.update(|pod| ready(pod, "b"));
    starts_after(run, moment);
}

#[test]
fn the_newest_state_counts() {
    let api = Api::serving(Pod::of([Container::new("a"), Container::not_ready("b")]));
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| status(pod, "a")["ready"] = json!(false));
    api.update(|pod| ready(pod, "b"));
    let moment = Instant::now();
    api.update(|pod| ready(pod, "a"));
    starts_after(run, moment);
}

#[test]
fn a_sidecar_without_a_status_is_not_ready() {
    let api = Api::serving(Pod::of([Container::without_status("late")]));
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    let moment = Instant::now();
    api.update(|pod| {
        let statuses = pod["status"]["containerStatuses"].as_array_mut().unwrap();
        let mut late = statuses[0].clone();
        late["name"] = json!("late");
        statuses.push(late);
    });
    starts_after(run, moment);
}

#[test]
fn native_sidecars_count_and_other_init_containers_do_not() {
    let api = Api::serving(
        Pod::new()
            .with(Container::not_ready("native").native())
            .with(Container::ended("setup", 0).native().spec("restartPolicy", json!(null)))
            .set("/spec", "ephemeralContainers", json!([{"name": "debugger", "image": "x"}]))
            .set(
                "/status",
                "ephemeralContainerStatuses",
                json!([{
                    "name": "debugger", "ready": false, "state": {"running": {}}, "restartCount": 0,
                }]),
            ),
    );
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    let moment = Instant::now();
    api.update(|pod| ready(pod, "native"));
    starts_after(run, moment);
}

#[test]
fn an_ignored_container_is_not_waited_for() {
    let api = Api::serving(Pod::of([
        Container::not_ready("slow"),
        Container::waiting("broken", "ImagePullBackOff"),
    ]));
    let run = Proa::new().api(&api).args(["--ignore-container", "slow", "--ignore-container=broken"]);
    run.child("exit 7").run().assert_code(7);
}

#[test]
fn the_first_container_may_be_a_sidecar() {
    let pod = Pod::of([Container::not_ready("istio-proxy")]).first();
    let api = Api::serving(pod.annotation("kubectl.kubernetes.io/default-container", "main"));
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    let moment = Instant::now();
    api.update(|pod| ready(pod, "istio-proxy"));
    starts_after(run, moment);
}

#[test]
fn options_and_sidecars_must_both_be_ready() {
    let folder = TempDir::new();
    let marker = folder.write("marker", "");
    let http = Sidecar::closed(|_| crate::harness::Answer::Status(204));
    let tcp = Sidecar::closed(|_| crate::harness::Answer::Close);
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = Proa::new().api(&api).args(["--ready-http-get", &http.url("/ready")]);
    let run = run
        .args(["--ready-tcp", &tcp.address().to_string()])
        .args(["--ready-file".as_ref(), marker.as_os_str()]);
    let run = run.sh("echo started").spawn();
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| ready(pod, "proxy"));
    http.open();
    tcp.open();
    http.wait_for(1);
    // It exists, but an empty file says nothing.
    let moment = Instant::now();
    folder.write("marker", "ready");
    starts_after(run, moment);
}

#[test]
fn only_2xx_is_ready() {
    use crate::harness::Answer::{Close, Redirect, Status};
    let answers = [Status(500), Status(404), Redirect("/elsewhere".to_owned()), Close, Status(204)];
    let sidecar = Sidecar::answering(answers);
    let run = Proa::without_api().args(["--ready-http-get", &sidecar.url("/ready?a=%20")]).child("exit 7");
    run.run().assert_code(7);
    assert_eq!(sidecar.asked_lines(), vec!["GET /ready?a=%20"; 5]);
}

#[test]
fn a_probe_that_hangs_is_cut_and_tried_again() {
    let sidecar = Sidecar::answering([crate::harness::Answer::Hang, crate::harness::Answer::Status(200)]);
    let run = Proa::without_api().args(["--ready-http-get", &sidecar.url("/ready")]).child("exit 7").run();
    run.assert_code(7).assert_took(9 * SECOND / 10..5 * SECOND);
}

#[test]
fn without_the_api_nobody_talks_to_it() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    Proa::without_api().api(&api).child("exit 7").run().assert_code(7);
    assert_eq!(api.connections(), 0);
}

#[test]
fn the_gate_gives_up_after_its_timeout() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([
        Container::waiting("proxy", "ImagePullBackOff"),
        Container::not_ready("logger")
            .status("restartCount", json!(2))
            .status("lastState", json!({"terminated": {"exitCode": 3, "reason": "Error"}})),
    ]));
    let run = Proa::new().api(&api).args(["--startup-timeout", "700ms", "--shutdown-timeout", "1s"]);
    let done = run.args(["-p", &sidecar.url("/quit")]).sh("echo started").run().assert_code(125);
    assert_eq!(done.stdout, "");
    assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
    let done = done.assert_took(Duration::from_millis(700)..15 * SECOND);
    done.assert_stderr(["proxy", "ImagePullBackOff", "logger", "2 times", "3"]);
}

#[test]
fn a_timeout_of_zero_is_for_ever() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = Proa::new().api(&api).args(["--startup-timeout", "0"]).sh("echo started").spawn();
    api.wait_for(Verb::Watch, 1);
    let moment = Instant::now();
    api.update(|pod| ready(pod, "proxy"));
    starts_after(run, moment);
}

/// Pod's policy, fields of the container, exit code, and whether that is the
/// end.
fn ends() -> [(&'static str, Value, i32, bool); 10] {
    let rule = |operator: &str| {
        json!({"restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": operator, "values": [42, 43]}},
        ]})
    };
    [
        ("Never", json!({}), 3, true),
        ("Never", json!({}), 0, true),
        ("OnFailure", json!({}), 0, true),
        ("OnFailure", json!({}), 3, false),
        ("Never", json!({"restartPolicy": "Always"}), 3, false),
        ("Never", json!({"restartPolicy": "OnFailure"}), 3, false),
        ("OnFailure", json!({"restartPolicy": "Never"}), 3, true),
        ("Never", rule("In"), 42, false),
        ("Never", rule("In"), 3, true),
        ("Never", rule("NotIn"), 3, false),
    ]
}

#[test]
fn a_sidecar_that_cannot_come_back_closes_the_gate() {
    for (policy, fields, code, hopeless) in ends() {
        let mut proxy = Container::ended("proxy", code);
        for (name, value) in fields.as_object().unwrap() {
            proxy = proxy.spec(name, value.clone());
        }
        let api = Api::serving(Pod::of([proxy]).restart_policy(policy));
        let run = Proa::new().api(&api).args(["--shutdown-timeout", "1s"]).sh("echo started").spawn();
        if hopeless {
            let done = run.wait().assert_code(125);
            assert_eq!(done.stdout, "");
            let reason = if code == 0 { "Completed" } else { "Error" };
            done.assert_stderr(["proxy", reason, &code.to_string()]);
        } else {
            api.wait_for(Verb::Watch, 1);
            let moment = Instant::now();
            api.update(|pod| pods::restart(pod, "proxy", code));
            starts_after(run, moment);
        }
    }
}

#[test]
fn a_sidecar_that_dies_while_the_gate_waits_closes_it() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| terminate(pod, "proxy", 139));
    run.wait().assert_code(125).assert_stderr(["proxy", "139"]);
}

#[test]
fn a_pod_that_is_deleted_starts_nothing() {
    type Step = fn(&Api);
    let deletions: [Step; 2] = [|api| api.update(begin_deletion), Api::delete];
    for delete in deletions {
        let sidecar = Sidecar::good();
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).sh("echo started").spawn();
        api.wait_for(Verb::Watch, 1);
        run.stderr.wait_for("waiting");
        delete(&api);
        let done = run.wait().assert_code(143);
        assert_eq!((done.stdout.as_str(), sidecar.asked_lines()), ("", vec!["POST /quit".to_owned()]));
    }
}

#[test]
fn a_pod_that_is_being_deleted_already_starts_nothing() {
    let mut pod = Pod::of([Container::new("proxy")]).document();
    begin_deletion(&mut pod);
    let api = Api::serving(Pod::from(pod));
    assert_eq!(start(&api).wait().assert_code(143).stdout, "");
}

#[test]
fn the_api_is_asked_for_one_pod_only() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]).grace(2));
    let run = Proa::new()
        .api(&api)
        .sh("echo started; read line; exit 7")
        .stdin(std::process::Stdio::piped())
        .spawn();
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| ready(pod, "proxy"));
    run.stdout.wait_for("started");
    api.wait_until_left_alone();
    assert_eq!(api.connections(), 1, "the gate needs one connection");
    assert!(api.requests().len() <= 2, "the gate needs two requests at most: {:#?}", api.requests());
    drop(run);
    for request in api.requests() {
        let one =
            request.target.contains("fieldSelector=metadata.name%3Djob-7x2kq") || request.verb == Verb::Get;
        assert!(one && request.target.starts_with("/api/v1/namespaces/work/pods"), "{}", request.target);
        assert!(request.verb != Verb::Watch || request.target.contains("allowWatchBookmarks=true"));
    }
}

#[test]
fn a_whole_life_needs_two_connections() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    let run = Proa::new().api(&api).child("exit 7").spawn();
    api.wait_for_connections(2);
    api.update(|pod| terminate(pod, "proxy", 0));
    run.wait().assert_code(7);
    let connections: Vec<usize> = api.requests().iter().map(|request| request.connection).collect();
    assert_eq!((api.connections(), connections.first(), connections.last()), (2, Some(&1), Some(&2)));
    assert!(api.count(Verb::Watch) <= 2 && api.requests().len() <= 4, "{:#?}", api.requests());
}

#[test]
fn without_a_token_the_user_is_told_what_to_do() {
    let nowhere = TempDir::new();
    let api = Api::serving(Pod::new());
    let run = Proa::new().api(&api).args(["--service-account-dir".as_ref(), nowhere.path().as_os_str()]);
    let done = run.sh("echo started").run().assert_code(125);
    assert_eq!(done.stdout, "");
    done.assert_stderr(["--no-api", "automountServiceAccountToken"]);
    let sidecar = Sidecar::good();
    let run = Proa::new().api(&api).env("PROA_SERVICE_ACCOUNT_DIR", nowhere.path());
    let run = run.args(["--ready-http-get", &sidecar.url("/ready")]).env("RUST_LOG", "info");
    let done = run.child("exit 7").run().assert_code(7);
    assert_eq!(done.stderr.lines().filter(|line| line.contains("token")).count(), 1, "{}", done.stderr);
}

#[test]
fn every_half_minute_it_says_what_it_waits_for() {
    let api = Api::serving(Pod::of([
        Container::waiting("proxy", "ImagePullBackOff"),
        Container::not_ready("logger"),
    ]));
    let run = start(&api);
    let begin = Instant::now();
    let (line, at) = run.stderr.wait_for("waiting: ");
    assert!((25 * SECOND..40 * SECOND).contains(&(at - begin)), "{:?}", at - begin);
    assert!(["INFO", "proxy", "ImagePullBackOff", "logger"].iter().all(|part| line.contains(part)), "{line}");
}
