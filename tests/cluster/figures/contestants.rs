//! The programs that are measured, and the Pods around them.

use serde_json::{Value, json};

use crate::kube::Namespace;
use crate::manifest::{job, pod_spec, reader};
use crate::story::Story;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// As a table names it.
    pub title: &'static str,
    /// As a label or a part of a name.
    pub label: &'static str,
    path: &'static str,
}

pub const BOTH: [Contestant; 2] = [
    Contestant { title: "proa", label: "proa", path: "/bin/proa" },
    Contestant { title: "proa 0.1.3", label: "peer", path: "/bin/proa-0.1.3" },
];

impl Contestant {
    pub fn is_proa(self) -> bool {
        self == BOTH[0]
    }

    /// The main container, with this command wrapped.
    pub fn main(self, options: &[&str], command: &[&str]) -> Value {
        main(&[&[self.path], options, &["--"], command].concat())
    }
}

/// A main container of the image that holds them all. It comes first in its Pod: proa 0.1.3 knows
/// its own container by that.
pub fn main(command: &[&str]) -> Value {
    json!({"name": "main", "image": "localhost/figures:1", "command": command})
}

/// A namespace with a service account that both can work with.
pub fn namespace(name: &str) -> Namespace {
    let namespace = Namespace::new(&format!("figures-{name}"));
    namespace.create(&list(&reader(&["get", "list", "watch"])));
    namespace
}

/// Many objects in one manifest.
pub fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A Job of this name, of one Pod, both with the labels.
pub fn labelled_job(name: &str, labels: &Value, containers: &[Value]) -> Value {
    let mut job = job(&pod_spec(containers));
    job["metadata"] = json!({"name": name, "labels": labels});
    job["spec"]["template"]["metadata"] = json!({"labels": labels});
    job
}

/// Whether a Job has completed; one that has failed ends it all.
#[track_caller]
pub fn is_complete(job: &Value) -> bool {
    let has = |kind: &str| {
        let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    assert!(!has("Failed"), "{} has failed", job["metadata"]["name"]);
    has("Complete")
}

/// The Pods with these labels (`round=1`).
pub fn pods(namespace: &Namespace, selector: &str) -> Vec<Value> {
    let selector = format!("--selector={selector}");
    let list: Value =
        serde_json::from_str(&namespace.run(&["get", "pods", &selector, "--output=json"])).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// What happened in a Pod that has ended.
pub fn story(namespace: &Namespace, pod: &Value) -> Story {
    let name = pod["metadata"]["name"].as_str().unwrap();
    let log = |container: &str| {
        let log = namespace.run(&["logs", "--timestamps", name, "--container", container]);
        (container.to_owned(), log)
    };
    Story::new(pod, ["main", "sidecar"].into_iter().map(log))
}
