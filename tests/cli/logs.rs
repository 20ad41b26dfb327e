//! SPEC section 7: what is logged, where, and what never is.

use std::time::Duration;

use crate::harness::pods::{ready, terminate};
use crate::harness::{Api, Container, Done, Pod, Proa, Sidecar, Verb};

/// A clean run with two sidecars from beginning to end.
fn clean_run(set: impl Fn(Proa) -> Proa) -> (Done, Api) {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::not_ready("proxy"), Container::new("logger")]));
    let url = format!("http://user:hunter2@{}/quit?key=hunter3", sidecar.address());
    let run = set(Proa::new().api(&api).args(["-p", &url]));
    let run = run.command(["sh", "-c", "echo output; exit 7", "hunter4"]).env("SECRET", "hunter5").spawn();
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| ready(pod, "proxy"));
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "proxy", 0));
    api.update(|pod| terminate(pod, "logger", 0));
    (run.wait().assert_code(7), api)
}

#[test]
fn a_clean_run_says_what_an_operator_asks() {
    let (done, _api) = clean_run(|run| run.env("RUST_LOG", "info"));
    assert_eq!(done.stdout, "output\n");
    let count = done.stderr.lines().count();
    assert!(count <= 12, "{count} lines:\n{}", done.stderr);
    for part in [
        "work/job-7x2kq",
        "proxy",
        "logger",
        "gate open",
        "took=",
        "command started",
        "pid=",
        "command ended",
        "code=7",
        "stop request answered",
        "/quit",
        "200",
        "sidecar ended",
        "done",
    ] {
        assert!(done.stderr.contains(part), "no {part:?} in:\n{}", done.stderr);
    }
    for level in ["WARN", "ERROR", "DEBUG"] {
        assert!(!done.stderr.contains(level), "{}", done.stderr);
    }
}

#[test]
fn nothing_secret_is_logged_at_any_level() {
    for (filter, format) in [
        ("trace", "text"),
        ("trace", if cfg!(feature = "json") { "json" } else { "text" }),
        ("proa=trace,kube=trace,hyper=trace,tower=trace,rustls=trace", "text"),
    ] {
        let (done, api) = clean_run(|run| run.env("RUST_LOG", filter).args(["--log-format", format]));
        let token = api.token();
        let payload = token.split('.').nth(1).unwrap();
        for secret in [&token, payload, "hunter2", "hunter3", "hunter4", "hunter5"] {
            assert!(!done.stderr.contains(secret), "{filter}: {secret} in:\n{}", done.stderr);
        }
    }
}

#[test]
fn off_prints_nothing() {
    let (done, _api) = clean_run(|run| run.env("RUST_LOG", "off"));
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("output\n", ""));
}

#[test]
fn the_verbosity_is_rust_logs() {
    let lines = |filter: &str| {
        let run = Proa::without_api().env("RUST_LOG", filter).child("exit 7").run().assert_code(7);
        let with = |level: &str| run.stderr.lines().filter(|line| line.contains(level)).count();
        (with(" INFO "), with(" DEBUG "))
    };
    let info = lines("info");
    assert!(info.0 > 0 && info.1 == 0, "{info:?}");
    // One that cannot be read, or is empty, counts as info.
    for filter in ["proa=loud", "a=b=c", "", "proa=info"] {
        assert_eq!(lines(filter), info, "{filter:?}");
    }
    assert_eq!(lines("warn"), (0, 0));
    assert_eq!(lines("error"), (0, 0));
}

#[test]
#[cfg(feature = "json")]
fn json_is_one_object_a_line() {
    let ways: [fn(Proa) -> Proa; 2] =
        [|run| run.args(["--log-format", "json"]), |run| run.env("PROA_LOG_FORMAT", "json")];
    for way in ways {
        let (done, _api) = clean_run(way);
        assert_eq!(done.stdout, "output\n");
        assert!(done.stderr.lines().count() > 5);
        for line in done.stderr.lines() {
            let entry: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
        }
    }
}

#[test]
fn lines_have_no_colours() {
    let (done, _api) = clean_run(|run| run.env("TERM", "xterm-256color"));
    assert!(!done.stderr.contains('\x1b'));
}

#[test]
fn lines_come_when_they_happen() {
    let done = Proa::without_api().sh("sleep 0.3; exit 7").run().assert_code(7);
    let time =
        |part: &str| done.stderr_times[done.stderr.lines().position(|line| line.contains(part)).unwrap()];
    assert!(time("command ended") - time("command started") > Duration::from_millis(200));
    assert!(done.stdout_times.is_empty());
}
