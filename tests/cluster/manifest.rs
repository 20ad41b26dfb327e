//! The objects that tests make, as JSON values that a test may change before it makes them.

use serde_json::{Value, json};

use crate::kube::Namespace;

/// The main container: proa with these options, around a shell script. In it, `say` is an echo
/// with the exact time.
pub fn main(options: &[&str], script: &str) -> Value {
    let command = [&["proa"], options, &["--", "sh", "-c", script]].concat();
    json!({
        "name": "main",
        "image": "localhost/app:1",
        "command": command,
    })
}

/// What most tests want of proa: the stop request that `sidecar` takes.
pub const QUIT: &str = "--shutdown-http-post=http://localhost:8080/quitquitquit";

/// The test sidecar (`src/sidecar` says what it can do), probed each second.
pub fn sidecar(options: &[&str]) -> Value {
    json!({
        "name": "sidecar",
        "image": "localhost/sidecar:1",
        "args": options,
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    })
}

/// The spec of a Pod that runs once, as a service account that may `get` and `watch` Pods.
pub fn pod_spec(containers: &[Value]) -> Value {
    json!({
        "restartPolicy": "Never",
        "serviceAccountName": "reader",
        "containers": containers,
    })
}

/// A Job `main` that is not tried again.
pub fn job(pod_spec: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "main"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod_spec}},
    })
}

/// A Job `main` whose Pod starts failed containers again. The restarts of all of them count towards
/// the Job's `backoffLimit`.
pub fn restarting_job(pod_spec: &Value) -> Value {
    let mut job = job(pod_spec);
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    job["spec"]["backoffLimit"] = json!(6);
    job
}

/// Gives a container a volume `/shared`, which all that have it share.
pub fn share(pod_spec: &mut Value, container: usize) {
    pod_spec["containers"][container]["volumeMounts"] = json!([{"name": "shared", "mountPath": "/shared"}]);
    pod_spec["volumes"] = json!([{"name": "shared", "emptyDir": {}}]);
}

/// A Pod `main`.
pub fn pod(pod_spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "main"}, "spec": pod_spec})
}

/// A Pod `main` whose last state stays for us to look at when it has been deleted.
pub fn kept_pod(pod_spec: &Value) -> Value {
    let mut pod = pod(pod_spec);
    pod["metadata"]["finalizers"] = json!(["example.com/look"]);
    pod
}

/// The service account `reader`, and what it may do to Pods.
pub fn reader(verbs: &[&str]) -> Vec<Value> {
    let group = "rbac.authorization.k8s.io";
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "reader"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
        }),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader"}],
        }),
    ]
}

/// Makes the service account with the rights that proa's documentation asks for, and the object.
pub fn create(namespace: &Namespace, object: Value) {
    create_as(namespace, &["get", "watch"], object);
}

/// Same, with other rights.
pub fn create_as(namespace: &Namespace, verbs: &[&str], object: Value) {
    let mut items = reader(verbs);
    items.push(object);
    namespace.create(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
}
