//! Pods that no test would think of, but clusters hold: large, odd, of a
//! later API, with many sidecars.

use serde_json::json;

use crate::harness::pods::terminate;
use crate::harness::{Api, Container, Pod, Proa, Sidecar, Verb, process};

#[test]
fn strange_but_true_pods_are_understood() {
    let filler = json!({"x": "y".repeat(3_900_000)});
    let many = (0..50).map(|number| Container::new(&format!("sidecar-{number}")));
    let nothing = json!(null);
    for pod in [
        Pod::of([Container::new("proxy")]).set("/metadata", "managedFields", json!([filler])),
        Pod::of(many),
        Pod::of([Container::new("proxy")
            .spec("newField", json!({"a": [1, null]}))
            .status("ports", json!(null))])
        .set("/spec", "initContainers", nothing.clone())
        .set("/status", "initContainerStatuses", nothing.clone())
        .set("/status", "ephemeralContainerStatuses", nothing.clone())
        .set("/metadata", "annotations", nothing.clone())
        .set("/metadata", "labels", nothing.clone())
        .set("/spec", "futureFeature", json!({"mode": "Maybe", "list": [{}, null, 1.5]}))
        .set("/status", "conditions", nothing),
    ] {
        let api = Api::serving(pod.grace(1));
        Proa::new().api(&api).child("exit 7").run().assert_code(7);
    }
}

/// Fifty sidecars in 1 MiB of a future API's JSON: the reason stays one readable line.
#[test]
fn many_sidecars_are_explained_in_a_line() {
    let waiting = (0..25).map(|number| Container::waiting(&format!("pulled-{number}"), "ImagePullBackOff"));
    let probed = (0..24).map(|number| {
        Container::not_ready(&format!("probed-{number}"))
            .spec("newField", json!({"list": [null, {}], "mode": number}))
            .status("restartCount", json!(number))
    });
    let pod = Pod::of(waiting.chain(probed))
        .set("/metadata", "managedFields", json!([{"x": "y".repeat(1 << 20)}]))
        .set("/spec", "initContainers", json!(null))
        .set("/status", "initContainerStatuses", json!(null));
    let api = Api::serving(pod);
    let run = Proa::new().api(&api).args(["--startup-timeout", "1s", "--shutdown-timeout", "300ms"]);
    let run = run.sh("echo started").spawn();
    run.stderr.wait_for("waiting for the sidecars");
    let peak = process::kilobytes(run.pid(), "VmHWM");
    // The budget of the release build is in tests/figures; a debug build is large.
    assert!(peak < 40_000, "{peak} kB");
    let done = run.wait().assert_code(125);
    assert_eq!(done.stdout, "");
    let line = done.stderr.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
    assert!(line.len() < 2500, "{} bytes: {line}", line.len());
    let names = (0..25).map(|number| format!("pulled-{number}"));
    let names = names.chain((0..24).map(|number| format!("probed-{number}")));
    for name in names {
        let words = line.split([' ', ',', ':', ';']).filter(|word| **word == name);
        assert_eq!(words.count(), 1, "{name} in {line}");
    }
    assert_eq!(line.matches("ImagePullBackOff").count(), 1, "{line}");
    assert!(line.contains(" more: "), "{line}");
}

#[test]
fn numbers_may_be_of_any_size() {
    for grace in [json!(i64::MAX), json!(-1), json!(0), json!(null)] {
        let pod = Pod::of([Container::ended("over", 0)]).set("/spec", "terminationGracePeriodSeconds", grace);
        let api = Api::serving(pod);
        let run = Proa::new().api(&api).args(["--ignore-container", "over"]).child("exit 7").run();
        let done = run.assert_code(7);
        assert!(!done.stderr.contains("has a bug"), "{}", done.stderr);
        let api = Api::serving(Pod::of([Container::new("proxy")]).set(
            "/spec",
            "terminationGracePeriodSeconds",
            json!(i64::MAX),
        ));
        let run = Proa::new().api(&api).child("exit 7").spawn();
        api.wait_for(Verb::Watch, 2);
        api.update(|pod| terminate(pod, "proxy", 0));
        let done = run.wait().assert_code(7);
        assert!(!done.stderr.contains("has a bug"), "{}", done.stderr);
    }
    let long =
        ["--startup-timeout", "87600000h", "--shutdown-timeout", "87600000h", "--http-timeout", "87600000h"];
    let sidecar = Sidecar::good();
    let run =
        Proa::without_api().args(long).args(["-p", &sidecar.url("/"), "--ready-http-get", &sidecar.url("/")]);
    let done = run.child("exit 7").run().assert_code(7);
    assert!(!done.stderr.contains("has a bug"), "{}", done.stderr);
}
