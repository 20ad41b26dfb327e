//! How long after its sidecar begins to serve the command starts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::contestants::{BOTH, Contestant, is_complete, labelled_job, list, namespace, pods, story};
use crate::kube::Namespace;
use crate::manifest::{QUIT, sidecar};
use crate::spread::{Spread, random, row, short, table};

/// Pods of each contestant at a time; more would wait for a processor.
const PAIRS: usize = 5;
/// Rounds in which the sidecars begin to serve after a random time, and in which they do at once.
const ROUNDS: [(bool, usize); 2] = [(true, 8), (false, 4)];

pub fn measure() -> String {
    let namespace = namespace("start");
    let mut late = Vec::new();
    for (waits, rounds) in ROUNDS {
        let mut both = BOTH.map(|_| Vec::new());
        for round in 0..rounds {
            let name = format!("{}-{round}", if waits { "later" } else { "at-once" });
            let jobs: Vec<_> = (0..PAIRS).flat_map(|pair| jobs(&name, waits, round + pair)).collect();
            namespace.create(&list(&jobs));
            wait(&namespace, &name);
            for (contestant, late) in BOTH.iter().zip(&mut both) {
                let selector = format!("round={name},program={}", contestant.label);
                late.extend(pods(&namespace, &selector).iter().map(|pod| lateness(&namespace, pod)));
            }
        }
        late.extend(both.map(Spread::from_iter));
    }
    let cells = |value: fn(&Spread) -> f64| late.iter().map(move |late| short(value(late)));
    let titles = ROUNDS.iter().flat_map(|(waits, _)| {
        let when = if *waits { "1 to 15 s after its start" } else { "at once" };
        BOTH.map(|contestant| format!("{}, serves {when}", contestant.title))
    });
    table(&[
        row("ms", titles),
        row("median", cells(Spread::median)),
        row("95th percentile", cells(|late| late.at(0.95))),
        row("longest", cells(|late| late.at(1.0))),
        row("shortest", cells(|late| late.at(0.0))),
        row("Pods", late.iter().map(|late| late.len().to_string())),
    ])
}

/// A Job for each contestant, whose sidecars begin to serve after the same time. Half of those that
/// wait refuse connections before, half answer with 503.
fn jobs(round: &str, waits: bool, number: usize) -> Vec<Value> {
    let after = if waits { 1000 + random((round, number)) % 14_000 } else { 0 };
    let flag = if number.is_multiple_of(2) { "listen" } else { "ready" };
    let job = |contestant: Contestant| {
        let mut sidecar = sidecar(&[&format!("-{flag}-after={after}ms")]);
        // As where a manifest says nothing of it: every ten seconds.
        sidecar["readinessProbe"].as_object_mut().unwrap().remove("periodSeconds");
        let main = contestant.main(&[QUIT], &["say", "begins"]);
        let labels = json!({"round": round, "program": contestant.label});
        labelled_job(&format!("{}-{round}-{number}", contestant.label), &labels, &[main, sidecar])
    };
    let mut jobs: Vec<_> = BOTH.map(job).into();
    // Neither is always the first to be started.
    jobs.rotate_left(number % 2);
    jobs
}

fn wait(namespace: &Namespace, round: &str) {
    let mut complete = BTreeSet::new();
    let selector = format!("--selector=round={round}");
    namespace.watch(&["jobs", &selector], "the round is over", |job| {
        if is_complete(job) {
            complete.insert(job["metadata"]["name"].as_str()?.to_owned());
        }
        (complete.len() == 2 * PAIRS).then_some(())
    });
}

/// Milliseconds. Both print a time of their own; the sidecar's is taken just before it serves.
fn lateness(namespace: &Namespace, pod: &Value) -> f64 {
    let story = story(namespace, pod);
    let serves = story.time("sidecar: ready");
    let late = story.time("main: begins").duration_since(serves).as_secs_f64() * 1000.0;
    assert!(late > 0.0, "the command was {late} ms early:\n{story}");
    late
}
