//! Every manifest of `examples/`: the API server takes it, and it completes where its images can be
//! made here. Those that change one first are `mesh.rs`'s.

use std::fs;
use std::path::PathBuf;

use crate::chain::Chain;
use crate::exits::Exits;
use crate::kube::{Namespace, example};
use crate::story::Story;

/// The paths of all manifests in `examples/`.
fn manifests() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// As they stand, with the images that they name.
#[test]
fn the_api_server_takes_them_all() {
    let namespace = Namespace::new("examples");
    let manifests = manifests();
    assert!(manifests.len() > 10, "{manifests:?}");
    for path in manifests {
        let file = format!("--filename={}", path.display());
        let taken = ["create", "--dry-run=server", "--validate=strict", "--output=yaml", &file];
        let taken = namespace.run(&taken);
        assert!(taken.contains("kind: Job") || taken.contains("kind: CronJob"), "{file}: {taken}");
        // A field behind a feature gate that is off is dropped without a word.
        let image_volume = fs::read_to_string(path).unwrap().contains("reference: ");
        assert!(!image_volume || taken.contains("reference: example.com/proa:1"), "{file}: {taken}");
    }
}

/// Makes a manifest's objects, waits for the end of its Job, and checks the containers' exit codes.
fn completes(namespace: &Namespace, manifest: &str, codes: &[(&str, i64)]) -> Story {
    namespace.create(manifest);
    ended(namespace, "example", codes)
}

fn ended(namespace: &Namespace, job: &str, codes: &[(&str, i64)]) -> Story {
    assert_eq!(namespace.job_end(job), "Complete");
    let story = namespace.story();
    story.codes(codes);
    story.no_warnings();
    story
}

/// The lines that proa logs of a Job, as `README.md` shows them, without their facts.
fn log_in_the_readme() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let block = readme.split("```text\nINFO").nth(1).unwrap().split("```").next().unwrap();
    let lines = format!("INFO{block}");
    let words =
        |line: &str| line.split(' ').take_while(|word| !word.contains('=')).collect::<Vec<_>>().join(" ");
    lines.lines().filter(|line| line.starts_with("INFO")).map(words).collect()
}

#[test]
fn job() {
    let namespace = Namespace::new("example");
    let story = completes(&namespace, &example("job.yaml"), &[("main", 0), ("sidecar", 0)]);
    // The command's own lines have the time when they were read, which may be late.
    story.in_order(&["sidecar: ready", "main: sidecar", "main: done"]);
    story.in_order(&[
        "sidecar: ready",
        "command started",
        "command ended",
        "quit request 1",
        "sidecar: ends",
    ]);
    assert!(story.end("main").finished >= story.end("sidecar").finished);
    assert!(!story.has("quit request 2"));
    let log = log_in_the_readme();
    assert!(log.len() > 5, "{log:?}");
    story.in_order(&log.iter().map(String::as_str).collect::<Vec<_>>());
    let closing: Vec<_> = story.lines("proa::flow: done ").collect();
    let [line] = closing[..] else { panic!("not one closing line: {closing:?}") };
    for part in [" code=0", " gate=\"", " run=\"", " teardown=\"", " sidecars=\"sidecar 0\""] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
}

#[test]
fn cronjob() {
    let namespace = Namespace::new("cronjob");
    // No run but ours, whatever the time is.
    namespace.create(&example("cronjob.yaml").replace("\n  schedule:", "\n  suspend: true\n  schedule:"));
    namespace.run(&["create", "job", "--from=cronjob/example", "now"]);
    let story = ended(&namespace, "now", &[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "command ended", "quit request 1", "sidecar: ends"]);
}

/// Its end is the kubelet's to bring about, after ours.
#[test]
fn native_sidecar() {
    let namespace = Namespace::new("native");
    let story = completes(&namespace, &example("native-sidecar.yaml"), &[("main", 0), ("sidecar", 0)]);
    assert!(story.has("main: done"));
    story.in_order(&[
        "sidecar: ready",
        "command ended",
        "sidecar: got SIGTERM",
        "sidecar: ends after SIGTERM",
    ]);
    assert!(story.end("main").finished <= story.end("sidecar").finished);
}

/// The real one. With a port given it asks nobody for anything before a client connects to it, but
/// for its credentials, which these two spare it.
#[test]
fn cloud_sql_proxy() {
    let namespace = Namespace::new("cloud-sql");
    let credentials = "- --token=none\n        - --lazy-refresh\n        - --quitquitquit";
    let manifest = example("cloud-sql-proxy.yaml").replace("- --quitquitquit", credentials);
    let story = completes(&namespace, &manifest, &[("main", 0), ("cloud-sql-proxy", 0)]);
    story.in_order(&["main: working", "main: done"]);
    story.in_order(&["gate open", "command ended", "stop request answered", "sidecar ended"]);
    assert!(story.end("main").finished >= story.end("cloud-sql-proxy").finished);
}

/// nginx has no endpoint and proa is in nobody's image.
#[test]
fn quit_file() {
    let namespace = Namespace::new("quit-file");
    let exits = Exits::new();
    namespace.create(&example("quit-file.yaml"));
    let (chain, story) = Chain::of(&namespace, &exits, "example", "nginx");
    chain.check();
    story.codes(&[("install", 0)]);
    assert!(story.has("main: nginx"), "the page that nginx serves");
    story.no_warnings();
}

#[test]
fn kill_by_name() {
    let namespace = Namespace::new("kill-by-name");
    let story = completes(&namespace, &example("kill-by-name.yaml"), &[("main", 0), ("nginx", 0)]);
    assert!(story.has("main: nginx"), "the page that nginx serves");
    assert!(story.end("main").finished >= story.end("nginx").finished);
}

#[test]
fn install() {
    let namespace = Namespace::new("install");
    let codes = [("install", 0), ("main", 0), ("sidecar", 0)];
    let story = completes(&namespace, &example("install.yaml"), &codes);
    story.in_order(&["sidecar: ready", "main: done"]);
    story.in_order(&["sidecar: ready", "command ended", "sidecar: quit request 1"]);
}

/// proa runs where its image is mounted, and nothing was copied.
#[test]
fn image_volume() {
    let namespace = Namespace::new("image-volume");
    let story = completes(&namespace, &example("image-volume.yaml"), &[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: done"]);
    story.in_order(&["sidecar: ready", "command ended", "sidecar: quit request 1"]);
    let pod = namespace.pod();
    assert_eq!(pod["spec"]["volumes"][0]["image"]["reference"], "localhost/proa:1", "{pod}");
    assert!(pod["spec"]["initContainers"].is_null(), "{pod}");
}

/// No token is in the Pod, so nothing was read from the API.
#[test]
fn no_rbac() {
    let namespace = Namespace::new("no-rbac");
    let story = completes(&namespace, &example("no-rbac.yaml"), &[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: done"]);
    story.in_order(&["sidecar: ready", "command ended", "sidecar: quit request 1"]);
    let volumes = &namespace.pod()["spec"]["volumes"];
    assert!(volumes.is_null(), "{volumes}");
}
