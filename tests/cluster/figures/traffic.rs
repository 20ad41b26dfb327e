//! What a Pod's life costs the API server: connections, requests and bytes.

use std::fs::File;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

use crate::api::Requests;
use crate::contestants::{BOTH, Contestant, is_complete, labelled_job, namespace, pods};
use crate::front::{self, Counts};
use crate::kube::Namespace;
use crate::manifest::{QUIT, sidecar};
use crate::spread::{Spread, row, table};

const RUNS: usize = 3;
/// Other Pods in the namespace.
const OTHERS: [usize; 2] = [0, 500];

const ROWS: [&str; 6] = ["connections", "get", "list", "watch", "bytes up", "bytes down"];

pub fn measure() -> String {
    let (mut head, mut columns) = (Vec::new(), Vec::new());
    for others in OTHERS {
        let namespace = namespace("traffic");
        crowd(&namespace, others);
        let mut runs = BOTH.map(|_| Vec::new());
        for run in 0..RUNS {
            for (contestant, runs) in BOTH.iter().zip(&mut runs) {
                runs.push(life(&namespace, *contestant, run));
            }
        }
        head.extend(BOTH.map(|contestant| format!("{}, {others} others", contestant.title)));
        columns.extend(runs);
    }
    let mut rows = vec![row("a Pod's life", head)];
    for (at, title) in ROWS.iter().enumerate() {
        let median =
            |runs: &Vec<[usize; 6]>| runs.iter().map(|run| run[at] as f64).collect::<Spread>().median();
        rows.push(row(title, columns.iter().map(|runs| format!("{:.0}", median(runs)))));
    }
    table(&rows)
}

/// Fills the namespace with Pods that no scheduler looks at.
fn crowd(namespace: &Namespace, others: usize) {
    if others == 0 {
        return;
    }
    let mut job = labelled_job("others", &json!({}), &[sidecar(&[])]);
    job["spec"]["parallelism"] = json!(others);
    job["spec"]["completions"] = json!(others);
    job["spec"]["template"]["spec"]["schedulingGates"] = json!([{"name": "example.com/never"}]);
    namespace.create(&job.to_string());
    namespace.watch(&["job/others"], "all others are there", |job| {
        (job["status"]["active"] == others).then_some(())
    });
}

/// The numbers of `ROWS` for one Pod, whose sidecar is ready after two seconds.
fn life(namespace: &Namespace, contestant: Contestant, run: usize) -> [usize; 6] {
    let node: Value = serde_json::from_str(&namespace.run(&["get", "node/node", "--output=json"])).unwrap();
    let address = node["status"]["addresses"][0]["address"].as_str().unwrap().to_owned();
    let (port, counts) = front(address.parse().unwrap());
    let mut main = contestant.main(&[QUIT], &["say", "begins"]);
    main["env"] = json!([
        {"name": "KUBERNETES_SERVICE_HOST", "value": address},
        {"name": "KUBERNETES_SERVICE_PORT", "value": port.to_string()},
    ]);
    let mut sidecar = sidecar(&["-ready-after=2s"]);
    sidecar["readinessProbe"].as_object_mut().unwrap().remove("periodSeconds");
    let name = format!("{}-{run}", contestant.label);
    let requests = Requests::begin();
    namespace.create(&labelled_job(&name, &json!({"run": name}), &[main, sidecar]).to_string());
    namespace.watch(&[&format!("job/{name}")], "the Job completes", |job| is_complete(job).then_some(()));
    let pod = pods(namespace, &format!("run={name}")).remove(0);
    let verbs = requests.of_pods(pod["metadata"]["namespace"].as_str().unwrap());
    let of = |verb: &str| verbs.iter().filter(|(other, _)| other == verb).count();
    assert_eq!(verbs.len(), of("get") + of("list") + of("watch"), "{verbs:?}");
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed) as usize;
    let Counts { connections, up, down } = &*counts;
    [count(connections), of("get"), of("list"), of("watch"), count(up), count(down)]
}

/// A front before the API server where Pods reach it: in the node's network namespace.
fn front(node: IpAddr) -> (u16, Arc<Counts>) {
    let inside = move || {
        let network = File::open("/run/netns/proa-cluster").unwrap();
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        front::between(node, (node, 443).into())
    };
    // This thread alone, and those that it starts, go there.
    std::thread::spawn(inside).join().unwrap()
}
