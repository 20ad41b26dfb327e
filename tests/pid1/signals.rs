//! Signals on their way to the child.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::libc;
use proa::os::signals::Signal;

use crate::case::{Case, Place, SCRATCH, hanging, nobody_is_left};
use crate::matrix::Behaviour;
use crate::output::until;
use crate::programs::Reach;
use crate::running::{End, Running};
use crate::{proc, sys};

pub const ROWS: &[Behaviour] = &[
    Behaviour::both("every signal from 1 to 64 that can be caught reaches the child", every_signal),
    Behaviour::init("real-time signals arrive as often as they were queued", queued),
    Behaviour::init("a storm of 5000 real-time signals arrives whole", storm),
    Behaviour::both(
        "SIGTERM at any moment of the start is not lost, and leaves no child",
        term_at_any_moment,
    ),
    Behaviour::both("SIGTERM at any moment around the gate's opening: the same", term_at_the_gate).ours(),
    Behaviour::both(
        "SIGTERM at any moment around the child's end: 143, or the child's code",
        term_at_the_end,
    ),
    Behaviour::both("a second SIGTERM is forwarded too", second_term),
    Behaviour::init("signals for the group reach a grandchild", group),
    Behaviour::init("signals for the child alone do not reach a grandchild", child_alone),
    Behaviour::both(
        "TSTP, TTIN, TTOU and CONT reach the child as they are, and do not stop the wrapper",
        stops,
    ),
    Behaviour::init("a child that stops and goes on (STOP, CONT) is not taken for ended", child_stops),
    Behaviour::plain("killed by SIGKILL, it takes the child with it", killed),
];

/// What makes a process stop; some programs have plans of their own with it.
const STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
/// The C library keeps 32 and 33 to itself (`signal(7)`).
const REALTIME: std::ops::RangeInclusive<i32> = 34..=64;

/// `TERM`, `RTMIN+3`, or the number of those that the C library keeps.
pub fn name(number: i32) -> String {
    let name = Signal::from_raw(number).to_string();
    name.trim_start_matches("SIG").trim_start_matches("signal ").to_owned()
}

/// Names, with runs of real-time signals cut short.
fn names(numbers: &BTreeSet<i32>) -> String {
    let all_realtime = REALTIME.clone().all(|number| numbers.contains(&number));
    let shown = numbers.iter().filter(|number| !all_realtime || !REALTIME.contains(number));
    let mut words: Vec<_> = shown.map(|number| name(*number)).collect();
    if all_realtime {
        words.push("34-64".to_owned());
    }
    words.join(" ")
}

/// Those that a child has told of.
fn told(text: &str) -> BTreeSet<i32> {
    text.split("got ").skip(1).filter_map(|rest| rest.split_once(';')?.0.parse().ok()).collect()
}

fn every_signal(case: &Case<'_>) -> Result<()> {
    let special = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTERM, libc::SIGCONT];
    let mut wanted: BTreeSet<i32> = (1..=64).collect();
    wanted.retain(|number| !special.contains(number) && !STOPS.contains(number));
    let mut run = case.start(&["tell-signals"]).go()?;
    run.expect("ready")?;
    let mut lost = BTreeSet::new();
    // What is lost once need not be waited for again.
    for _ in 0..3 {
        let hoped: BTreeSet<_> = wanted.difference(&lost).copied().collect();
        run.signal(libc::SIGCHLD)?;
        for number in &wanted {
            run.signal(*number)?;
        }
        run.out.until_enough(|text| told(text).is_superset(&hoped));
        if run.has_ended() {
            anyhow::bail!("{}", run.end()?);
        }
        let got = told(&run.out.rest());
        ensure!(!got.contains(&libc::SIGCHLD), "forwards CHLD");
        lost = wanted.difference(&got).copied().collect();
        run.out.skip();
    }
    run.terminate(0)?;
    ensure!(lost.is_empty(), "loses {}", names(&lost));
    Ok(())
}

fn queued(case: &Case<'_>) -> Result<()> {
    const EACH: usize = 10;
    let mut run = case.start(&["tell-signals"]).go()?;
    run.expect("ready")?;
    for _ in 0..EACH {
        for number in REALTIME {
            run.signal(number)?;
        }
    }
    let count = |text: &str| text.matches("got ").count();
    let wanted = EACH * REALTIME.count();
    run.out.until_enough(|text| count(text) == wanted);
    let text = run.out.rest();
    ensure!(count(&text) == wanted, "{} of {wanted}", count(&text));
    for number in REALTIME {
        let got = text.matches(&format!("got {number};")).count();
        ensure!(got == EACH, "{} {got} times of {EACH}", name(number));
    }
    run.terminate(0)
}

fn storm(case: &Case<'_>) -> Result<()> {
    const ALL: u32 = 5000;
    let mut run = case.start(&["count-signals"]).go()?;
    run.expect("ready\n")?;
    let child = run.child()?;
    for number in REALTIME.cycle().take(usize::try_from(ALL)?) {
        run.signal(number)?;
    }
    // In this order: what the wrapper has sent is pending in the child.
    run.settle()?;
    ensure!(until(|| proc::is_idle(child)), "the child does not come to rest");
    run.terminate(0)?;
    let text = run.out.all();
    let counts = text.lines().filter_map(|line| line.split_once(": "));
    let realtime = counts.filter(|(number, _)| number.parse().is_ok_and(|number| REALTIME.contains(&number)));
    let got: u32 = realtime.filter_map(|(_, count)| count.parse::<u32>().ok()).sum();
    ensure!(got == ALL, "{got} of {ALL}");
    Ok(())
}

/// How long the program takes from exec to its child's first word.
fn start_time(case: &Case<'_>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..9 {
        let mut run = case.start(&["wait"]).go()?;
        let begin = Instant::now();
        run.expect("ready")?;
        times.push(begin.elapsed());
        run.terminate(128 + libc::SIGTERM)?;
    }
    times.sort();
    Ok(times[times.len() / 2])
}

/// PID 1 gets no signal before it asks for it (`pid_namespaces(7)`), so there
/// the start begins when the program has blocked or caught SIGTERM.
///
/// In `sigtimedwait(2)` nothing looks blocked; by then it has forked.
fn hears(run: &Running) -> bool {
    let bit = 1 << (libc::SIGTERM - 1);
    let caught = || (proc::set(run.pid, "SigBlk") | proc::set(run.pid, "SigCgt")) & bit != 0;
    while !caught() && proc::children(run.pid).is_empty() {
        if run.has_ended() {
            return false;
        }
    }
    true
}

/// Lets a time pass that is shorter than the kernel's timers are exact.
fn spin(delay: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < delay {
        std::hint::spin_loop();
    }
}

/// Sends SIGTERM after a random part of `span`, so often, and returns how
/// often the child had not said a word by then. One of `codes` must come out.
fn term_within(
    case: &Case<'_>,
    (span, times): (Duration, u32),
    codes: &[i32],
    begin: impl Fn() -> Result<Running>,
) -> Result<u32> {
    let mut early = 0;
    for time in 1..=times {
        let mut run = begin()?;
        let delay = case.random(span);
        spin(delay);
        run.signal(libc::SIGTERM)?;
        let when = format!("in run {time}, after {} µs", delay.as_micros());
        let end = run.end().map_err(|_| anyhow::anyhow!("lost {when}"))?;
        let code = match end {
            End::Code(code) => code,
            // Before the first instruction of ours.
            End::Signal(number) if case.place == Place::Plain && number == libc::SIGTERM => 128 + number,
            End::Signal(_) => -1,
        };
        ensure!(codes.contains(&code), "{end} {when}");
        early += u32::from(!run.out.has("ready"));
        if case.place == Place::Plain {
            nobody_is_left().context(when)?;
        }
    }
    Ok(early)
}

fn term_at_any_moment(case: &Case<'_>) -> Result<()> {
    let span = start_time(case)?.mul_f64(1.3);
    let times = case.times(1000, 200);
    let early = term_within(case, (span, times), &[128 + libc::SIGTERM], || {
        let run = case.start(&["wait"]).go()?;
        ensure!(case.place == Place::Plain || hears(&run), "ends by itself");
        Ok(run)
    })?;
    ensure!(early > times / 10, "BUG: only {early} of {times} before the child ran");
    case.note.replace(format!("pass, {times} times, {early} before the child ran"));
    Ok(())
}

fn term_at_the_gate(case: &Case<'_>) -> Result<()> {
    const TIMES: u32 = 300;
    let ready = format!("{SCRATCH}/ready");
    // A probe looks every 5 to 40 ms; then the child starts.
    let span = Duration::from_millis(15) + start_time(case)?;
    let early = term_within(case, (span, TIMES), &[128 + libc::SIGTERM], || {
        std::fs::write(&ready, "")?;
        let run = case.start(&["wait"]).options(&["--ready-file", &ready]).go()?;
        ensure!(hears(&run), "ends by itself");
        std::fs::write(&ready, "now")?;
        Ok(run)
    })?;
    case.note.replace(format!("pass, {TIMES} times, {early} before the child ran"));
    Ok(())
}

fn term_at_the_end(case: &Case<'_>) -> Result<()> {
    let span = start_time(case)?.mul_f64(1.5);
    let times = case.times(300, 100);
    term_within(case, (span, times), &[7, 128 + libc::SIGTERM], || {
        let run = case.start(&["exit", "7"]).go()?;
        if case.is_init() {
            hears(&run);
        }
        Ok(run)
    })?;
    case.note.replace(format!("pass, {times} times"));
    Ok(())
}

fn second_term(case: &Case<'_>) -> Result<()> {
    let script = "trap 'echo got; [ $second ] && exit 5; second=yes' TERM; echo ready; while :; do sleep 100 & wait; done";
    let words = ["/bin/sh", "-c", script].map(Into::into);
    let mut run = case.start_command(Reach::Child, &words).go()?;
    run.expect("ready")?;
    for _ in 0..2 {
        run.signal(libc::SIGTERM)?;
        run.expect("got")?;
    }
    run.must_exit(5)
}

fn group(case: &Case<'_>) -> Result<()> {
    let mut run = case.start_with(Reach::Group, &["grandchild", "tell-signals"]).go()?;
    run.expect("ready")?;
    run.signal(libc::SIGUSR1)?;
    run.expect("got 10;")?;
    run.terminate(0)
}

fn child_alone(case: &Case<'_>) -> Result<()> {
    let mut run = case.start_with(Reach::Child, &["grandchild", "tell-signals"]).go()?;
    run.expect("ready")?;
    let child = run.child()?;
    let below = *proc::children(child).first().context("BUG: no grandchild")?;
    run.signal(libc::SIGUSR1)?;
    run.settle()?;
    // Higher than the other, so it would be told after it.
    sys::send(below, libc::SIGUSR2)?;
    let before = run.out.until("got 12;")?;
    ensure!(!before.contains("got 10;"), "the grandchild gets it");
    sys::send(below, libc::SIGTERM)?;
    run.must_exit(0)
}

fn stops(case: &Case<'_>) -> Result<()> {
    let mut run = case.start(&["tell-signals"]).go()?;
    run.expect("ready")?;
    let child = run.child()?;
    for number in STOPS.into_iter().chain([libc::SIGCONT]) {
        run.signal(number)?;
        let stopped = || proc::state(run.pid) == 'T' || proc::state(child) == 'T';
        let text = format!("got {number};");
        let mut came = false;
        until(|| {
            came = run.out.has(&text);
            came || stopped()
        });
        ensure!(proc::state(run.pid) != 'T', "{} stops it", name(number));
        ensure!(proc::state(child) != 'T', "{} becomes STOP", name(number));
        ensure!(came, "{} does not arrive", name(number));
    }
    run.terminate(0)?;
    // A child with default dispositions does stop, and goes on.
    let mut run = case.start(&["wait"]).go()?;
    run.expect("ready")?;
    let child = run.child()?;
    for number in STOPS {
        run.signal(number)?;
        ensure!(until(|| proc::state(child) == 'T'), "{} does not stop a child", name(number));
        run.signal(libc::SIGCONT)?;
        ensure!(until(|| proc::state(child) == 'S'), "CONT does not continue a child");
    }
    run.terminate(128 + libc::SIGTERM)
}

fn child_stops(case: &Case<'_>) -> Result<()> {
    let mut run = case.start(&["wait"]).go()?;
    run.expect("ready")?;
    let child = run.child()?;
    for _ in 0..20 {
        sys::send(child, libc::SIGSTOP)?;
        ensure!(until(|| proc::state(child) == 'T'), "BUG: cannot stop the child");
        sys::send(child, libc::SIGCONT)?;
        ensure!(until(|| proc::state(child) == 'S'), "the child does not go on");
        run.settle()?;
        ensure!(!run.has_ended(), "takes it for ended");
    }
    run.terminate(128 + libc::SIGTERM)
}

fn killed(case: &Case<'_>) -> Result<()> {
    let mut run = case.start(&["wait"]).go()?;
    run.expect("ready")?;
    let child = run.child()?;
    run.signal(libc::SIGKILL)?;
    ensure!(run.end()? == End::Signal(libc::SIGKILL), hanging());
    // It is ours now: the cell is PID 1.
    let gone = until(|| proc::state(child) == 'Z' || proc::state(child) == 'X');
    ensure!(gone, "the child lives on");
    Ok(())
}
