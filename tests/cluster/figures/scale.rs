//! Many Pods of one Job at once.

use std::thread;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::{Requests, work};
use crate::contestants::{BOTH, Contestant, is_complete, labelled_job, main, namespace, pods};
use crate::hold::{self, Hold};
use crate::manifest::{QUIT, sidecar};
use crate::memory;
use crate::spread::{row, short, table};

const PODS: usize = 200;
const RUNS: usize = 2;
/// How long the API server is looked at while all commands run.
const IDLE: Duration = Duration::from_secs(10);

const ROWS: [&str; 11] = [
    "Job's creation -> all commands run, s",
    "all commands end -> Job complete, s",
    "requests of the Pods to the API server",
    "all requests to the API server, the kubelet's included",
    "CPU of the API server, s",
    "of it until all commands run",
    "of it from their end on",
    "open watches of Pods while the commands run",
    "requests of the Pods in 10 s while the commands run",
    "memory of a main container, kB, median",
    "of it anonymous",
];

pub fn measure() -> String {
    let contestants = [Some(BOTH[0]), Some(BOTH[1]), None];
    let mut found = contestants.map(|_| Vec::new());
    for run in 0..RUNS {
        for turn in 0..contestants.len() {
            // Another one is the first each time.
            let at = (run + turn) % contestants.len();
            found[at].push(life(contestants[at]));
        }
    }
    let title = |contestant: Option<Contestant>| contestant.map_or("no wrapper", |one| one.title).to_owned();
    let mut rows = vec![row(&format!("{PODS} Pods, mean of {RUNS} runs"), contestants.map(title))];
    for (at, title) in ROWS.iter().enumerate() {
        let mean = |runs: &Vec<[f64; 11]>| runs.iter().map(|run| run[at]).sum::<f64>() / runs.len() as f64;
        rows.push(row(title, found.iter().map(|runs| short(mean(runs)))));
    }
    table(&rows)
}

/// The main container and its sidecar. Without a wrapper the sidecar is let go together with the
/// command, so that what is left is the work of the kubelet and the Job's controller.
fn containers(contestant: Option<Contestant>) -> [Value; 2] {
    let Some(contestant) = contestant else {
        let main = main(&hold::COMMAND);
        let mut beside = main.clone();
        beside["name"] = json!("sidecar");
        return [main, beside];
    };
    let mut beside = sidecar(&[]);
    beside["readinessProbe"].as_object_mut().unwrap().remove("periodSeconds");
    [contestant.main(&[QUIT], &hold::COMMAND), beside]
}

/// The numbers of `ROWS` for one Job.
fn life(contestant: Option<Contestant>) -> [f64; 11] {
    let namespace = namespace("scale");
    let hold = Hold::new("scale");
    let mut job = labelled_job("main", &json!({"job": "main"}), &containers(contestant));
    job["spec"]["parallelism"] = json!(PODS);
    job["spec"]["completions"] = json!(PODS);
    hold.mount(&mut job["spec"]["template"]["spec"]);

    let requests = Requests::begin();
    let first = work(&namespace);
    let created = Instant::now();
    namespace.create(&job.to_string());
    hold.wait(if contestant.is_some() { PODS } else { 2 * PODS });
    let begun = created.elapsed();

    let running = work(&namespace);
    let idle = Timestamp::now();
    thread::sleep(IDLE);
    let idle = idle..Timestamp::now();
    let [charged, anonymous, ..] = memory::of(&namespace, "job=main").map(|spread| spread.median());
    let before = work(&namespace);

    let let_go = Instant::now();
    drop(hold);
    namespace.watch(&["job/main"], "the Job completes", |job| is_complete(job).then_some(()));
    let ended = let_go.elapsed();
    let last = work(&namespace);
    let own = requests.of_pods(pods(&namespace, "job=main")[0]["metadata"]["namespace"].as_str().unwrap());
    namespace.run(&["delete", "job/main", "--cascade=foreground"]);

    let cpu = [running.cpu_seconds - first.cpu_seconds, last.cpu_seconds - before.cpu_seconds];
    [
        begun.as_secs_f64(),
        ended.as_secs_f64(),
        own.len() as f64,
        last.requests - first.requests,
        cpu[0] + cpu[1],
        cpu[0],
        cpu[1],
        running.watches - first.watches,
        own.iter().filter(|(_, time)| idle.contains(time)).count() as f64,
        charged,
        anonymous,
    ]
}
