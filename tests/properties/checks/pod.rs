//! A Pod, as any API server of any version may write it.

use std::time::Duration;

use proa::internals::{PodDocument, PodView, ProbeKind, Readiness};
use serde_json::{Value, json};

/// Fields that we read, most of them lists; a null is as good as none.
const READ: [&str; 21] = [
    "initContainers",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "image",
    "command",
    "args",
    "env",
    "ports",
    "readinessProbe",
    "restartPolicyRules",
    "exitCodes",
    "values",
    "httpHeaders",
    "deletionTimestamp",
    "containerStatuses",
    "initContainerStatuses",
    "state",
    "lastState",
    "ready",
    "started",
    "restartCount",
];

/// The Pod in these bytes.
pub(crate) fn read(json: &[u8]) -> Option<PodView> {
    PodView::read(serde_json::from_slice::<PodDocument>(json).ok()?)
}

pub(super) fn documents(data: &[u8]) {
    let Some(view) = read(data) else { return };
    in_range(&view);
    assert!(text_of(&view) <= data.len(), "more text than was given");
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let again = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut changed = document.clone();
        in_each_object(&mut changed, change);
        read(changed.to_string().as_bytes())
    };
    // A newer API server has fields that nobody here knows.
    let unknown = json!({"since": ["v1.99", {"deep": null}]});
    let newer = again(&|object| drop(object.insert("someday".to_owned(), unknown.clone())));
    assert_eq!(newer.as_ref(), Some(&view), "unknown fields matter");
    let explicit = again(&|object| {
        for field in READ {
            object.entry(field).or_insert(Value::Null);
        }
    });
    assert_eq!(explicit.as_ref(), Some(&view), "nulls matter");
    carried_over(view);
}

/// A fresh start knows of a Pod what teardown asks for: all but the probes.
fn carried_over(mut view: PodView) {
    // A time before 1970 cannot be written.
    let Ok(written) = serde_json::to_string(&view) else { return };
    let read: PodView = serde_json::from_str(&written).unwrap();
    for container in &mut view.containers {
        container.readiness = Readiness::Unprobed;
    }
    assert_eq!(read, view, "{written}");
}

/// Changes every object but those that are maps of the user's own strings.
fn in_each_object(value: &mut Value, change: &dyn Fn(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            let inner = fields.iter_mut().filter(|(name, _)| *name != "annotations");
            inner.for_each(|(_, field)| in_each_object(field, change));
            change(fields);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| in_each_object(item, change)),
        _ => {}
    }
}

/// What later code takes for granted.
fn in_range(view: &PodView) {
    assert!(!view.containers.is_empty());
    assert!(view.grace.is_none_or(|grace| grace <= Duration::from_secs(u32::MAX.into())));
    let native = view.containers.iter().position(|container| container.native);
    let regular = view.containers.iter().rposition(|container| !container.native);
    assert!(regular.is_some_and(|last| native.is_none_or(|first| last < first)), "native ones come last");
    for container in &view.containers {
        assert!(view.container(&container.name).is_some());
        assert!(view.sidecars(&container.name, &[]).all(|sidecar| sidecar.name != container.name));
        if let Readiness::Probe(probe) = &container.readiness {
            assert!(probe.port != 0 && probe.successes > 0 && probe.host.as_deref() != Some(""));
            assert!(probe.initial_delay <= Duration::from_secs(u32::MAX.into()));
            let ip = view.ip.or(Some([127, 0, 0, 1].into()));
            assert!(probe.address(ip).is_some_and(|address| address.port == probe.port));
            if let ProbeKind::Http { target, .. } = &probe.kind {
                assert!(target.starts_with('/'));
            }
        }
    }
}

/// How much of the document's text is kept, less a slash that a path may lack.
fn text_of(view: &PodView) -> usize {
    let containers = view.containers.iter().map(|container| {
        let lists = container.arguments.iter().map(String::len).sum::<usize>();
        container.name.len() + container.image.len() + lists
    });
    view.name.len() + view.uid.len() + view.namespace.len() + containers.sum::<usize>()
}
