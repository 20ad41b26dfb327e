//! When the processes of containers ended, to the nanosecond: the kubelet's times are whole seconds.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::kube::statuses;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");

/// When the processes of containers ended, as containerd tells it.
pub struct Exits {
    seen: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    events: Child,
}

impl Exits {
    pub fn new() -> Self {
        let mut command = Command::new(format!("{FOLDER}/bin/ctr"));
        let socket = format!("{FOLDER}/state/containerd.sock");
        command.args(["--address", &socket, "--namespace", "k8s.io", "events"]);
        command.env("CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS", "1");
        let mut events = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(events.stdout.take().unwrap()).lines();
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Some((_, event)) = line.split_once(" /tasks/exit ") else { continue };
                let event: Value = serde_json::from_str(event).unwrap();
                // What is run in a container besides has an id of its own.
                if event["id"] == event["container_id"] {
                    let part = |name: &str| event["exited_at"][name].as_i64().unwrap_or_default(); // no zeros
                    let time = Timestamp::new(part("seconds"), part("nanos").try_into().unwrap()).unwrap();
                    shared.lock().unwrap().insert(event["id"].as_str().unwrap().to_owned(), time);
                }
            }
        });
        Self { seen, events }
    }

    #[track_caller]
    pub fn of(&self, pod: &Value, container: &str) -> Timestamp {
        let status = statuses(pod).find(|status| status["name"] == container).unwrap();
        let id = status["containerID"].as_str().unwrap().trim_start_matches("containerd://");
        self.seen.lock().unwrap()[id]
    }
}

impl Drop for Exits {
    fn drop(&mut self) {
        let _ = self.events.kill();
        let _ = self.events.wait();
    }
}
