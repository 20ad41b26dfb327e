//! The Pod documents of `tests/fixtures/pods`, from the gate to the end.

use std::time::Instant;

use crate::harness::pods::{ready, terminate};
use crate::harness::{Api, Pod, Proa, Verb};

/// File, what is waited for, what else the log says when the gate gives up,
/// and whose end teardown waits for.
type Document = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

const DOCUMENTS: [Document; 6] = [
    ("istio.json", &["istio-proxy"], &[], &["istio-proxy"]),
    ("running.json", &["sidecar"], &["readiness probe has not passed"], &["sidecar"]),
    ("native-sidecar.json", &["proxy"], &[], &[]),
    (
        "crash-loop.json",
        &["crashes", "not-pulled"],
        &["CrashLoopBackOff", "restarted 2 times, last exit code 3 (Error)", "ImagePullBackOff"],
        &["crashes", "not-pulled"],
    ),
    (
        "dapr-and-logger.json",
        &["daprd", "fluent-bit"],
        &["ImagePullBackOff", "2 times", "3"],
        &["daprd", "fluent-bit"],
    ),
    ("future.json", &["cloud-sql-proxy"], &[], &["cloud-sql-proxy"]),
];

/// Where the command never starts: file, exit code, and what the log says.
const OVER: [(&str, i32, &str); 2] = [
    ("ended.json", 125, "sidecar sidecar ended before it was ready: exit code 3, Error"),
    ("deleting.json", 143, "the Pod is being deleted"),
];

#[test]
fn a_pod_whose_gate_is_over_starts_nothing() {
    for (file, code, words) in OVER {
        let api = Api::serving(Pod::fixture(file));
        let run = Proa::new().api(&api).args(["--shutdown-timeout", "300ms"]).sh("echo started");
        let done = run.run().assert_code(code);
        assert_eq!(done.stdout, "", "{file}");
        done.assert_stderr([words]);
    }
}

#[test]
fn a_pod_goes_its_way() {
    for (file, sidecars, _, waited_for) in DOCUMENTS {
        let api = Api::serving(Pod::fixture(file));
        let run = Proa::new().api(&api).args(["--sidecars", "off"]).sh("echo started; exit 0").spawn();
        run.stderr.wait_for("waiting for the sidecars");
        let mut moment = Instant::now();
        for sidecar in sidecars {
            moment = Instant::now();
            api.update(|pod| ready(pod, sidecar));
        }
        let (_, started) = run.stdout.wait_for("started");
        assert!(started >= moment, "{file}: started before all were ready");
        if !waited_for.is_empty() {
            api.wait_for(Verb::Watch, 2);
        }
        for sidecar in waited_for {
            moment = Instant::now();
            api.update(|pod| terminate(pod, sidecar, 0));
        }
        let done = run.wait().assert_code(0);
        assert!(done.at >= moment, "{file}: ended before all had ended");
    }
}

#[test]
fn a_pod_that_hangs_is_explained() {
    for (file, sidecars, words, _) in DOCUMENTS {
        let api = Api::serving(Pod::fixture(file));
        let run = Proa::new().api(&api).args(["--startup-timeout", "600ms", "--shutdown-timeout", "300ms"]);
        let done = run.child("exit 0").run().assert_code(125);
        let error = done.stderr.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
        for word in sidecars.iter().chain(words) {
            assert!(error.contains(word), "{file}: no {word:?} in {error}");
        }
        assert!(!error.contains("debugger") && !error.contains("-init"), "{error}");
    }
}

#[test]
fn every_document_is_explained_and_tried() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pods");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for file in files.filter(|file| file != "README.md") {
        assert!(readme.contains(&format!("`{file}`")), "{file} is not in README.md");
        let tried = DOCUMENTS.iter().map(|(name, ..)| name).chain(OVER.iter().map(|(name, ..)| name));
        assert!(tried.into_iter().any(|name| *name == file), "{file} is not tried");
    }
}
