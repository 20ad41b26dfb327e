//! Pods: real documents with any part changed, and JSON in their likeness.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use proa::internals::Readiness;

use crate::checks::{check, pod::read};
use crate::config;

const FIXTURES: [&str; 8] = [
    include_str!("../fixtures/pods/crash-loop.json"),
    include_str!("../fixtures/pods/dapr-and-logger.json"),
    include_str!("../fixtures/pods/deleting.json"),
    include_str!("../fixtures/pods/ended.json"),
    include_str!("../fixtures/pods/future.json"),
    include_str!("../fixtures/pods/istio.json"),
    include_str!("../fixtures/pods/native-sidecar.json"),
    include_str!("../fixtures/pods/running.json"),
];

/// Words of Pods, for keys and values alike.
const WORDS: &[&str] = &[
    "kind",
    "Pod",
    "metadata",
    "name",
    "spec",
    "containers",
    "initContainers",
    "restartPolicy",
    "Always",
    "OnFailure",
    "readinessProbe",
    "httpGet",
    "tcpSocket",
    "port",
    "http",
    "path",
    "host",
    "scheme",
    "HTTPS",
    "ports",
    "containerPort",
    "status",
    "containerStatuses",
    "state",
    "running",
    "startedAt",
    "terminated",
    "exitCode",
    "2026-01-02T03:04:05Z",
    "lastState",
    "waiting",
    "reason",
    "restartPolicyRules",
    "exitCodes",
    "operator",
    "In",
    "values",
    "action",
    "Restart",
    "podIP",
    "10.0.0.9",
    "main",
    "annotations",
    "env",
    "value",
    "args",
    "8080",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![9 => select(WORDS).prop_map(str::to_owned), 1 => any::<String>()]
}

/// JSON whose keys and words are those of Pods.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1..70_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(word(), inner, 0..6)
                .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The pointer (RFC 6901) of each value inside.
fn pointers(value: &Value, here: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.replace('~', "~0").replace('/', "~1"), field)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => return,
    };
    for (name, field) in inner {
        let pointer = format!("{here}/{name}");
        pointers(field, &pointer, found);
        found.push(pointer);
    }
}

/// A real document, and a place in it.
fn place() -> impl Strategy<Value = (Value, String)> {
    (select(&FIXTURES[..]), any::<Index>()).prop_map(|(text, index)| {
        let document: Value = serde_json::from_str(text).unwrap();
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        let pointer = index.get(&found).clone();
        (document, pointer)
    })
}

/// Whether a field may be null and the rest still be a Pod.
fn may_be_null(pointer: &str) -> bool {
    let item = pointer.rsplit('/').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    // A list has no null items, and a map of strings no null values.
    !item
        && !pointer.contains("/annotations/")
        && !["/metadata", "/metadata/name", "/spec", "/spec/containers"].contains(&pointer)
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_field_that_is_null_or_missing_leaves_a_pod((document, pointer) in place()) {
        prop_assume!(may_be_null(&pointer));
        let (mut null, mut missing) = (document.clone(), document);
        *null.pointer_mut(&pointer).unwrap() = Value::Null;
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let fields = missing.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        fields.remove(&name.replace("~1", "/").replace("~0", "~"));
        let view = read(null.to_string().as_bytes());
        prop_assert!(view.is_some(), "{pointer}");
        prop_assert_eq!(read(missing.to_string().as_bytes()), view, "{}", pointer);
        check("pod")(null.to_string().as_bytes());
    }

    #[test]
    fn anything_in_the_place_of_anything((mut document, pointer) in place(), other in any_json()) {
        *document.pointer_mut(&pointer).unwrap() = other;
        check("pod")(document.to_string().as_bytes());
    }

    #[test]
    fn a_document_that_was_cut((document, _) in place(), index in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = document.to_string().into_bytes();
        let place = index.index(bytes.len());
        check("pod")(&bytes[..place]);
        bytes[place] = byte;
        check("pod")(&bytes);
    }

    #[test]
    fn json_in_the_likeness_of_a_pod(spec in any_json(), container in any_json(), status in any_json()) {
        for whole in [
            json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], "initContainers": [container]},
                   "status": {"containerStatuses": [status]}}),
            json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": status}),
            json!({"metadata": {"name": "p"}, "spec": spec}),
        ] {
            check("pod")(whole.to_string().as_bytes());
        }
    }
}

/// A readiness probe's port as a document has it, and its number from beside.
fn port() -> impl Strategy<Value = (Value, Option<u16>)> {
    prop_oneof![
        (-2..70_000_i64).prop_map(|n| (Value::from(n), u16::try_from(n).ok())),
        (0..70_000_i64).prop_map(|n| (Value::from(n.to_string()), u16::try_from(n).ok())),
        Just((Value::from("web"), Some(8080))),
        Just((Value::from("nowhere"), None)),
    ]
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_probe_is_run_from_here_if_anybody_can(
        kind in select(&["httpGet", "tcpSocket", "exec", "grpc"][..]),
        (port, number) in port(),
        path in proptest::option::of("[a-z/?=]{0,12}"),
        delay in any::<i32>(),
        successes in any::<i32>(),
    ) {
        let mut inner = json!({"port": port});
        if kind == "httpGet" {
            inner["path"] = path.clone().into();
        }
        if kind == "exec" || kind == "grpc" {
            inner = json!({"port": 1, "command": ["true"]});
        }
        let document = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a",
            "ports": [{"containerPort": 0}, {"name": "web", "containerPort": 8080}],
            "readinessProbe": {kind: inner, "initialDelaySeconds": delay, "successThreshold": successes}}]}});
        let view = read(document.to_string().as_bytes()).unwrap();
        let number = number.filter(|number| *number != 0 && (kind == "httpGet" || kind == "tcpSocket"));
        match (&view.containers[0].readiness, number) {
            (Readiness::Probe(probe), Some(number)) => {
                prop_assert_eq!(probe.port, number);
                prop_assert_eq!(probe.initial_delay.as_secs(), u64::try_from(delay).unwrap_or(0));
                prop_assert_eq!(probe.successes, u32::try_from(successes).unwrap_or(1).max(1));
                let path = path.unwrap_or_default();
                let asked = format!("GET :{number}/{}", path.strip_prefix('/').unwrap_or(&path));
                prop_assert_eq!(kind == "httpGet", probe.describe() == asked, "{}", probe.describe());
            }
            (Readiness::ByKubelet, None) => {}
            (other, expected) => prop_assert!(false, "{other:?} for {expected:?}"),
        }
    }
}
