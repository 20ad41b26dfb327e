//! SPEC section 4: the API server as it is found in real clusters.

use std::time::{Duration, Instant};

use crate::api_faults::start;
use crate::harness::pods::{ready, terminate};
use crate::harness::{Api, Container, Fault, Pod, Proa, TempDir, Verb};
use crate::harness::{eventually, let_pass, not_run_here, process};

fn pod() -> Pod {
    Pod::of([Container::new("proxy")])
}

#[test]
fn its_address_may_be_ipv6() {
    let Some(api) = Api::serving_on_ipv6(pod()) else {
        not_run_here("its_address_may_be_ipv6", "no ::1");
        return;
    };
    start(&api).stdout.wait_for("started");
}

/// Some providers put a name there.
#[test]
fn its_address_may_be_a_name() {
    let api = Api::serving(pod());
    let run =
        Proa::new().api(&api).env("KUBERNETES_SERVICE_HOST", "localhost").sh("echo started; exec sleep 100");
    run.spawn().stdout.wait_for("started");
}

#[test]
fn there_may_be_several_authorities() {
    let api = Api::serving(pod());
    let ours = std::fs::read_to_string(api.account().join("ca.crt")).unwrap();
    let bundle = format!("# old\r\n{}\n# new\n{ours}\n", Api::other_authority());
    std::fs::write(api.account().join("ca.crt"), bundle).unwrap();
    start(&api).stdout.wait_for("started");
}

#[test]
fn the_token_may_end_with_a_line_feed() {
    let api = Api::serving(pod());
    std::fs::write(api.account().join("token"), format!("{}\n", api.token())).unwrap();
    start(&api).stdout.wait_for("started");
}

#[test]
fn a_service_account_that_cannot_be_used_is_said() {
    let api = Api::serving(pod());
    for (name, content, word) in [
        ("ca.crt", Some("no certificate"), "certificate"),
        ("ca.crt", None, "ca.crt"),
        ("token", Some("two\nlines\x01"), "token"),
    ] {
        let account = TempDir::new();
        for file in ["ca.crt", "token", "namespace"] {
            std::fs::copy(api.account().join(file), account.join(file)).unwrap();
        }
        match content {
            Some(content) => drop(account.write(name, content)),
            None => std::fs::remove_file(account.join(name)).unwrap(),
        }
        let run = Proa::new().api(&api).env("PROA_SERVICE_ACCOUNT_DIR", account.path());
        let run =
            run.env("POD_NAME", "job-7x2kq").args(["--startup-timeout", "1s", "--shutdown-timeout", "1s"]);
        run.child("exit 7").run().assert_code(125).assert_stderr([word]);
    }
}

/// Other forms of `Retry-After` (RFC 9110, section 10.2.3), and nonsense.
#[test]
fn a_pause_that_cannot_be_read_is_a_short_one() {
    for time in ["Wed, 21 Oct 2065 07:28:00 GMT", "-1", "99999999999999999999", "1.5", "soon", ""] {
        let api = Api::serving(pod());
        api.fail(&Fault::RetryAfter(503, time));
        let run = start(&api);
        api.wait_for_requests(1);
        api.heal();
        if time.starts_with('9') {
            run.signal(nix::libc::SIGTERM);
            run.wait().assert_code(143);
        } else {
            run.stdout.wait_for("started");
        }
    }
}

/// A server, or somebody between, that never stops talking: memory stays
/// small, and the gate opens when it is well again.
#[test]
fn an_answer_without_end_is_cut() {
    for verbs in [&Verb::REQUESTS[..], &[Verb::Watch]] {
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        api.fault(verbs, &Fault::Endless);
        let run = start(&api);
        let broken = if verbs.len() == 1 {
            Verb::Watch
        } else {
            api.wait_for_requests(1);
            api.requests()[0].verb
        };
        api.wait_for(broken, 2);
        let peak = process::kilobytes(run.pid(), "VmHWM");
        // The binary itself is mapped, and a debug build is large.
        assert!(peak < 80_000, "{peak} kB");
        api.update(|pod| ready(pod, "proxy"));
        api.heal();
        run.stdout.wait_for("started");
    }
}

#[test]
fn a_signal_is_heard_whatever_the_server_does() {
    for (verb, fault) in
        [(Verb::Connect, Fault::Deaf), (Verb::Get, Fault::Silence), (Verb::Watch, Fault::Mute)]
    {
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        let verbs = if verb == Verb::Get { &Verb::REQUESTS[..] } else { &[verb] };
        api.fault(verbs, &fault);
        let run = start(&api);
        api.wait_for_connections(1);
        let told = Instant::now();
        run.signal(nix::libc::SIGTERM);
        let done = run.wait().assert_code(143);
        assert!(done.at - told < Duration::from_secs(4), "{fault:?}: {:?}", done.at - told);
    }
}

/// The server is asked to end a watch after 40 s; one that has said nothing for 50 s is dead, and
/// the next one goes on where it was. That is no warning: a silent Pod looks the same.
#[test]
fn a_watch_that_dies_without_a_word_is_opened_again() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    api.fault(&[Verb::Watch], &Fault::Mute);
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    let opened = api.requests().into_iter().rfind(|request| request.verb == Verb::Watch).unwrap();
    assert!(opened.target.contains("timeoutSeconds=40"), "{}", opened.target);
    api.heal();
    api.update(|pod| ready(pod, "proxy"));
    let_pass(Duration::from_secs(20));
    assert!(run.stdout.text().is_empty(), "who told it?");
    let (_, started) = run.stdout.wait_for("started");
    let took = started - opened.at;
    assert!((Duration::from_secs(45)..Duration::from_mins(1)).contains(&took), "{took:?}");
    assert_eq!(api.count(Verb::Watch), 2);
    assert!(!run.stderr.text().contains("trying again"), "{}", run.stderr.text());
}

/// A machine that is gone answers no keepalive: the first goes out after 10 s.
#[test]
fn the_kernel_looks_whether_the_server_is_still_there() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = start(&api);
    api.wait_for(Verb::Watch, 1);
    let (place, established) = (format!(":{:04X}", api.address().port()), "01");
    let seconds = eventually("a timer of the connection", || {
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", run.pid())).unwrap();
        let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let ours = rows.find(|fields| fields[2].ends_with(&place) && fields[3] == established)?;
        // `02`: keepalive; then when it is due, in hundredths of a second (proc(5)).
        let due = ours[5].strip_prefix("02:")?;
        Some(u64::from_str_radix(due, 16).unwrap() / 100)
    });
    assert!(seconds <= 10, "{seconds} s");
}

/// A token lives for an hour; the command may run for a day.
#[test]
fn teardown_uses_the_token_of_its_time() {
    let api = Api::serving(pod().grace(60));
    let run = Proa::new().api(&api).child("on 10 exit 7").spawn();
    run.stdout.wait_for("ready");
    api.new_token();
    api.publish_token();
    run.signal(10);
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "proxy", 0));
    run.wait().assert_code(7);
    assert!(api.requests().iter().all(|request| request.authorized), "{:#?}", api.requests());
}

/// Without a watch nobody says DELETED; the Pod is just not there any more.
#[test]
fn a_pod_that_is_gone_is_noticed_by_polling() {
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    api.fault(&[Verb::Watch], &Fault::Status(403));
    let run = start(&api);
    run.stderr.wait_for("waiting for the sidecars");
    api.delete();
    assert_eq!(run.wait().assert_code(143).stdout, "");
}
