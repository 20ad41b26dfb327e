//! Token claims, `mountinfo`, and the order of the sources for names.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proa::internals::{Claims, IdentityPlan, Sources, claims, container_of_mount, is_name};
use serde_json::json;

pub(super) fn claims_of_a_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = claims(&text);
    let names = [&read.pod, &read.namespace].into_iter().flatten().map(String::len).sum::<usize>();
    assert!(names <= text.len(), "{text:?}");
    // A token that says these words is read as saying them.
    let mut words = text.split('\n').map(str::to_owned);
    let wanted = Claims { namespace: words.next(), pod: words.next() };
    let pod = wanted.pod.as_ref().map(|name| json!({"name": name, "uid": "u"}));
    let payload =
        json!({"aud": ["x"], "kubernetes.io": {"namespace": wanted.namespace, "pod": pod, "node": null}});
    let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload.to_string()));
    assert_eq!(claims(&token), wanted);
    in_order(&wanted, words.next().as_deref());
}

/// Whatever the sources say, a name in an API path is a Kubernetes name, and
/// that of the first source which has one.
fn in_order(claims: &Claims, variable: Option<&str>) {
    let plan = IdentityPlan { pod_variable: variable.map(str::to_owned), ..IdentityPlan::default() };
    let sources = Sources { claims: claims.clone(), plan, ..Sources::default() };
    let usable = |name: Option<&str>| name.filter(|name| is_name(name)).map(str::to_owned);
    let pod = usable(claims.pod.as_deref()).or(usable(variable));
    let expected = pod.zip(usable(claims.namespace.as_deref()));
    let found = sources.pod_name().ok().map(|found| (found.pod.name, found.namespace.name));
    assert_eq!(found, expected);
    for name in found.into_iter().flat_map(|(pod, namespace)| [pod, namespace]) {
        assert!(!name.contains('/') && !name.contains("..") && name.len() <= 253, "{name:?}");
    }
}

pub(super) fn mounts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let found = container_of_mount(&text);
    // Other mounts do not matter.
    let other = "25 1 0:60 / / rw - overlay overlay rw";
    assert_eq!(container_of_mount(&format!("{other}\n{text}\n{other}\n")), found, "{text:?}");
    if let Some(name) = found {
        assert!(!name.is_empty() && !name.contains(['/', ' ', '\n']), "{text:?}");
        assert!(text.contains(&format!("/containers/{name}/")), "{text:?}");
    }
    let Some(name) = text.lines().next().filter(|name| !name.is_empty() && !name.contains(['/', ' '])) else {
        return;
    };
    let ours =
        format!("9 1 254:0 /k/pods/u/containers/{name}/1f0a /dev/termination-log rw - ext4 /dev/root rw");
    assert!(container_of_mount(&format!("{text}\n{ours}")).is_some(), "{text:?}");
    assert_eq!(container_of_mount(&format!("{other}\n{ours}")).as_deref(), Some(name), "{text:?}");
}
