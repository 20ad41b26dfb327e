//! SPEC section 6: every signal reaches the command, in every phase, as often
//! as it comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::libc;

use crate::harness::pods::{ready, terminate};
use crate::harness::{Answer, Api, Container, Pod, Proa, Running, Sidecar, Verb, eventually, pid1, process};

const SECOND: Duration = Duration::from_secs(1);

/// What is forwarded: all but KILL and STOP, which nobody can catch, CHLD,
/// those that mean a fault of the wrapper's own, and what the C library uses.
fn forwarded() -> Vec<i32> {
    let never = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGCHLD,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
        32,
        33,
    ];
    (1..=64).filter(|number| !never.contains(number)).collect()
}

/// A run plain, and one as PID 1 where that is possible.
fn both(test: &str) -> Vec<Proa> {
    let plain = Proa::without_api();
    match pid1::prefix(test) {
        Some(_) => vec![plain, Proa::without_api().pid1()],
        None => vec![plain],
    }
}

#[test]
fn each_signal_is_forwarded() {
    for run in both("each_signal_is_forwarded") {
        let run = run.child("tell-signals").spawn();
        run.stdout.wait_for("ready");
        let pid = run.pid();
        let (last, others): (Vec<i32>, Vec<i32>) = forwarded().into_iter().partition(|n| *n == libc::SIGTERM);
        for number in others.into_iter().chain(last) {
            run.signal(number);
            run.stdout.wait_for(&format!("got {number};"));
            assert_ne!(process::state(pid), Some('T'), "stopped by {number}");
        }
        run.wait().assert_code(0);
    }
}

#[test]
fn the_wrapper_never_stops() {
    for run in both("the_wrapper_never_stops") {
        // The command stops, as its own disposition says; the wrapper stays.
        let run = run.child("wait").spawn();
        run.stdout.wait_for("ready");
        let child = run.child();
        for number in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            run.signal(number);
            eventually("a stopped command", || (process::state(child) == Some('T')).then_some(()));
            assert_ne!(process::state(run.pid()), Some('T'));
            run.signal(libc::SIGCONT);
            eventually("a command that goes on", || (process::state(child) == Some('S')).then_some(()));
        }
        run.signal(libc::SIGTERM);
        run.wait().assert_code(143);
    }
}

#[test]
fn a_second_signal_is_forwarded_too() {
    let run = Proa::without_api().child("ignore 15").spawn();
    run.stdout.wait_for("ready");
    run.signal(libc::SIGTERM);
    run.signal(libc::SIGTERM);
    run.signal(libc::SIGINT);
    run.wait().assert_code(130);
}

/// Real-time signals are queued, so each one counts; the others merge while
/// they wait, so at least one of a burst arrives.
#[test]
fn a_storm_loses_nothing() {
    let run = Proa::without_api().child("count-signals").spawn();
    run.stdout.wait_for("ready");
    let (pid, rounds) = (run.pid(), 1000);
    for _ in 0..rounds {
        for number in [34, 50, 64, libc::SIGUSR1, libc::SIGHUP, libc::SIGCONT, libc::SIGWINCH, libc::SIGURG] {
            assert!(process::kill(pid, number));
        }
    }
    let pending = || process::signal_set(pid, "ShdPnd") | process::signal_set(run.child(), "ShdPnd");
    eventually("an end of the storm", || (pending() == 0).then_some(()));
    run.signal(libc::SIGTERM);
    let done = run.wait().assert_code(0);
    let counts: BTreeMap<i32, u32> = done
        .stdout
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(number, count)| (number.parse().unwrap(), count.parse().unwrap()))
        .collect();
    for number in [34, 50, 64] {
        assert_eq!(counts.get(&number), Some(&rounds), "signal {number} of {counts:?}");
    }
    for number in [libc::SIGUSR1, libc::SIGHUP, libc::SIGWINCH, libc::SIGURG] {
        let count = counts.get(&number).copied().unwrap_or_default();
        assert!((1..=rounds).contains(&count), "signal {number} of {counts:?}");
    }
}

/// Signal and exit code, where the signal's default is to terminate.
const ENDS: [(i32, i32); 8] =
    [(15, 143), (2, 130), (1, 129), (3, 131), (10, 138), (12, 140), (14, 142), (34, 162)];

#[test]
fn a_signal_ends_the_gate() {
    for (number, code) in ENDS {
        let sidecar = Sidecar::good();
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).sh("echo started").spawn();
        api.wait_for(Verb::Watch, 1);
        let told = Instant::now();
        run.signal(number);
        let done = run.wait().assert_code(code);
        assert!(done.at - told < 3 * SECOND, "{:?}", done.at - told);
        assert_eq!((done.stdout.as_str(), sidecar.asked_lines()), ("", vec!["POST /quit".to_owned()]));
    }
}

#[test]
fn a_gate_that_ends_waits_for_no_stop_request_that_hangs() {
    let sidecar = Sidecar::answering([Answer::Hang]);
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).sh("echo started").spawn();
    api.wait_for(Verb::Watch, 1);
    let told = Instant::now();
    run.signal(libc::SIGTERM);
    let done = run.wait().assert_code(143);
    assert!(done.at - told < 4 * SECOND, "{:?}", done.at - told);
    assert_eq!(sidecar.asked().len(), 1);
}

#[test]
fn other_signals_leave_the_gate_alone() {
    let runs = [false, true].map(|pid1| pid1 && pid1::prefix("other_signals_leave_the_gate_alone").is_some());
    for as_pid1 in runs {
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]));
        let run = Proa::new().api(&api).sh("echo started; exec sleep 100");
        let run = if as_pid1 { run.pid1() } else { run }.spawn();
        api.wait_for(Verb::Watch, 1);
        for number in [
            libc::SIGPIPE,
            libc::SIGCHLD,
            libc::SIGCONT,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
            libc::SIGURG,
            libc::SIGWINCH,
        ] {
            run.signal(number);
        }
        let moment = Instant::now();
        api.update(|pod| ready(pod, "proxy"));
        let (_, started) = run.stdout.wait_for("started");
        assert!(started >= moment);
    }
}

#[test]
fn signals_for_the_group_reach_all_of_it() {
    let test = |options: &[&str]| {
        let run = Proa::without_api().args(options).child("grandchild tell-signals").spawn();
        run.stdout.wait_for("ready");
        run.signal(libc::SIGUSR1);
        run
    };
    let run = test(&["--signal-group"]);
    run.stdout.wait_for("got 10");
    run.signal(libc::SIGTERM);
    run.wait().assert_code(0);
    // Otherwise the command alone gets it, and this one is deaf to it.
    let run = test(&[]);
    let grandchild = process::children(run.child())[0].0;
    process::kill(grandchild, libc::SIGTERM);
    let done = run.wait().assert_code(0);
    assert!(!done.stdout.contains("got 10"), "{}", done.stdout);
}

/// A run whose command has ended with 7, and whose sidecar has been told to
/// stop but does not.
fn in_teardown() -> (Api, Sidecar, Running) {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 7").spawn();
    sidecar.wait_for(1);
    (api, sidecar, run)
}

#[test]
fn a_signal_ends_the_waiting_of_teardown() {
    for number in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, 40]
    {
        let (_api, _sidecar, run) = in_teardown();
        let told = Instant::now();
        run.signal(number);
        let done = run.wait().assert_code(7);
        assert!(done.at - told < 3 * SECOND, "{number}: {:?}", done.at - told);
    }
}

#[test]
fn a_signal_in_teardown_lets_each_action_have_its_first_attempt() {
    let sidecar = Sidecar::answering([Answer::Hang]);
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(60));
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 7").spawn();
    sidecar.wait_for(1);
    let told = Instant::now();
    run.signal(libc::SIGTERM);
    let done = run.wait().assert_code(7);
    let took = done.at - told;
    assert!((SECOND..4 * SECOND).contains(&took), "{took:?}");
}

#[test]
fn other_signals_change_nothing_in_teardown() {
    let (api, _sidecar, run) = in_teardown();
    for number in [libc::SIGPIPE, libc::SIGCHLD, libc::SIGCONT, libc::SIGTSTP, libc::SIGURG, libc::SIGWINCH] {
        run.signal(number);
    }
    // It still listens to the API.
    let moment = Instant::now();
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "proxy", 0));
    let done = run.wait().assert_code(7);
    assert!(done.at >= moment);
}

/// SIGTERM at any moment from the first instruction on: it ends the run with
/// 143 or kills the wrapper that has not begun to listen; no child stays.
#[test]
fn a_signal_at_any_moment_is_never_lost() {
    let rounds: u32 =
        std::env::var("PROA_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    for round in 0..rounds {
        let run = Proa::without_api().env("RUST_LOG", "off").child("wait").spawn();
        let pid = run.pid();
        // No randomness: 0 to 6 ms in steps that never repeat.
        let delay = Duration::from_micros(u64::from(round * 6000 / rounds));
        let begin = Instant::now();
        while begin.elapsed() < delay {
            std::hint::spin_loop();
        }
        process::kill(pid, libc::SIGTERM);
        let children = process::children(pid);
        let done = run.wait();
        let signal = std::os::unix::process::ExitStatusExt::signal(&done.status);
        assert!(done.code() == Some(143) || signal == Some(15), "after {delay:?}: {:?}", done.status);
        for (child, _) in children {
            eventually("no child", || (!process::alive(child)).then_some(()));
        }
    }
}

/// The same as PID 1, from the moment on when signals find it awake: before,
/// the kernel drops what PID 1 has no handler for (`pid_namespaces(7)`).
#[test]
fn a_signal_at_any_moment_is_never_lost_as_pid_1() {
    if pid1::prefix("a_signal_at_any_moment_is_never_lost_as_pid_1").is_none() {
        return;
    }
    for round in 0..40_u64 {
        let run = Proa::without_api().pid1().env("RUST_LOG", "off").child("wait").spawn();
        run.wait_until_deaf_to_nothing();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(round * 100) {
            std::hint::spin_loop();
        }
        run.signal(libc::SIGTERM);
        run.wait().assert_code(143);
    }
}
