//! A thin driver of `kubectl`: one namespace per test, watches with a deadline, and all there is
//! to know about a test that failed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Deserializer, Value};

use crate::story::Story;

/// No test needs half of it on an idle machine; ones with a compiler beside them may.
const DEADLINE: Duration = Duration::from_mins(3);

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");

/// A namespace that goes when the test ends.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// `test` is a word or two for whoever watches the cluster.
    pub fn new(test: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        ready();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{test}-{}-{number}", std::process::id());
        checked(kubectl(&["create", "namespace", &name]), None);
        let namespace = Self { name };
        // A Pod that is made before its service account is refused.
        namespace.run(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"]);
        namespace
    }

    /// Makes the objects of a manifest, YAML or JSON.
    pub fn create(&self, manifest: &str) {
        checked(self.kubectl(&["create", "--filename=-"]), Some(manifest));
    }

    /// Runs `kubectl` to its end and returns what it says.
    pub fn run(&self, args: &[&str]) -> String {
        checked(self.kubectl(args), None)
    }

    /// Runs `kubectl` to its end, which must not be a good one.
    pub fn run_failing(&self, args: &[&str]) {
        let output = self.kubectl(args).output().unwrap();
        assert!(!output.status.success(), "kubectl {args:?}: {}", text(&output.stdout));
    }

    /// Runs a shell script in a container of the only Pod.
    #[track_caller]
    pub fn exec(&self, container: &str, script: &str) -> String {
        let pod = self.pod();
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.run(&["exec", name, "--container", container, "--", "sh", "-c", script])
    }

    /// Watches objects (`["pods"]`, `["job/main"]`) until `seen` has an answer for one.
    #[track_caller]
    pub fn watch<T>(&self, objects: &[&str], what: &str, mut seen: impl FnMut(&Value) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut command = self.kubectl(&["get", "--watch", "--output=json"]);
        let mut watch = Running(command.args(objects).stdout(Stdio::piped()).spawn().unwrap());
        let states = values(&mut watch.0);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match states.recv_timeout(left) {
                Ok(state) => {
                    if let Some(answer) = seen(&state) {
                        return answer;
                    }
                }
                Err(error) => panic!("{}: waiting until {what}: {error}", self.name),
            }
        }
    }

    /// Waits until the Job has ended, and returns how: `Complete` or `Failed`.
    #[track_caller]
    pub fn job_end(&self, name: &str) -> String {
        self.watch(&[&format!("job/{name}")], "the Job ends", |job| {
            let conditions = job["status"]["conditions"].as_array()?;
            let ended = |condition: &&Value| {
                matches!(condition["type"].as_str(), Some("Complete" | "Failed"))
                    && condition["status"] == "True"
            };
            Some(conditions.iter().find(ended)?["type"].as_str()?.to_owned())
        })
    }

    /// Waits until a container of the only Pod has ended, for now or for good.
    #[track_caller]
    pub fn container_end(&self, container: &str) {
        self.watch(&["pods"], "the container ends", |pod| {
            let status = statuses(pod).find(|status| status["name"] == container)?;
            status["state"]["terminated"].is_object().then_some(())
        });
    }

    /// Waits until a line of a container's log contains `text`.
    #[track_caller]
    pub fn wait_for_line(&self, container: &str, text: &str) {
        self.watch(&["pods"], "the container runs", |pod| {
            let runs = |status: &Value| status["name"] == container && status["state"]["waiting"].is_null();
            statuses(pod).any(runs).then_some(())
        });
        let log = self.follow(&self.pod(), container);
        while !log.next().unwrap().contains(text) {}
    }

    /// Deletes the only Pod, waits until all its containers have ended, and tells the story.
    /// Each of them must have said something before; the Pod must be a [`crate::manifest::kept_pod`].
    #[track_caller]
    pub fn delete_pod(&self) -> Story {
        let pod = self.pod();
        // The kubelet removes the logs as soon as the containers have ended.
        let mut logs = Vec::new();
        for name in containers(&pod) {
            let log = self.follow(&pod, &name);
            let first = log.next().unwrap();
            logs.push((name, log, first));
        }
        self.run(&["delete", "pod", pod["metadata"]["name"].as_str().unwrap(), "--wait=false"]);
        let ended = self.watch(&["pods"], "all containers have ended", |pod| {
            statuses(pod).all(|status| status["state"]["terminated"].is_object()).then(|| pod.clone())
        });
        let whole = |(name, log, first): (String, Log, String)| {
            (name, std::iter::once(first).chain(log.lines).collect::<Vec<_>>().join("\n"))
        };
        let story = Story::new(&ended, logs.into_iter().map(whole));
        eprintln!("{story}");
        self.let_go();
        story
    }

    /// Takes the finalizer from the Pods.
    fn let_go(&self) {
        for pod in self.run(&["get", "pods", "--output=name"]).lines() {
            self.run(&["patch", pod, "--type=merge", "--patch", r#"{"metadata":{"finalizers":null}}"#]);
        }
    }

    /// A container's log from its beginning, as it grows.
    fn follow(&self, pod: &Value, container: &str) -> Log {
        let mut command = self.kubectl(&["logs", "--follow", "--timestamps", "--container", container]);
        command.arg(pod["metadata"]["name"].as_str().unwrap());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        Log { lines: lines(&mut child), _child: Running(child) }
    }

    /// The newest state of the only Pod.
    #[track_caller]
    pub fn pod(&self) -> Value {
        let list: Value = serde_json::from_str(&self.run(&["get", "pods", "--output=json"])).unwrap();
        let pods = list["items"].as_array().unwrap();
        assert_eq!(pods.len(), 1, "{}: not one Pod", self.name);
        pods[0].clone()
    }

    /// What happened in the only Pod; printed for `--nocapture`, or where the test fails later.
    #[track_caller]
    pub fn story(&self) -> Story {
        let pod = self.pod();
        let name = pod["metadata"]["name"].as_str().unwrap();
        let log = |container: String| {
            let log = self.run(&["logs", "--timestamps", name, "--container", &container]);
            (container, log)
        };
        let story = Story::new(&pod, containers(&pod).map(log));
        eprintln!("{story}");
        story
    }

    fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = kubectl(&["--namespace", &self.name]);
        command.args(args);
        command
    }

    /// Prints what a person would ask for.
    fn explain(&self) {
        eprintln!("---- namespace {}", self.name);
        let show = |args: &[&str]| {
            eprintln!("---- kubectl {}", args.join(" "));
            match self.kubectl(args).output() {
                Ok(output) => eprintln!("{}{}", text(&output.stdout), text(&output.stderr)),
                Err(error) => eprintln!("{error}"),
            }
        };
        show(&["get", "pods,jobs", "--output=wide"]);
        show(&["get", "pods", "--output=yaml"]);
        show(&["get", "events", "--sort-by=.metadata.creationTimestamp"]);
        for pod in text(&self.kubectl(&["get", "pods", "--output=name"]).output().unwrap().stdout).lines() {
            show(&["logs", pod, "--all-containers", "--timestamps", "--prefix"]);
            show(&["logs", pod, "--all-containers", "--timestamps", "--prefix", "--previous"]);
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if thread::panicking() {
            self.explain();
            self.let_go();
        }
        // Nobody waits for it: a container that is deaf to SIGTERM takes its whole grace period.
        let _ = kubectl(&["delete", "namespace", &self.name, "--wait=false"]).output();
    }
}

/// Lines as they come.
struct Log {
    lines: mpsc::Receiver<String>,
    _child: Running,
}

impl Log {
    /// None where the container has ended.
    fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the log says nothing"),
        }
    }
}

/// A child that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The names of a Pod's containers.
fn containers(pod: &Value) -> impl Iterator<Item = String> {
    let lists = ["initContainers", "containers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    lists.flatten().map(|container| container["name"].as_str().unwrap().to_owned())
}

/// What the kubelet says of a Pod's containers.
pub fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainerStatuses", "containerStatuses"].into_iter();
    lists.filter_map(|list| pod["status"][list].as_array()).flatten()
}

/// Checks, once, that the cluster is up, and makes the images that hold proa anew.
fn ready() {
    static READY: OnceLock<Result<(), String>> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        if !kubectl(&["get", "--raw", "/readyz"]).output().is_ok_and(|output| output.status.success()) {
            return Err("the cluster is not up: run tests/cluster/up.sh".to_owned());
        }
        let images = Command::new(Path::new(FOLDER).join("images.sh")).args(["proa", "app"]).status();
        if !images.is_ok_and(|status| status.success()) {
            return Err("tests/cluster/images.sh proa app has failed".to_owned());
        }
        Ok(())
    });
    assert_eq!(*ready, Ok(()));
}

fn kubectl(args: &[&str]) -> Command {
    let folder = Path::new(FOLDER);
    let mut command = Command::new(folder.join("bin/kubectl"));
    command.arg("--kubeconfig").arg(folder.join("state/admin.kubeconfig")).args(args).stdin(Stdio::null());
    command
}

/// Runs a command that must succeed, and returns its output.
#[track_caller]
fn checked(mut command: Command, input: Option<&str>) -> String {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(input) = input {
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The JSON documents that a child prints, as they come.
fn values(child: &mut Child) -> mpsc::Receiver<Value> {
    let (send, receive) = mpsc::channel();
    let output = child.stdout.take().unwrap();
    thread::spawn(move || {
        let documents = Deserializer::from_reader(output).into_iter::<Value>();
        documents.map_while(Result::ok).try_for_each(|value| send.send(value))
    });
    receive
}

/// The lines that a child prints, as they come.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    use std::io::{BufRead, BufReader};
    let (send, receive) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    receive
}

/// A file of `examples/`, with images that exist here.
pub fn example(name: &str) -> String {
    let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut manifest = fs::read_to_string(path).unwrap();
    for (image, here) in [
        ("example.com/your-app:1", "app"),
        ("example.com/your-sidecar:1", "slow-sidecar"),
        ("example.com/proa:1", "proa"),
        ("busybox:1", "busybox"),
        ("nginx:1", "nginx"),
        ("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2", "cloud-sql-proxy"),
    ] {
        manifest = manifest.replace(&format!(": {image}\n"), &format!(": localhost/{here}:1\n"));
    }
    let mut images = manifest
        .lines()
        .filter_map(|line| line.split_once("image: ").or_else(|| line.split_once("reference: ")));
    assert!(images.all(|(_, image)| image.starts_with("localhost/")), "{name} has images of elsewhere");
    manifest
}

/// The objects of a YAML manifest, for a test that changes them.
pub fn objects(manifest: &str) -> Vec<Value> {
    let command = kubectl(&["create", "--dry-run=client", "--output=json", "--filename=-"]);
    let json = checked(command, Some(manifest));
    Deserializer::from_str(&json).into_iter::<Value>().map(Result::unwrap).collect()
}
