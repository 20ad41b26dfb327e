//! `cargo run --example demo`: the real `proa` from gate to exit on any Linux
//! machine, without a cluster. A fake API server and two fake sidecars are
//! part of this program; they are those of `tests/cli`.
//!
//! The Pod has two sidecars: `proxy` serves after a second, `logger` at once.
//! Both have a quit endpoint and end some time after they were asked to.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a demonstration may stop and print, and has no outside"
)]

#[path = "../tests/cli/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use all of it")]
mod harness;

use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use harness::http::Asked;
use harness::{Answer, Api, Container, Done, Pod, Proa, Sidecar, binaries, pods};

/// What happened: when, to whom, and what.
type Event = (Instant, &'static str, String);

/// The two things that a fake sidecar and the rest of the world share: where
/// events go, and the API server, which learns that a sidecar has ended.
#[derive(Clone)]
struct World {
    events: Sender<Event>,
    api: Arc<OnceLock<Api>>,
}

fn main() -> ExitCode {
    println!("building proa ...");
    binaries::build(&["--bin", "proa"]);
    println!("one Pod, two sidecars, one command; this takes two seconds ...\n");
    let (events, happened) = channel();
    let world = World { events, api: Arc::default() };
    let start = Instant::now();
    let proxy = sidecar(&world, "proxy", Duration::from_secs(1), Duration::from_millis(50));
    let logger = sidecar(&world, "logger", Duration::ZERO, Duration::from_millis(250));
    let pod = Pod::of([
        Container::new("proxy").http_probe("/ready", proxy.port()),
        Container::new("logger").http_probe("/ready", logger.port()),
    ]);
    assert!(world.api.set(Api::serving(pod)).is_ok());
    let api = world.api.get().unwrap();
    let run = Proa::new().api(api).env("RUST_LOG", "info");
    let run = run.args(["-p", &proxy.url("/quitquitquit"), "-p", &logger.url("/quitquitquit")]);
    let done = run.sh("echo 'hello from the command'; sleep 0.3; exit 7").run();
    let events = happened.try_iter().chain(requests(api)).chain(lines(&done));
    print_in_order(start, events.collect());
    println!(
        "\nproa's exit code: {}; the command's own was 7",
        done.code().map_or("none".to_owned(), |code| code.to_string())
    );
    if done.code() == Some(7) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A sidecar that answers 503 for a while, and ends a while after it was
/// asked to.
fn sidecar(world: &World, name: &'static str, serves_after: Duration, ends_after: Duration) -> Sidecar {
    let begin = Instant::now();
    let world = world.clone();
    let mut last = String::new();
    Sidecar::new(move |asked| {
        let quits = asked.line() == "POST /quitquitquit";
        let status = if quits || begin.elapsed() >= serves_after { 200 } else { 503 };
        let event = format!("asked to {}, answers {status}", asked.line());
        // A hundred probes that fail are one event.
        if event != last {
            last.clone_from(&event);
            world.events.send((asked.at, name, event)).unwrap();
        }
        if quits {
            end_later(&world, name, asked, ends_after);
        }
        Answer::Status(status)
    })
}

/// What a kubelet does when the container has ended: it tells the API server.
fn end_later(world: &World, name: &'static str, asked: &Asked, after: Duration) {
    let (world, at) = (world.clone(), asked.at + after);
    thread::spawn(move || {
        thread::sleep(after);
        // The reader may have had enough by then.
        drop(world.events.send((at, name, "has ended; the kubelet tells the API server".to_owned())));
        world.api.get().unwrap().update(|pod| pods::terminate(pod, name, 0));
    });
}

fn requests(api: &Api) -> Vec<Event> {
    let requests = api.requests().into_iter();
    let told = |request: harness::apiserver::Request| {
        let what = format!("asked to {} the Pod (connection {})", request.verb.name(), request.connection);
        (request.at, "API server", what)
    };
    requests.map(told).collect()
}

/// What proa logged and the command printed.
fn lines(done: &Done) -> Vec<Event> {
    let logged = done.stderr_times.iter().zip(done.stderr.lines()).map(|(at, line)| {
        let words: Vec<&str> = line.splitn(2, "proa::").collect();
        let message =
            words.last().and_then(|rest| rest.split_once(": ")).map_or(line, |(_, message)| message);
        (*at, "proa", message.to_owned())
    });
    let printed = done
        .stdout_times
        .iter()
        .zip(done.stdout.lines())
        .map(|(at, line)| (*at, "command", format!("prints: {line}")));
    logged.chain(printed).collect()
}

fn print_in_order(start: Instant, mut events: Vec<Event>) {
    events.sort_by_key(|(at, _, _)| *at);
    println!("{:>7}  {:10}  what", "ms", "who");
    for (at, who, what) in events {
        println!("{:>7.1}  {who:10}  {what}", at.saturating_duration_since(start).as_secs_f64() * 1000.0);
    }
}
