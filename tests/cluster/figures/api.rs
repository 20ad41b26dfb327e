//! What the API server says of its own work, and of the kubelet's.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::kube::Namespace;

const AUDIT_LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/state/log/audit.log");

/// The requests about Pods, of Pods and of the kubelet, from now on.
pub struct Requests {
    from: u64,
}

impl Requests {
    pub fn begin() -> Self {
        Self { from: fs::metadata(AUDIT_LOG).unwrap().len() }
    }

    /// Those of the Pods of a namespace: verb and time. A watch is known when it has ended.
    pub fn of_pods(&self, namespace: &str) -> Vec<(String, Timestamp)> {
        let user = format!("system:serviceaccount:{namespace}:");
        let theirs =
            |event: &Value| event["user"]["username"].as_str().is_some_and(|name| name.starts_with(&user));
        let verb = |event: &Value| event["verb"].as_str().unwrap().to_owned();
        self.events().filter(theirs).map(|event| (verb(&event), time(&event))).collect()
    }

    /// When the kubelet last told a Pod's state before this time.
    #[track_caller]
    pub fn told_before(&self, pod: &Value, before: Timestamp) -> Timestamp {
        let [namespace, name] = ["namespace", "name"].map(|field| &pod["metadata"][field]);
        let object = |event: &Value| {
            let object = &event["objectRef"];
            object["subresource"] == "status" && object["namespace"] == *namespace && object["name"] == *name
        };
        let times = self.events().filter(object).map(|event| time(&event)).filter(|time| *time < before);
        times.max().unwrap_or_else(|| panic!("the kubelet has said nothing of {name}"))
    }

    fn events(&self) -> impl Iterator<Item = Value> {
        let mut log = File::open(AUDIT_LOG).unwrap();
        log.seek(SeekFrom::Start(self.from)).unwrap();
        BufReader::new(log).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }
}

fn time(event: &Value) -> Timestamp {
    event["requestReceivedTimestamp"].as_str().unwrap().parse().unwrap()
}

/// What it has done so far, for whomever.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub requests: f64,
    pub cpu_seconds: f64,
    /// Watches of Pods that are open now.
    pub watches: f64,
}

pub fn work(namespace: &Namespace) -> Work {
    let metrics = namespace.run(&["get", "--raw", "/metrics"]);
    let sum = |name: &str, labels: &[&str]| {
        let of_it = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        };
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
        metrics.lines().filter(of_it).filter_map(value).sum()
    };
    Work {
        requests: sum("apiserver_request_total", &[]),
        cpu_seconds: sum("process_cpu_seconds_total", &[]),
        watches: sum("apiserver_longrunning_requests", &["resource=\"pods\"", "verb=\"WATCH\""]),
    }
}
