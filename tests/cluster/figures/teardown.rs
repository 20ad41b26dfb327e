//! From the command's end to the Job's completion, step by step.

use std::collections::BTreeMap;
use std::thread;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::Requests;
use crate::contestants::{self, BOTH, Contestant, is_complete, labelled_job, list, namespace, pods, story};
use crate::exits::Exits;
use crate::kube::Namespace;
use crate::spread::{Spread, random, row, short, table};
use crate::story::Story;

const RUNS: usize = 8;

/// Each from the one before.
const STEPS: [&str; 6] = [
    "the command's end -> the sidecar's process has ended",
    "-> the kubelet tells the API server",
    "-> the wrapper has exited",
    "-> the kubelet tells that the Pod has ended",
    "-> the Job is complete, by its controller",
    "in all",
];

/// A kind of sidecar: its title; and the main container, whose command is given, and the rest of
/// the Pod's spec.
type Kind = (&'static str, fn(Contestant, &[&str]) -> (Value, Value));
const KINDS: [Kind; 3] = [("Envoy", envoy), ("cloud-sql-proxy", cloud_sql_proxy), ("nginx", nginx)];

pub fn measure() -> String {
    let namespace = namespace("teardown");
    let exits = Exits::new();
    let mut columns = vec![Vec::new(); KINDS.len() * BOTH.len()];
    for run in 0..RUNS {
        for (at, kind) in KINDS.iter().enumerate() {
            let found = both(&namespace, &exits, &format!("{at}-{run}"), *kind);
            for (column, steps) in columns[at * BOTH.len()..].iter_mut().zip(found) {
                column.push(steps);
            }
        }
    }
    let alone: Vec<_> = (0..RUNS).map(|run| alone(&namespace, run)).collect();
    let title = |kind: &Kind| BOTH.map(|contestant| format!("{}, {}", kind.0, contestant.title));
    let mut rows = vec![row("ms, medians", KINDS.iter().flat_map(title))];
    for (at, title) in STEPS.iter().enumerate() {
        let median =
            |runs: &Vec<[f64; 6]>| short(runs.iter().map(|run| run[at]).collect::<Spread>().median());
        rows.push(row(title, columns.iter().map(median)));
    }
    let alone: Spread = alone.into_iter().collect();
    format!(
        "{}\nA Job of one container, without sidecar and wrapper: {} ms from its end to the last line, at least {}.\n",
        table(&rows),
        short(alone.median()),
        short(alone.at(0.0))
    )
}

/// What the last steps take where there is nothing to stop.
fn alone(namespace: &Namespace, run: usize) -> f64 {
    let name = format!("alone-{run}");
    let script = format!("sleep 1.{:03}; say ends", random(&name) % 1000);
    let labels = json!({"run": name});
    let containers = [contestants::main(&["sh", "-c", &script])];
    namespace.create(&labelled_job(&name, &labels, &containers).to_string());
    let complete = namespace.watch(&["jobs", &format!("--selector=run={name}")], "it is complete", |job| {
        is_complete(job).then(Timestamp::now)
    });
    let pod = pods(namespace, &format!("run={name}")).remove(0);
    let log = namespace.run(&["logs", "--timestamps", pod["metadata"]["name"].as_str().unwrap()]);
    let ends = Story::new(&pod, [("main".to_owned(), log)].into_iter()).time("main: ends");
    complete.duration_since(ends).as_secs_f64() * 1000.0
}

/// One Pod of each contestant at a time; returns their steps.
fn both(namespace: &Namespace, exits: &Exits, run: &str, kind: Kind) -> Vec<[f64; 6]> {
    // The kubelet looks each second, and what it sees starts the command: one that ended at once
    // would always end just after it has looked.
    let script = format!("sleep 1.{:03}; say ends", random(run) % 1000);
    let command = ["sh", "-c", &script];
    let name = |contestant: &Contestant| format!("{}-{run}", contestant.label);
    let job = |contestant: &Contestant| {
        let (main, rest) = kind.1(*contestant, &command);
        let labels = json!({"run": run, "program": contestant.label});
        let mut job = labelled_job(&name(contestant), &labels, &[main, rest["sidecar"].clone()]);
        let spec = job["spec"]["template"]["spec"].as_object_mut().unwrap();
        spec.extend(rest["pod"].as_object().cloned().unwrap_or_default());
        job
    };
    let requests = Requests::begin();
    namespace.create(&list(&BOTH.each_ref().map(job)));
    let selector = format!("--selector=run={run}");
    let (ended, complete) = thread::scope(|scope| {
        let pods = scope
            .spawn(|| first_seen(namespace, "pods", &selector, |pod| pod["status"]["phase"] == "Succeeded"));
        let complete = first_seen(namespace, "jobs", &selector, is_complete);
        (pods.join().unwrap(), complete)
    });
    let steps = |contestant: &Contestant| {
        let label = contestant.label;
        let pod = pods(namespace, &format!("run={run},program={label}")).remove(0);
        let moments = [
            story(namespace, &pod).time("main: ends"),
            exits.of(&pod, "sidecar"),
            requests.told_before(&pod, exits.of(&pod, "main")),
            exits.of(&pod, "main"),
            ended[label],
            complete[label],
        ];
        let ms = |from: usize, to: usize| moments[to].duration_since(moments[from]).as_secs_f64() * 1000.0;
        [ms(0, 1), ms(1, 2), ms(2, 3), ms(3, 4), ms(4, 5), ms(0, 5)]
    };
    BOTH.iter().map(steps).collect()
}

/// When the objects of both contestants first were as they should be.
fn first_seen(
    namespace: &Namespace,
    objects: &str,
    selector: &str,
    is: impl Fn(&Value) -> bool,
) -> BTreeMap<String, Timestamp> {
    let mut seen = BTreeMap::new();
    namespace.watch(&[objects, selector], "both have come so far", |object| {
        if is(object) {
            let label = object["metadata"]["labels"]["program"].as_str()?;
            seen.entry(label.to_owned()).or_insert_with(Timestamp::now);
        }
        (seen.len() == BOTH.len()).then_some(())
    });
    seen
}

/// proa would know the sidecar by its usual name; proa 0.1.3 must be told what to send.
fn told_by_request(contestant: Contestant, command: &[&str], url: &str) -> Value {
    contestant.main(&[&format!("--shutdown-http-post={url}")], command)
}

fn envoy(contestant: Contestant, command: &[&str]) -> (Value, Value) {
    let sidecar = json!({
        "name": "sidecar",
        "image": "localhost/envoy:1",
        "command": ["/envoy", "--concurrency", "1", "--log-level", "error", "--config-yaml"],
        "args": ["admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 9901}, "periodSeconds": 1},
    });
    (told_by_request(contestant, command, "http://127.0.0.1:9901/quitquitquit"), json!({"sidecar": sidecar}))
}

fn cloud_sql_proxy(contestant: Contestant, command: &[&str]) -> (Value, Value) {
    let sidecar = json!({
        "name": "sidecar",
        "image": "localhost/cloud-sql-proxy:1",
        "args": [
            "--token=none", "--lazy-refresh", "--port=5432", "--health-check", "--http-address=0.0.0.0",
            "--quitquitquit", "project:region:instance",
        ],
        "readinessProbe": {"httpGet": {"path": "/readiness", "port": 9090}, "periodSeconds": 1},
    });
    (told_by_request(contestant, command, "http://127.0.0.1:9091/quitquitquit"), json!({"sidecar": sidecar}))
}

/// It has no endpoint: proa ends it by a file, proa 0.1.3 by a signal.
fn nginx(contestant: Contestant, command: &[&str]) -> (Value, Value) {
    let mut sidecar = json!({
        "name": "sidecar",
        "image": "localhost/nginx:1",
        "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
    });
    if !contestant.is_proa() {
        let main = contestant.main(&["--kill=nginx"], command);
        return (main, json!({"sidecar": sidecar, "pod": {"shareProcessNamespace": true}}));
    }
    let shared = json!([{"name": "shared", "mountPath": "/shared"}]);
    let nginx = ["/shared/proa", "--quit-file=/shared/done", "--no-api", "--", "nginx", "-g", "daemon off;"];
    sidecar["command"] = json!(nginx);
    sidecar["volumeMounts"] = shared.clone();
    let mut main = contestant.main(&["--shutdown-file=/shared/done"], command);
    main["volumeMounts"] = shared.clone();
    let install = json!({
        "name": "install", "image": "localhost/figures:1", "volumeMounts": shared,
        "command": ["/bin/proa", "--install-to=/shared/proa"],
    });
    let pod = json!({"initContainers": [install], "volumes": [{"name": "shared", "emptyDir": {}}]});
    (main, json!({"sidecar": sidecar, "pod": pod}))
}
