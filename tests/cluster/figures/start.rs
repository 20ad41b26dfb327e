//! How long after its sidecar begins to serve the command starts.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::{Value, json};

use crate::contestants::{BOTH, Contestant, is_complete, labelled_job, list, namespace, pods, story};
use crate::kube::Namespace;
use crate::manifest::{QUIT, sidecar};
use crate::spread::{Spread, row, short, table};

const ROUNDS: usize = 8;
/// Pods of each contestant in a round; more at once would wait for a processor.
const PAIRS: usize = 3;

pub fn measure() -> String {
    let namespace = namespace("start");
    let mut late = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let jobs = (0..PAIRS).flat_map(|pair| jobs(round, pair)).collect();
        namespace.create(&list(jobs));
        wait(&namespace, round);
        for (contestant, late) in BOTH.iter().zip(&mut late) {
            let selector = format!("round={round},program={}", contestant.label);
            late.extend(pods(&namespace, &selector).iter().map(|pod| lateness(&namespace, pod)));
        }
    }
    let spreads = late.map(Spread::from_iter);
    let cells = |value: fn(&Spread) -> f64| spreads.iter().map(move |spread| short(value(spread))).collect::<Vec<_>>();
    table(&[
        row("a sidecar serves -> first instruction, ms", BOTH.map(|contestant| contestant.title.to_owned())),
        row("median", cells(Spread::median)),
        row("95th percentile", cells(|spread| spread.at(0.95))),
        row("longest", cells(|spread| spread.at(1.0))),
        row("shortest", cells(|spread| spread.at(0.0))),
        row("Pods", spreads.iter().map(|spread| spread.len().to_string())),
    ])
}

/// A Job for each contestant, whose sidecars begin to serve after the same random time. Half of them
/// refuse connections before, half answer with 503.
fn jobs(round: usize, pair: usize) -> Vec<Value> {
    let after = 1000 + RandomState::new().hash_one((round, pair)) % 14_000;
    let flag = if pair % 2 == round % 2 { "listen" } else { "ready" };
    let job = |contestant: Contestant| {
        let mut sidecar = sidecar(&[&format!("-{flag}-after={after}ms")]);
        // As where a manifest says nothing of it: every ten seconds.
        sidecar["readinessProbe"].as_object_mut().unwrap().remove("periodSeconds");
        let main = contestant.main(&[QUIT], &["say", "begins"]);
        let labels = json!({"round": round.to_string(), "program": contestant.label});
        labelled_job(&format!("{}-{round}-{pair}", contestant.label), &labels, &[main, sidecar])
    };
    let mut jobs: Vec<_> = BOTH.map(job).into();
    // Neither is always the first to be started.
    jobs.rotate_left(round % 2);
    jobs
}

fn wait(namespace: &Namespace, round: usize) {
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
