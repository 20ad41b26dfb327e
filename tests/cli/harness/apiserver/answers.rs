//! The documents of the fake API server, worded as the real one words them.

use serde_json::{Value, json};

use super::world::{Verb, World};

/// A `Status` object (`meta/v1`) about the object of this name.
pub fn status(world: &World, code: u16, verb: Verb, name: &str) -> Value {
    let (reason, message) = match code {
        400 => ("BadRequest", "the server could not understand the request".to_owned()),
        401 => ("Unauthorized", "Unauthorized".to_owned()),
        403 => ("Forbidden", forbidden(world, verb, name)),
        404 => ("NotFound", format!("pods \"{name}\" not found")),
        408 => ("Timeout", "the server was unable to return a response in the time allotted".to_owned()),
        410 => ("Expired", format!("too old resource version: 1 ({})", world.revision)),
        429 => ("TooManyRequests", "too many requests, please try again later".to_owned()),
        503 => ("ServiceUnavailable", "apiserver not ready".to_owned()),
        _ => ("InternalError", "Internal error occurred: etcdserver: request timed out".to_owned()),
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn forbidden(world: &World, verb: Verb, name: &str) -> String {
    let object = if verb == Verb::Get { format!("pods \"{name}\"") } else { "pods".to_owned() };
    format!(
        "{object} is forbidden: User \"system:serviceaccount:{namespace}:default\" cannot {verb} resource \
         \"pods\" in API group \"\" in the namespace \"{namespace}\"",
        namespace = world.namespace,
        verb = verb.name(),
    )
}

/// A `PodList`, whose items carry no kind of their own.
pub fn list(world: &World) -> Value {
    let items: Vec<Value> = world.pod.iter().cloned().map(without_kind).collect();
    json!({
        "kind": "PodList", "apiVersion": "v1",
        "metadata": {"resourceVersion": world.revision.to_string()}, "items": items,
    })
}

fn without_kind(mut pod: Value) -> Value {
    if let Some(fields) = pod.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    pod
}

/// One line of a watch.
pub fn event(kind: &str, object: &Value) -> Vec<u8> {
    let mut line = json!({"type": kind, "object": object}).to_string().into_bytes();
    line.push(b'\n');
    line
}

/// What a bookmark carries: nothing but where the watch is.
pub fn bookmark() -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"creationTimestamp": null},
        "spec": {"containers": null}, "status": {},
    })
}

/// What a load balancer says when there is nobody behind it.
pub const HTML: &[u8] =
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>\r\n";
