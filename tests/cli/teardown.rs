//! SPEC section 5: what is asked of the sidecars at the end, and how long
//! proa waits for them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Answer::{Close, Hang, Reset, RetryAfter, Status};
use crate::harness::pods::{begin_deletion, terminate};
use crate::harness::{Answer, Api, Container, Pod, Proa, Sidecar, TempDir, Verb, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// A run without the API whose command ends with 7.
fn with_action(option: &str, url: &str) -> Proa {
    Proa::without_api().args([option, url]).child("exit 7")
}

#[test]
fn requests_go_out_byte_for_byte() {
    let target = "/a/../b//%2e%2E/?x=%20&y={1}&z=a+b";
    for (option, line) in [("-p", "POST"), ("-g", "GET")] {
        let sidecar = Sidecar::good();
        with_action(option, &sidecar.url(target)).run().assert_code(7);
        let asked = &sidecar.asked()[0];
        assert_eq!(asked.line(), format!("{line} {target}"));
        assert_eq!(asked.header("host"), Some(sidecar.address().to_string().as_str()));
        assert_eq!(asked.header("content-length"), (line == "POST").then_some("0"));
        assert_eq!(asked.body, b"");
    }
}

/// Answers in turn, how many requests they cause, and whether the log warns.
fn answers() -> Vec<(Vec<Answer>, usize, bool)> {
    vec![
        (vec![Status(200)], 1, false),
        (vec![Status(204)], 1, false),
        (vec![Answer::Body(vec![b'x'; 300_000])], 1, false),
        // Redirects are an answer, and not followed.
        (vec![Answer::Redirect("/elsewhere".to_owned()), Status(200)], 1, false),
        (vec![Answer::Redirect("/quit".to_owned())], 1, false),
        (vec![Answer::Garbage, Status(200)], 1, true),
        (vec![Status(400), Status(200)], 1, true),
        (vec![Status(401), Status(200)], 1, true),
        (vec![Status(404), Status(200)], 1, true),
        (vec![Status(405), Status(200)], 1, true),
        (vec![Status(500), Status(503), Status(200)], 3, false),
        (vec![RetryAfter(429, 1), Status(200)], 2, false),
        (vec![Reset, Close, Status(200)], 3, false),
        (vec![Status(500)], 6, true),
        (vec![Answer::EndlessBody], 1, false),
    ]
}

#[test]
fn answers_are_taken_as_they_are_meant() {
    let rows = answers().into_iter().map(|(answers, count, warns)| {
        std::thread::spawn(move || {
            let sidecar = Sidecar::answering(answers.clone());
            let run = with_action("-p", &sidecar.url("/quit")).args(["--http-timeout", "2s"]);
            let done = run.run().assert_code(7);
            assert_eq!(sidecar.asked_lines(), vec!["POST /quit"; count], "{answers:?}");
            assert_eq!(done.stderr.contains("WARN"), warns, "{answers:?}:\n{}", done.stderr);
            let pauses: Vec<Duration> = sidecar.asked().windows(2).map(|two| two[1].at - two[0].at).collect();
            assert!(pauses.iter().all(|pause| *pause > SECOND / 20), "{answers:?}: {pauses:?}");
        })
    });
    let rows: Vec<_> = rows.collect();
    let failed = rows.into_iter().filter_map(|row| row.join().err()).count();
    assert_eq!(failed, 0, "rows failed");
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_twice() {
    for answer in [Hang, Answer::SlowHead, Answer::HeaderFlood] {
        let sidecar = Sidecar::answering([answer.clone()]);
        let run = with_action("-p", &sidecar.url("/quit")).args(["--http-timeout", "500ms"]);
        let done = run.run().assert_code(7).assert_took(Duration::ZERO..8 * SECOND);
        assert!(answer != Hang || sidecar.asked().len() == 2, "{answer:?}: {}", sidecar.asked().len());
        done.assert_stderr(["WARN"]);
    }
    // Nobody even accepts.
    for deaf in [Sidecar::deaf(), Sidecar::full()] {
        let run = with_action("-p", &deaf.url("/quit")).args(["--http-timeout", "500ms"]);
        run.run().assert_code(7).assert_took(SECOND..8 * SECOND).assert_stderr(["WARN"]);
    }
}

#[test]
fn a_refused_connection_is_tried_again() {
    let sidecar = Sidecar::closed(|_| Status(200));
    let run = with_action("-p", &sidecar.url("/quit")).spawn();
    run.stderr.wait_for("trying again");
    sidecar.open();
    sidecar.wait_for(1);
    run.wait().assert_code(7);
}

#[test]
fn actions_do_not_wait_for_each_other() {
    let folder = TempDir::new();
    let file = folder.join("done");
    let (hanging, good) = (Sidecar::answering([Hang]), Sidecar::good());
    let run = with_action("-p", &hanging.url("/quit")).args(["-p", &good.url("/quit")]);
    let run = run.args(["--shutdown-file".as_ref(), file.as_os_str()]);
    let run = run.args(["--http-timeout", "20s", "--shutdown-timeout", "3s"]).spawn();
    let (_, ended) = run.stderr.wait_for("command ended");
    let asked = good.wait_for(1)[0].at;
    assert!(asked.saturating_duration_since(ended) < SECOND);
    eventually("the shutdown file", || file.exists().then_some(()));
    let done = run.wait().assert_code(7);
    assert!(done.at - ended < 10 * SECOND, "past the deadline by {:?}", done.at - ended);
}

#[test]
fn a_shutdown_file_of_an_earlier_run_is_removed() {
    let folder = TempDir::new();
    let file = folder.write("done", "");
    let run = Proa::without_api().args(["--shutdown-file".as_ref(), file.as_os_str()]);
    let script = format!("test ! -e {0} && echo gone", file.display());
    let done = run.sh(&script).run().assert_code(0);
    assert_eq!(done.stdout, "gone\n");
    assert_eq!(std::fs::read(&file).unwrap(), b"");
}

#[test]
fn no_proxy_of_the_environment_is_used() {
    let (sidecar, proxy) = (Sidecar::good(), Sidecar::good());
    let run = with_action("-p", &sidecar.url("/quit"));
    let names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let run = names.into_iter().fold(run, |run, name| run.env(name, proxy.url("")));
    run.run().assert_code(7);
    assert_eq!((sidecar.asked().len(), proxy.accepted()), (1, 0));
}

#[test]
fn localhost_is_both_addresses() {
    for sidecar in [Some(Sidecar::good()), Sidecar::good_on_ipv6()] {
        let Some(sidecar) = sidecar else {
            crate::harness::not_run_here("localhost_is_both_addresses", "no ::1");
            return;
        };
        with_action("-p", &format!("http://localhost:{}/quit", sidecar.port())).run().assert_code(7);
        assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
        assert_eq!(sidecar.asked()[0].header("host"), Some(format!("localhost:{}", sidecar.port()).as_str()));
    }
}

#[test]
fn it_waits_until_the_sidecars_have_ended() {
    let sidecar = Sidecar::good();
    let api = Api::serving(
        Pod::of([Container::new("a"), Container::new("b"), Container::new("ignored")])
            .with(Container::new("native").native())
            .grace(60),
    );
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit"), "--ignore-container", "ignored"]);
    let mut run = run.child("exit 7").spawn();
    sidecar.wait_for(1);
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "a", 0));
    run.stderr.wait_for("sidecar ended");
    assert!(!run.ended());
    let moment = Instant::now();
    api.update(|pod| terminate(pod, "b", 143));
    let done = run.wait().assert_code(7);
    assert!(done.at >= moment && done.at - moment < 5 * SECOND);
}

#[test]
fn at_the_deadline_those_who_run_on_are_named() {
    for (grace, options) in [(1, &[][..]), (600, &["--shutdown-timeout", "1s"])] {
        let api =
            Api::serving(Pod::of([Container::new("stubborn"), Container::ended("over", 0)]).grace(grace));
        let run = Proa::new().api(&api).args(options).args(["--ignore-container", "nobody"]).child("exit 7");
        let run = run.env("PROA_PROBE_SIDECARS", "off");
        // A sidecar that has ended for good would close the gate: not this time.
        let run = run.args(["--ignore-container", "over"]);
        let done = run.run().assert_code(7).assert_took(9 * SECOND / 10..8 * SECOND);
        let warning = done.stderr.lines().find(|line| line.contains("WARN") && line.contains("deadline"));
        assert!(warning.is_some_and(|line| line.contains("stubborn")), "{}", done.stderr);
    }
}

/// Restart policy of the Pod, of our own container, the command's code,
/// options, and whether sidecars are told, and waited for.
type Rule = (&'static str, Option<&'static str>, i32, &'static [&'static str], bool, bool);

const RULES: &[Rule] = &[
    ("Never", None, 0, &[], true, true),
    ("Never", None, 7, &[], true, true),
    ("OnFailure", None, 0, &[], true, true),
    ("OnFailure", None, 7, &[], false, false),
    ("OnFailure", None, 7, &["--stop-sidecars", "always"], true, true),
    ("Always", None, 0, &[], true, false),
    // Under Always no sidecar ends for good.
    ("Always", None, 0, &["--stop-sidecars", "always", "--shutdown-timeout", "1s"], true, false),
    ("Never", Some("OnFailure"), 7, &[], false, false),
    ("OnFailure", Some("Never"), 7, &[], true, true),
];

#[test]
fn sidecars_stay_where_the_kubelet_starts_us_again() {
    for (policy, own, code, options, told, waited) in RULES {
        let sidecar = Sidecar::good();
        let mut pod = Pod::of([Container::new("proxy")]).restart_policy(policy).grace(60);
        if let Some(own) = own {
            pod = pod.set("/spec/containers/0", "restartPolicy", json!(own));
        }
        let api = Api::serving(pod);
        let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).args(*options);
        let run = run.child(&format!("exit {code}")).spawn();
        if *waited {
            sidecar.wait_for(1);
            api.wait_for(Verb::Watch, 2);
            api.update(|pod| terminate(pod, "proxy", 0));
        }
        let done = run.wait().assert_code(*code).assert_took(Duration::ZERO..10 * SECOND);
        let asked = sidecar.asked().len();
        assert_eq!(asked > 0, *told, "{policy} {own:?} {code} {options:?}:\n{}", done.stderr);
        if !told {
            let lines: Vec<&str> = done.stderr.lines().filter(|line| line.contains("start")).collect();
            assert!(lines.iter().any(|line| line.contains("again")), "{}", done.stderr);
        }
    }
}

#[test]
fn a_pod_that_is_deleted_while_it_waits_is_left_to_the_kubelet() {
    type Step = fn(&Api);
    let deletions: [Step; 2] = [|api| api.update(begin_deletion), Api::delete];
    for delete in deletions {
        let sidecar = Sidecar::good();
        let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
        let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 7").spawn();
        api.wait_for(Verb::Watch, 2);
        let moment = Instant::now();
        delete(&api);
        let done = run.wait().assert_code(7);
        assert!(done.at - moment < 5 * SECOND);
        assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
    }
}

#[test]
fn a_pod_that_was_deleted_while_the_command_ran_is_left_to_the_kubelet() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("on 15 exit 7").spawn();
    run.stdout.wait_for("ready");
    // As the kubelet does it: first the mark, then the signal.
    api.update(begin_deletion);
    let moment = Instant::now();
    run.signal(nix::libc::SIGTERM);
    let done = run.wait().assert_code(7);
    assert!(done.at - moment < 5 * SECOND, "{:?}", done.at - moment);
    assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
}

#[test]
fn after_a_sigterm_the_rest_of_the_grace_period_is_left() {
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(4));
    let run = Proa::new().api(&api).args(["--shutdown-timeout", "60s"]);
    let run = run.sh("trap 'sleep 1; exit 7' TERM; echo ready; while :; do sleep 0.05; done").spawn();
    run.stdout.wait_for("ready");
    let moment = Instant::now();
    run.signal(nix::libc::SIGTERM);
    let done = run.wait().assert_code(7);
    let took = done.at - moment;
    assert!((2 * SECOND..4 * SECOND).contains(&took), "{took:?} of 4 s:\n{}", done.stderr);
}

#[test]
fn sidecars_that_have_ended_before_are_not_waited_for() {
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
    let run = Proa::new().api(&api).child("on 10 exit 7").spawn();
    run.stdout.wait_for("ready");
    api.update(|pod| terminate(pod, "proxy", 0));
    let moment = Instant::now();
    run.signal(10);
    let done = run.wait().assert_code(7);
    assert!(done.at - moment < 5 * SECOND);
}

#[test]
#[cfg(feature = "kill")]
fn processes_are_signalled_by_their_name() {
    use crate::harness::pid1;

    let test = "processes_are_signalled_by_their_name";
    if pid1::prefix(test).is_none() {
        return;
    }
    for (options, ends, stays) in [
        (&["--kill", "sleep"][..], "sleep", "cat"),
        (&["--kill", "sleep:KILL"], "sleep", "cat"),
        (&["-k", "sleep:sigusr1", "-k", "nothing"], "sleep", "cat"),
        (&["--kill", "cat:9", "--kill", "proa"], "cat", "sleep"),
    ] {
        // Beside the wrapper, as another container would be: not PID 1.
        let folder = TempDir::new();
        let fifo = folder.join("fifo").display().to_string();
        let script = format!(
            "mkfifo {fifo}; sleep 1000 & cat < {fifo} & exec 3> {fifo}
            while [ \"$(cat /proc/[0-9]*/comm | grep -cE '^(sleep|cat)$')\" -lt 3 ]; do :; done
            \"$@\"; code=$?; wait -n 2>/dev/null
            while grep -qx {ends} /proc/[0-9]*/comm; do :; done
            grep -qx {stays} /proc/[0-9]*/comm && echo stays; exit $code"
        );
        let run = Proa::without_api().pid1().args(options).after(["sh", "-c", &script, "sh"]);
        let done = run.child("exit 7").run().assert_code(7);
        assert!(done.stdout.contains("stays"), "{options:?}: {}\n{}", done.stdout, done.stderr);
    }
}

#[test]
#[cfg(feature = "kill")]
fn kill_all_spares_pid_1_and_us() {
    use crate::harness::pid1;

    if pid1::prefix("kill_all_spares_pid_1_and_us").is_none() {
        return;
    }
    let script = "sleep 1000 & sleep 1000 & \"$@\"; code=$?; wait; exit $code";
    let run = Proa::without_api().pid1().args(["--kill-all"]).after(["sh", "-c", script, "sh"]);
    run.child("exit 7").run().assert_code(7);
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let sidecar = Sidecar::good();
    let url = format!("http://user:p%40ss@{}/quit?token=hunter2", sidecar.address());
    let done = with_action("-p", &url).env("RUST_LOG", "trace").run().assert_code(7);
    // user:p@ss
    assert_eq!(sidecar.asked()[0].header("authorization"), Some("Basic dXNlcjpwQHNz"));
    for secret in ["p%40ss", "p@ss", "hunter2", "dXNlcjpwQHNz"] {
        assert!(!done.stderr.contains(secret), "{secret} in:\n{}", done.stderr);
    }
}

#[test]
fn a_shutdown_file_that_cannot_be_made_holds_nothing_up() {
    let folder = TempDir::new();
    let (pipe, place) = (folder.join("pipe"), folder.join("place"));
    let sidecar = Sidecar::good();
    let run = Proa::without_api().args(["-p", &sidecar.url("/quit")]);
    let run = run.args([
        "--shutdown-file".as_ref(),
        pipe.as_os_str(),
        "--shutdown-file".as_ref(),
        place.as_os_str(),
    ]);
    // A pipe without a reader keeps those waiting who open it to write.
    let script = format!("mkfifo {}; mkdir {}; exit 7", pipe.display(), place.display());
    run.sh(&script).run().assert_code(7).assert_took(Duration::ZERO..10 * SECOND);
    assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
}

#[test]
fn a_server_that_is_not_trusted_is_told_nothing() {
    // The fake API server as a sidecar: its authority is nobody's.
    let secure = Api::serving(Pod::new());
    let url = format!("https://{}/quit", secure.address());
    let done = with_action("-p", &url).args(["--shutdown-timeout", "2s"]).run().assert_code(7);
    assert!(secure.requests().is_empty());
    done.assert_stderr(["WARN", "certificate"]);
}
