//! SPEC section 4: whatever the API server does, the gate opens soon after it
//! is well again, does not storm it meanwhile, and says it once.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::pods::{ready, terminate};
use crate::harness::{Api, Container, Fault, Pod, Proa, Running, Sidecar, Verb, eventually, let_pass};

const SECOND: Duration = Duration::from_secs(1);
/// How long an API server is broken, and how many requests it may get in that time.
const BROKEN: Duration = Duration::from_secs(8);
const REQUESTS: usize = 60;
/// A backoff of at most 6.4 s by then, and a machine that has other things to do.
const SOON: Duration = Duration::from_secs(12);

const EVERYTHING: &[Verb] = &Verb::REQUESTS;
const CONNECT: &[Verb] = &[Verb::Connect];
const WATCH: &[Verb] = &[Verb::Watch];

/// What is broken, and by which fault.
fn table() -> Vec<(&'static [Verb], Fault)> {
    vec![
        (CONNECT, Fault::Refuse),
        (CONNECT, Fault::Reset),
        (CONNECT, Fault::OtherCa),
        (CONNECT, Fault::WrongName),
        (CONNECT, Fault::Expired),
        (EVERYTHING, Fault::Status(401)),
        (EVERYTHING, Fault::Status(403)),
        (EVERYTHING, Fault::Status(404)),
        (EVERYTHING, Fault::Status(408)),
        (EVERYTHING, Fault::Status(410)),
        (EVERYTHING, Fault::Status(500)),
        (EVERYTHING, Fault::Status(503)),
        (EVERYTHING, Fault::RetryAfter(429, "1")),
        (EVERYTHING, Fault::RetryAfter(503, "1")),
        (EVERYTHING, Fault::Html(200)),
        (EVERYTHING, Fault::Html(502)),
        (EVERYTHING, Fault::WrongObject("{}")),
        (
            EVERYTHING,
            Fault::WrongObject(r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}"#),
        ),
        (EVERYTHING, Fault::WrongObject(OTHER_POD)),
        (EVERYTHING, Fault::CutJson),
        (EVERYTHING, Fault::Garbage),
        (EVERYTHING, Fault::Reset),
        (WATCH, Fault::GoneEvent),
        (WATCH, Fault::Garbage),
        (WATCH, Fault::CutJson),
    ]
}

/// An answer about somebody else.
const OTHER_POD: &str = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"other","namespace":"work",
"uid":"1","resourceVersion":"5"},"spec":{"containers":[{"name":"main"}]},"status":{"phase":"Running"}}"#;

pub fn start(api: &Api) -> Running {
    Proa::new().api(api).env("RUST_LOG", "info").sh("echo started; exec sleep 100").spawn()
}

/// One warning when it begins, one when it is over: neither more nor less.
fn said_once(run: &Running, what: &str) {
    let text = run.stderr.text();
    for line in ["trying again", "answers again"] {
        assert_eq!(text.matches(line).count(), 1, "{what}: {line:?} in\n{text}");
    }
    assert_eq!(warnings(run), 2, "{what}:\n{text}");
}

/// Warnings about the API; that nothing will stop the sidecar is another one.
fn warnings(run: &Running) -> usize {
    let text = run.stderr.text();
    text.lines().filter(|line| line.contains("WARN") && !line.contains("nothing will tell these")).count()
}

/// Runs each row in a thread of its own; they mostly wait.
fn each_row(rows: Vec<(&'static [Verb], Fault)>, row: fn(&'static [Verb], Fault)) {
    let threads: Vec<_> = rows
        .into_iter()
        .map(|(verbs, fault)| (format!("{verbs:?} {fault:?}"), thread::spawn(move || row(verbs, fault))))
        .collect();
    let failed: Vec<String> =
        threads.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_fault_from_the_start_is_survived() {
    each_row(table(), |verbs, fault| {
        let api = Api::serving(Pod::of([Container::new("proxy")]));
        api.fault(verbs, &fault);
        let run = start(&api);
        let_pass(BROKEN);
        let asked = api.requests().len().max(api.connections());
        let only_watch = verbs == WATCH;
        assert!(only_watch || run.stdout.text().is_empty(), "{fault:?}: started without an answer");
        assert!(asked <= REQUESTS, "{fault:?}: {asked} requests in {BROKEN:?}");
        let healed = Instant::now();
        api.heal();
        let (_, started) = run.stdout.wait_for("started");
        let late = started.saturating_duration_since(healed);
        assert!(late < SOON, "{fault:?}: started {late:?} after it was well again");
        if only_watch {
            // Everybody is ready, so nothing is watched.
            assert_eq!(warnings(&run), 0, "{fault:?}:\n{}", run.stderr.text());
        } else {
            said_once(&run, &format!("{fault:?}"));
        }
    });
}

#[test]
fn a_fault_in_the_middle_is_survived() {
    // A 404 after the Pod was seen is no fault: it is gone.
    let rows = table().into_iter().filter(|(_, fault)| *fault != Fault::Status(404)).collect();
    each_row(rows, |verbs, fault| {
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        let run = start(&api);
        run.stderr.wait_for("waiting for the sidecars");
        api.wait_for(Verb::Watch, 1);
        let asked = || api.requests().len().max(api.connections());
        let before = asked();
        api.fault(verbs, &fault);
        api.cut_watches();
        let_pass(BROKEN);
        let asked = asked() - before;
        assert!(asked <= REQUESTS, "{fault:?}: {asked} requests in {BROKEN:?}");
        assert!(run.stdout.text().is_empty(), "{fault:?}: started without an answer");
        let healed = Instant::now();
        api.heal();
        // Not ready before it is well again, or a read alone would open the gate.
        run.stderr.wait_for("answers again");
        api.update(|pod| ready(pod, "proxy"));
        let (_, started) = run.stdout.wait_for("started");
        let late = started.saturating_duration_since(healed);
        assert!(late < SOON, "{fault:?}: started {late:?} after it was well again");
        said_once(&run, &format!("{fault:?}"));
    });
}

#[test]
fn a_failure_and_its_end_are_said_once() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    api.fail(&Fault::Status(500));
    let run = start(&api);
    api.wait_for_requests(4);
    api.heal();
    run.stdout.wait_for("started");
    let text = run.stderr.text();
    let warned: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(
        warned.iter().filter(|line| line.contains("etcdserver: request timed out")).count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("answers again").count(), 1, "one line says that it is well again:\n{text}");
}

/// A server that takes a connection and then leaves it alone costs a time-out
/// of the client's, whatever heals meanwhile.
#[test]
fn a_server_that_never_answers_is_given_up() {
    each_row(vec![(CONNECT, Fault::Deaf), (EVERYTHING, Fault::Silence)], |verbs, fault| {
        let api = Api::serving(Pod::of([Container::new("proxy")]));
        api.fault(verbs, &fault);
        let run = start(&api);
        api.wait_for_connections(1);
        api.heal();
        let healed = Instant::now();
        let (_, started) = run.stdout.wait_for("started");
        let late = started.saturating_duration_since(healed);
        assert!(late < 20 * SECOND, "{fault:?}: {late:?}");
    });
}

#[test]
fn a_watch_that_says_nothing_is_not_trusted() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    api.fault(WATCH, &Fault::Mute);
    let run = start(&api);
    let (_, started) = run.stdout.wait_for("started");
    let first = api.requests()[0].at;
    assert!(started - first < 10 * SECOND, "{:?}", started - first);
}

#[test]
fn a_pause_that_the_server_asks_for_is_kept() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    api.fail(&Fault::RetryAfter(429, "2"));
    let run = start(&api);
    api.wait_for_requests(1);
    api.heal();
    run.stdout.wait_for("started");
    let times: Vec<Instant> = api.requests().iter().map(|request| request.at).collect();
    assert!(times[1] - times[0] >= 2 * SECOND, "{:?}", times[1] - times[0]);
}

#[test]
fn a_pause_is_not_deaf_to_signals_and_ends_with_the_gate() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    api.fail(&Fault::RetryAfter(429, "600"));
    let run = start(&api);
    api.wait_for_requests(1);
    let asked = Instant::now();
    run.signal(nix::libc::SIGTERM);
    let done = run.wait().assert_code(143);
    assert!(done.at - asked < 5 * SECOND, "{:?}", done.at - asked);
    let run = Proa::new().api(&api).args(["--startup-timeout", "1s", "--shutdown-timeout", "1s"]);
    run.child("exit 0").run().assert_code(125).assert_took(SECOND..10 * SECOND);
}

#[test]
fn a_rotated_token_is_read_anew() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = start(&api);
    run.stderr.wait_for("waiting for the sidecars");
    // As at the end of a token's life: the new one is there, the old refused.
    api.new_token();
    api.publish_token();
    api.cut_watches();
    api.update(|pod| ready(pod, "proxy"));
    run.stdout.wait_for("started");
    // And the file that comes late.
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    api.new_token();
    let run = start(&api);
    api.wait_for_requests(3);
    api.publish_token();
    let published = Instant::now();
    let (_, started) = run.stdout.wait_for("started");
    assert!(started - published < SOON, "{:?}", started - published);
}

#[test]
fn without_the_right_to_watch_it_polls() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    api.fault(WATCH, &Fault::Status(403));
    let run = start(&api);
    api.wait_for(Verb::Get, 3);
    let gets: Vec<Instant> =
        api.requests().iter().filter(|request| request.verb == Verb::Get).map(|request| request.at).collect();
    assert!(gets[2] - gets[1] >= SECOND / 2, "polled after {:?}", gets[2] - gets[1]);
    api.update(|pod| ready(pod, "proxy"));
    run.stdout.wait_for("started");
    assert!(warnings(&run) <= 1, "{}", run.stderr.text());
}

#[test]
fn without_the_right_to_get_it_lists_its_own_pod() {
    for forbidden in [&[Verb::Get][..], &[Verb::Get, Verb::Watch]] {
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        api.fault(forbidden, &Fault::Status(403));
        let run = start(&api);
        run.stderr.wait_for("waiting for the sidecars");
        api.update(|pod| ready(pod, "proxy"));
        run.stdout.wait_for("started");
        let lists = api.requests().into_iter().filter(|request| request.verb == Verb::List);
        assert!(
            lists.into_iter().all(|list| list.target.contains("fieldSelector=metadata.name%3Djob-7x2kq"))
        );
    }
}

#[test]
fn refusals_end_after_half_a_minute_with_what_to_do() {
    let rows: Vec<(&'static [Verb], Fault)> =
        [401, 403, 404].into_iter().map(|code| (EVERYTHING, Fault::Status(code))).collect();
    each_row(rows, |verbs, fault| {
        let sidecar = Sidecar::good();
        let api = Api::serving(Pod::of([Container::new("proxy")]));
        api.fault(verbs, &fault);
        let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit"), "--shutdown-timeout", "1s"]);
        let begin = Instant::now();
        let run = run.sh("echo started").spawn();
        let_pass(20 * SECOND);
        assert!(run.stdout.text().is_empty());
        let done = run.wait().assert_code(125);
        let took = done.at - begin;
        assert!((29 * SECOND..45 * SECOND).contains(&took), "{fault:?}: {took:?}");
        assert!(api.requests().len() <= 60, "{fault:?}: {} requests", api.requests().len());
        assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
        match fault {
            Fault::Status(403) => done.assert_stderr(["watch", "pods", "Role", "verbs"]),
            Fault::Status(404) => done.assert_stderr(["work", "job-7x2kq", "token"]),
            _ => done.assert_stderr(["401", "token"]),
        };
    });
}

#[test]
fn a_watch_that_is_closed_in_order_is_opened_again_without_a_word() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    api.fault(WATCH, &Fault::CloseAfter(Duration::from_millis(50)));
    let run = start(&api);
    api.wait_for(Verb::Watch, 8);
    let watches: Vec<_> = api.requests().into_iter().filter(|request| request.verb == Verb::Watch).collect();
    let took = watches[7].at - watches[0].at;
    assert!(took >= SECOND, "8 watches in {took:?}: more than 5 a second");
    assert!(
        watches[7].target.contains("resourceVersion=1001"),
        "not from where it was: {}",
        watches[7].target
    );
    api.update(|pod| ready(pod, "proxy"));
    let moment = Instant::now();
    let (_, started) = run.stdout.wait_for("started");
    assert!(started - moment < 5 * SECOND);
    assert_eq!(warnings(&run), 0, "{}", run.stderr.text());
}

#[test]
fn a_bookmark_is_where_the_next_watch_begins() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    api.fault(WATCH, &Fault::CloseAfter(SECOND));
    let run = start(&api);
    run.stderr.wait_for("waiting for the sidecars");
    api.bookmark();
    api.wait_for(Verb::Watch, 2);
    let last = api.requests().into_iter().rfind(|request| request.verb == Verb::Watch).unwrap();
    assert!(last.target.contains("resourceVersion=1002"), "{}", last.target);
    assert_eq!(warnings(&run), 0, "{}", run.stderr.text());
}

#[test]
fn after_a_compaction_the_watch_begins_anew_at_once() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    api.fault(WATCH, &Fault::CloseAfter(SECOND / 2));
    let run = start(&api);
    run.stderr.wait_for("waiting for the sidecars");
    api.compact();
    let (gone, anew) = eventually("a watch without a version", || {
        let watches: Vec<_> =
            api.requests().into_iter().filter(|request| request.verb == Verb::Watch).collect();
        let anew = watches.iter().position(|watch| !watch.target.contains("resourceVersion=1"))?;
        Some((watches[anew - 1].at, watches[anew].at))
    });
    assert!(anew - gone < SECOND / 2, "a pause of {:?}", anew - gone);
    api.update(|pod| ready(pod, "proxy"));
    run.stdout.wait_for("started");
    assert_eq!(warnings(&run), 0, "{}", run.stderr.text());
}

#[test]
fn an_event_may_come_in_pieces() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    api.fault(EVERYTHING, &Fault::Pieces(SECOND));
    let run = start(&api);
    run.stdout.wait_for("started");
}

#[test]
fn a_teardown_does_not_wait_for_a_dead_api() {
    for (verbs, fault) in [(CONNECT, Fault::Refuse), (EVERYTHING, Fault::Silence), (CONNECT, Fault::Deaf)] {
        let sidecar = Sidecar::good();
        let api = Api::serving(Pod::of([Container::new("proxy")]));
        let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit"), "--shutdown-timeout", "2s"]);
        let run = run.sh("echo started; exec sleep 100").spawn();
        run.stdout.wait_for("started");
        api.wait_until_left_alone();
        api.fault(verbs, &fault);
        let told = Instant::now();
        run.signal(nix::libc::SIGHUP);
        let asked = sidecar.wait_for(1);
        assert!(asked[0].at - told < SECOND, "{:?}", asked[0].at - told);
        let done = run.wait().assert_code(129);
        assert!(done.at - told < 6 * SECOND, "{:?}", done.at - told);
    }
}

#[test]
fn a_teardown_survives_a_fault() {
    let api = Api::serving(Pod::of([Container::new("proxy")]));
    let run = start(&api);
    run.stdout.wait_for("started");
    api.fail(&Fault::Status(503));
    let before = api.requests().len();
    run.signal(nix::libc::SIGHUP);
    api.wait_for_requests(before + 3);
    api.update(|pod| terminate(pod, "proxy", 0));
    api.heal();
    run.wait().assert_code(129).assert_took(Duration::ZERO..20 * SECOND);
}

#[test]
fn a_timeout_says_what_the_api_said() {
    for (fault, part) in
        [(Fault::Status(404), "404"), (Fault::Status(403), "403"), (Fault::Refuse, "refused")]
    {
        let api = Api::serving(Pod::of([Container::new("proxy")]));
        api.fail(&fault);
        let run = Proa::new().api(&api).args(["--startup-timeout", "3s", "--shutdown-timeout", "1s"]);
        let done = run.child("exit 0").run().assert_code(125);
        let last = done.stderr.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
        assert!(last.contains(part), "no {part:?} in {last}");
    }
}
