//! Pod documents: read from `tests/fixtures/pods`, or put together from typed
//! parts, with the status that a kubelet would report for them; and the
//! changes that a kubelet makes to them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock;

/// The name of every Pod here that a test does not read from a file.
pub const NAME: &str = "job-7x2kq";
/// Its namespace.
pub const NAMESPACE: &str = "work";

/// A Pod under construction.
#[derive(Clone, Debug)]
pub struct Pod(Value);

/// A container under construction: its entry in the spec, and its status.
#[derive(Clone, Debug)]
pub struct Container {
    spec: Value,
    status: Value,
    native: bool,
}

impl Pod {
    /// A Pod of a Job with the running main container `main`, alone.
    pub fn new() -> Self {
        let pod = Self(json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": NAME, "namespace": NAMESPACE, "uid": "8c1bd0a4-3d8e-4c7e-9a51-0f2f3f3f7d11",
                "creationTimestamp": clock::ago(Duration::from_secs(5)),
                "labels": {"batch.kubernetes.io/job-name": "job", "job-name": "job"},
                "annotations": {},
            },
            "spec": {
                "containers": [], "initContainers": [], "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 30, "serviceAccountName": "default",
                "nodeName": "node-1", "enableServiceLinks": true,
            },
            "status": {
                "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}],
                "hostIP": "10.0.0.7", "startTime": clock::now(), "qosClass": "BestEffort",
                "containerStatuses": [], "initContainerStatuses": [],
            },
        }));
        pod.with(Container::new("main"))
    }

    /// A Pod with these sidecars behind its main container.
    pub fn of(sidecars: impl IntoIterator<Item = Container>) -> Self {
        sidecars.into_iter().fold(Self::new(), Self::with)
    }

    /// The document `tests/fixtures/pods/NAME`.
    pub fn fixture(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pods").join(name);
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(serde_json::from_slice(&text).unwrap())
    }

    /// Adds a container.
    pub fn with(mut self, container: Container) -> Self {
        let Container { spec, mut status, native } = container;
        status["name"] = spec["name"].clone();
        let (specs, statuses) = if native {
            ("initContainers", "initContainerStatuses")
        } else {
            ("containers", "containerStatuses")
        };
        push(&mut self.0["spec"][specs], spec);
        if status["state"].is_object() {
            push(&mut self.0["status"][statuses], status);
        }
        self
    }

    /// Makes the last container that was added the first of its list.
    pub fn first(mut self) -> Self {
        for (part, list) in [("spec", "containers"), ("status", "containerStatuses")] {
            self.0[part][list].as_array_mut().unwrap().rotate_right(1);
        }
        self
    }

    /// Sets the Pod's restart policy.
    pub fn restart_policy(self, policy: &str) -> Self {
        self.set("/spec", "restartPolicy", json!(policy))
    }

    /// Sets the Pod's grace period.
    pub fn grace(self, seconds: u64) -> Self {
        self.set("/spec", "terminationGracePeriodSeconds", json!(seconds))
    }

    /// Adds an annotation.
    pub fn annotation(self, name: &str, value: &str) -> Self {
        self.set("/metadata/annotations", name, json!(value))
    }

    /// Sets any field.
    pub fn set(mut self, parent: &str, field: &str, value: Value) -> Self {
        self.0.pointer_mut(parent).unwrap()[field] = value;
        self
    }

    /// The finished document.
    pub fn document(self) -> Value {
        self.0
    }
}

impl Container {
    /// A container that runs and is ready.
    pub fn new(name: &str) -> Self {
        let spec = json!({"name": name, "image": format!("registry.example/{name}:1"), "resources": {}});
        let status = json!({
            "ready": true, "started": true, "restartCount": 0, "lastState": {},
            "image": format!("registry.example/{name}:1"), "imageID": "",
            "containerID": format!("containerd://{name}"),
            "state": {"running": {"startedAt": clock::now()}},
        });
        Self { spec, status, native: false }
    }

    /// One that runs and is not ready; its probe is the kubelet's business.
    pub fn not_ready(name: &str) -> Self {
        let command = json!({"exec": {"command": ["true"]}, "periodSeconds": 10});
        Self::new(name).probe(command)
    }

    /// One that the kubelet has not started.
    pub fn waiting(name: &str, reason: &str) -> Self {
        let mut container = Self::not_ready(name);
        container.status["started"] = json!(false);
        container.status["state"] = json!({"waiting": {"reason": reason, "message": "back-off"}});
        container
    }

    /// One that is in the spec only.
    pub fn without_status(name: &str) -> Self {
        let mut container = Self::not_ready(name);
        container.status = json!({});
        container
    }

    /// One that has ended.
    pub fn ended(name: &str, code: i32) -> Self {
        let mut container = Self::not_ready(name);
        end(&mut container.status, code);
        container
    }

    /// Gives it a readiness probe, which has not passed yet.
    pub fn probe(mut self, probe: Value) -> Self {
        self.spec["readinessProbe"] = probe;
        self.status["ready"] = json!(false);
        self
    }

    /// Gives it an `httpGet` probe at this port, at the kubelet's defaults.
    pub fn http_probe(self, path: &str, port: impl Into<Value>) -> Self {
        self.probe(json!({
            "httpGet": {"path": path, "port": port.into(), "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        }))
    }

    /// Gives it a named port.
    pub fn port(mut self, name: &str, port: u16) -> Self {
        push(&mut self.spec["ports"], json!({"name": name, "containerPort": port, "protocol": "TCP"}));
        self
    }

    /// Makes it a native sidecar: an init container that is always restarted.
    pub fn native(mut self) -> Self {
        self.native = true;
        self.spec["restartPolicy"] = json!("Always");
        self
    }

    /// Gives it another image.
    pub fn image(mut self, image: &str) -> Self {
        self.spec["image"] = json!(image);
        self.status["image"] = json!(image);
        self
    }

    /// Sets any field of its entry in the spec.
    pub fn spec(mut self, field: &str, value: Value) -> Self {
        self.spec[field] = value;
        self
    }

    /// Sets any field of its status.
    pub fn status(mut self, field: &str, value: Value) -> Self {
        self.status[field] = value;
        self
    }
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => *list = json!([item]),
    }
}

/// The status of this container, whichever list it is in.
pub fn status<'pod>(pod: &'pod mut Value, name: &str) -> &'pod mut Value {
    let status = pod["status"].as_object_mut().unwrap();
    status
        .iter_mut()
        .filter(|(key, _)| key.ends_with("ontainerStatuses"))
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
        .find(|status| status["name"] == name)
        .unwrap_or_else(|| panic!("no container {name}"))
}

/// What the kubelet writes when the container's probe has passed.
pub fn ready(pod: &mut Value, name: &str) {
    let status = status(pod, name);
    status["ready"] = json!(true);
    status["started"] = json!(true);
    status["state"] = json!({"running": {"startedAt": clock::now()}});
}

/// What it writes when the container has ended for good.
pub fn terminate(pod: &mut Value, name: &str, code: i32) {
    end(status(pod, name), code);
}

fn end(status: &mut Value, code: i32) {
    status["ready"] = json!(false);
    status["started"] = json!(false);
    status["state"] = json!({"terminated": {
        "exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" },
        "startedAt": clock::now(), "finishedAt": clock::now(),
    }});
}

/// What it writes when the container has ended and runs again.
pub fn restart(pod: &mut Value, name: &str, code: i32) {
    end(status(pod, name), code);
    let status = status(pod, name);
    let last = status["state"].take();
    status["lastState"] = last;
    status["restartCount"] = json!(status["restartCount"].as_u64().unwrap() + 1);
    status["ready"] = json!(true);
    status["started"] = json!(true);
    status["state"] = json!({"running": {"startedAt": clock::now()}});
}

/// What `kubectl delete pod` does first.
pub fn begin_deletion(pod: &mut Value) {
    pod["metadata"]["deletionTimestamp"] = json!(clock::now());
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
}

impl From<Value> for Pod {
    fn from(document: Value) -> Self {
        Self(document)
    }
}
