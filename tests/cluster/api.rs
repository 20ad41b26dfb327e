//! The API server in its bad hours: a compacted history, a refused token, a network that is gone.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::kube::Namespace;
use crate::manifest::{QUIT, create, job, main, pod_spec, sidecar};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");
const NODE: &str = "172.31.255.2";
const PORT: &str = "7443";

/// Runs a program in the node's network.
fn on_node(words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg("--net=/run/netns/proa-cluster").args(words).stdin(Stdio::null());
    command
}

/// A second API server of the cluster. It asks etcd for each watch instead of its own memory, which
/// keeps what etcd has forgotten for a while: so a compaction is felt at once.
struct Uncached(Child);

impl Uncached {
    fn start() -> Self {
        let file = |name: &str| format!("{FOLDER}/state/pki/{name}");
        let mut command = on_node(&[&format!("{FOLDER}/bin/kube-apiserver")]);
        command.args(["--etcd-servers=http://127.0.0.1:2379", "--watch-cache=false", "--secure-port", PORT]);
        command.args([
            "--endpoint-reconciler-type=none",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
        ]);
        command.args(["--service-cluster-ip-range=10.96.0.0/24", "--advertise-address", NODE]);
        command.args(["--service-account-issuer=https://kubernetes.default.svc.cluster.local"]);
        for (option, name) in [
            ("--client-ca-file", "ca.crt"),
            ("--tls-cert-file", "apiserver.crt"),
            ("--tls-private-key-file", "apiserver.key"),
            ("--service-account-key-file", "sa.pub"),
            ("--service-account-signing-key-file", "sa.key"),
        ] {
            command.args([option, &file(name)]);
        }
        let server = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let url = format!("https://{NODE}:{PORT}/readyz");
        let deadline = Instant::now() + Duration::from_mins(2);
        let ready = || {
            let curl = Command::new("curl").args(["-fs", "--cacert", &file("ca.crt"), &url]).output();
            curl.is_ok_and(|output| output.status.success())
        };
        while !ready() {
            assert!(Instant::now() < deadline, "the second API server is not ready");
            thread::sleep(Duration::from_millis(100));
        }
        server
    }
}

impl Drop for Uncached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks etcd, by its gateway for JSON.
fn etcd(call: &str, question: &Value) -> Value {
    let url = format!("http://127.0.0.1:2379/v3/kv/{call}");
    let output = on_node(&["curl", "-fsS", "-d", &question.to_string(), &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Makes etcd forget everything but the present state.
fn compact(namespace: &Namespace) {
    // The present is compacted never, so the Pod's last change must not be the newest of all.
    for name in ["one", "two"] {
        namespace.run(&["create", "configmap", name]);
    }
    let revision = etcd("range", &json!({"key": "AA=="}))["header"]["revision"].clone();
    etcd("compaction", &json!({"revision": revision}));
}

/// A long job: what its Pod's last change was based on is forgotten when it ends.
#[test]
fn a_compaction_while_the_command_runs_costs_no_time() {
    let namespace = Namespace::new("compaction");
    let _server = Uncached::start();
    let mut main = main(&[QUIT], "say works; until [ -e /tmp/go ]; do sleep 0.1; done");
    main["env"] = json!([
        {"name": "KUBERNETES_SERVICE_HOST", "value": NODE}, {"name": "KUBERNETES_SERVICE_PORT", "value": PORT},
        {"name": "RUST_LOG", "value": "proa=debug"},
    ]);
    create(&namespace, job(&pod_spec(&[main, sidecar(&["-drain=2s"])])));
    namespace.wait_for_line("main", "works");
    // The Pod's last change before its end.
    namespace.watch(&["pods"], "all are ready", |pod| {
        let ready = |status: &Value| status["ready"] == true;
        pod["status"]["containerStatuses"].as_array()?.iter().all(ready).then_some(())
    });
    compact(&namespace);
    namespace.exec("main", "touch /tmp/go");
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    let told = story.time("command ended");
    let gone = story.time("the version was compacted");
    let anew = story.time_after(gone, "new state of the Pod");
    assert!(told < gone, "compacted at the gate already");
    let late = anew.duration_since(told);
    assert!(
        late < SignedDuration::from_millis(500),
        "the present state came {late:#} after the command's end"
    );
    story.no_warnings();
    assert!(story.end("main").finished >= story.end("sidecar").finished);
}

/// As after a rotation that the mounted file has not seen yet.
#[test]
fn a_token_that_is_refused_is_read_anew() {
    let namespace = Namespace::new("token");
    let mut main = main(&[], "");
    let from = "/var/run/secrets/kubernetes.io/serviceaccount";
    let script = format!(
        "mkdir /tmp/account; for f in ca.crt namespace; do cat {from}/$f >/tmp/account/$f; done
        echo stale >/tmp/account/token; exec proa --service-account-dir=/tmp/account {QUIT} -- sh -c 'say works'"
    );
    main["command"] = json!(["sh", "-c", script]);
    create(&namespace, job(&pod_spec(&[main, sidecar(&[])])));
    namespace.wait_for_line("main", "trying again");
    namespace.exec(
        "main",
        &format!("cat {from}/token >/tmp/account/new; busybox mv /tmp/account/new /tmp/account/token"),
    );
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["401", "answers again", "gate open", "main: works"]);
    assert_eq!(story.lines(" WARN ").count(), 2);
}

/// Nothing from the API server reaches a Pod, and nothing of it the server; nobody is told.
struct Cut(String);

impl Cut {
    fn new(ip: &str) -> Self {
        let cut = Self(ip.to_owned());
        cut.rules("--insert");
        cut
    }

    fn rules(&self, what: &str) {
        for rule in
            [["INPUT", "--source", &self.0, "--dport"], ["OUTPUT", "--destination", &self.0, "--sport"]]
        {
            let [chain, side, ip, port] = rule;
            let words =
                ["iptables", what, chain, side, ip, "--protocol", "tcp", port, "443", "--jump", "DROP"];
            assert!(on_node(&words).status().unwrap().success(), "{words:?}");
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.rules("--delete");
    }
}

/// Whom nobody answers is noticed by the kernel's keepalive: 10 s, then three times 5 s.
#[test]
fn a_network_that_is_gone_is_noticed() {
    let namespace = Namespace::new("cut-off");
    let options = ["--probe-sidecars=off", QUIT];
    create(&namespace, job(&pod_spec(&[main(&options, "say works"), sidecar(&["-ready-after=15s"])])));
    namespace.wait_for_line("main", "waiting for the sidecars");
    namespace.wait_for_line("sidecar", "listens");
    let ip = namespace.pod()["status"]["podIP"].as_str().unwrap().to_owned();
    let (cut, since) = (Cut::new(&ip), Timestamp::now());
    namespace.wait_for_line("main", "trying again");
    drop(cut);
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    let took = story.time("trying again").duration_since(since).as_secs();
    assert!((20..35).contains(&took), "noticed after {took} s");
    story.in_order(&["sidecar: ready", "trying again", "gate open", "main: works"]);
}
