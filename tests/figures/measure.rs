//! The measurements: each takes a program and gives numbers.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

use crate::front;
use crate::harness::{Api, Container, Pod, Sidecar, TempDir, eventually, pods, process};
use crate::programs::Program;

/// A way to turn the child's stamps into [`Instant`]s: both are
/// `CLOCK_MONOTONIC`.
fn instant_of(stamp: i64) -> Instant {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    let now_ns = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
    let ago = Duration::from_nanos(u64::try_from(now_ns - stamp).unwrap_or_default());
    Instant::now().checked_sub(ago).unwrap()
}

/// The stamps of a child, each when it has come.
fn stamps(run: &mut Child) -> impl Iterator<Item = Instant> + use<> {
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    // proa 0.1.3 logs to standard output, too.
    lines.map_while(Result::ok).filter_map(|line| Some(instant_of(line.trim().parse().ok()?)))
}

fn first_stamp(run: &mut Child) -> Instant {
    stamps(run).next().expect("the child's stamp")
}

/// Milliseconds between two moments.
fn ms(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}

/// Footprint while the child sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    pub rss: u64,
    pub anonymous: u64,
    pub threads: usize,
    /// Beyond standard input, output and error.
    pub descriptors: usize,
    pub wakeups: u64,
    pub peak: u64,
}

/// Measures a running wrapper: settled, then over `idle`.
pub fn footprint(pid: u32, idle: Duration) -> Footprint {
    // At once: it begins anew when the wrapper starts itself afresh.
    let peak = process::kilobytes(pid, "VmHWM");
    let settled = || process::kilobytes(pid, "VmRSS");
    let mut last = settled();
    // A wrapper that gives memory back does so within a moment.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        std::thread::sleep(Duration::from_millis(50));
        last = last.min(settled());
    }
    let before = process::voluntary_switches(pid);
    std::thread::sleep(idle);
    Footprint {
        rss: settled(),
        anonymous: process::kilobytes(pid, "RssAnon"),
        threads: process::threads(pid),
        descriptors: own_descriptors(pid),
        wakeups: process::voluntary_switches(pid) - before,
        peak,
    }
}

/// Descriptors beyond 0-2 that the wrapper did not get from us.
fn own_descriptors(pid: u32) -> usize {
    let inherited = process::descriptors(std::process::id());
    let open = process::descriptors(pid);
    open.iter().filter(|(number, file)| **number > 2 && inherited.get(number) != Some(file)).count()
}

/// The footprint of a wrapper without the API.
pub fn footprint_alone(program: &Program, stamp: &str, idle: Duration) -> Footprint {
    let mut command = program.alone(&[stamp, "wait"]);
    command.stdin(std::process::Stdio::piped());
    let mut run = command.spawn().unwrap();
    first_stamp(&mut run);
    let measured = footprint(run.id(), idle);
    drop(run.stdin.take());
    run.wait().unwrap();
    measured
}

/// One run through a Pod whose sidecar is not ready at first.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Ready event -> the child's first instruction.
    pub start: f64,
    /// The child's end -> the stop request arrives.
    pub stop: f64,
    /// The sidecar's end is told -> the wrapper has exited.
    pub exit: f64,
}

/// Runs through gate, run and teardown, with a child that runs for so long.
pub fn through_pod(program: &Program, stamp: &str, lasting: Duration) -> Run {
    let api = Api::asking_for_certificates(Pod::of([Container::not_ready("proxy")]));
    let sidecar = Sidecar::good();
    let home = TempDir::new();
    let url = sidecar.url("/quit");
    let command = [stamp, "wait"];
    let mut run = program.in_pod(&api, api.address().port(), &home, &url, &command).spawn().unwrap();
    if lasting.is_zero() {
        drop(run.stdin.take());
    }
    api.wait_for(crate::harness::Verb::Watch, 1);
    let ready = Instant::now();
    api.update(|pod| pods::ready(pod, "proxy"));
    let (child, end) = begin_and_end(&mut run, lasting);
    let asked = sidecar.wait_for(1)[0].at;
    api.wait_for(crate::harness::Verb::Watch, 2);
    let told = Instant::now();
    api.update(|pod| pods::terminate(pod, "proxy", 0));
    run.wait().unwrap();
    Run { start: ms(ready, child), stop: ms(end, asked), exit: ms(told, Instant::now()) }
}

/// Lets the child run for so long.
fn begin_and_end(run: &mut Child, lasting: Duration) -> (Instant, Instant) {
    let mut stamps = stamps(run);
    let mut next = || stamps.next().expect("a stamp");
    let begin = next();
    std::thread::sleep(lasting);
    drop(run.stdin.take());
    (begin, next())
}

/// The child's end -> the stop request arrives, with the least that a wrapper
/// can do in between (`bare.c`).
pub fn bare_stop(bare: &str, stamp: &str, lasting: Duration) -> f64 {
    let sidecar = Sidecar::good();
    let mut run = std::process::Command::new(bare);
    run.arg(format!("--shutdown-http-post={}", sidecar.url("/quit"))).args(["--", stamp, "wait"]);
    let mut run =
        run.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let (_, end) = begin_and_end(&mut run, lasting);
    let asked = sidecar.wait_for(1)[0].at;
    run.wait().unwrap();
    ms(end, asked)
}

/// Wall and CPU milliseconds of a whole run, and its page faults.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    pub wall: f64,
    pub cpu: f64,
    pub faults: f64,
}

fn whole(mut command: std::process::Command) -> Whole {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let total = usage.user_time() + usage.system_time();
        let cpu = total.tv_sec() as f64 * 1000.0 + total.tv_usec() as f64 / 1000.0;
        (cpu, usage.minor_page_faults() as f64)
    };
    let ((cpu, faults), start) = (used(), Instant::now());
    let mut run = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    drop(run.stdin.take());
    run.wait().unwrap();
    let wall = ms(start, Instant::now());
    let after = used();
    Whole { wall, cpu: after.0 - cpu, faults: after.1 - faults }
}

/// `wrapper -- true` with nobody to wait for.
pub fn whole_alone(program: &Program) -> Whole {
    whole(program.alone(&["true"]))
}

/// `wrapper -- true` in a Pod without sidecars, from the fork on.
pub fn whole_in_pod(program: &Program) -> Whole {
    let api = Api::asking_for_certificates(Pod::new());
    let home = TempDir::new();
    let sidecar = Sidecar::good();
    whole(program.in_pod(&api, api.address().port(), &home, &sidecar.url("/quit"), &["true"]))
}

/// What a Pod's life costs the API server.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    pub connections: u64,
    pub requests: usize,
    pub up: u64,
    pub down: u64,
    /// Footprint of the wrapper while the child ran.
    pub footprint: Footprint,
}

/// Counts a Pod's life: ready after one change, ended after another.
pub fn traffic(program: &Program, stamp: &str, padding: usize, idle: Duration) -> Traffic {
    let padding = "x".repeat(padding);
    let api = Api::asking_for_certificates(
        Pod::of([Container::not_ready("proxy")]).annotation("padding", &padding),
    );
    let sidecar = Sidecar::good();
    let home = TempDir::new();
    let (port, counts) = front::before(api.address());
    let url = sidecar.url("/quit");
    let mut run = program.in_pod(&api, port, &home, &url, &[stamp, "wait"]).spawn().unwrap();
    api.wait_for(crate::harness::Verb::Watch, 1);
    api.update(|pod| pods::ready(pod, "proxy"));
    first_stamp(&mut run);
    let footprint = footprint(run.id(), idle);
    drop(run.stdin.take());
    sidecar.wait_for(1);
    api.wait_for(crate::harness::Verb::Watch, 2);
    api.update(|pod| pods::terminate(pod, "proxy", 0));
    run.wait().unwrap();
    eventually("the connections are closed", || api_is_left(&api).then_some(()));
    Traffic {
        connections: counts.connections.load(Ordering::Relaxed),
        requests: api.requests().len(),
        up: counts.up.load(Ordering::Relaxed),
        down: counts.down.load(Ordering::Relaxed),
        footprint,
    }
}

fn api_is_left(api: &Api) -> bool {
    api.wait_until_left_alone();
    true
}
