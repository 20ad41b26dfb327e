//! SPEC section 3: who we are, by which source, in which order.

use crate::harness::{Api, Container, Pod, Proa, Sidecar, TempDir, not_run_here, pid1};

fn named(pod: Pod, name: &str, namespace: &str) -> Pod {
    pod.set("/metadata", "name", name.into()).set("/metadata", "namespace", namespace.into())
}

/// A service account whose token says nothing.
fn silent_account(api: &Api) -> TempDir {
    let account = TempDir::new();
    account.write("token", api.token());
    std::fs::copy(api.account().join("ca.crt"), account.join("ca.crt")).unwrap();
    std::fs::copy(api.account().join("namespace"), account.join("namespace")).unwrap();
    account
}

#[test]
fn the_tokens_claims_beat_the_variables() {
    let api = Api::serving(named(Pod::new(), "from-token", "space"));
    let run = Proa::new().api(&api).env("POD_NAME", "wrong").env("POD_NAMESPACE", "wrong");
    let done = run.child("exit 7").run().assert_code(7);
    let line = done.stderr.lines().find(|line| line.contains("who we are")).unwrap();
    for part in ["DEBUG", "from-token", "space", "token", "main", "spec.containers"] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
}

#[test]
fn options_beat_the_tokens_claims() {
    let api = Api::serving(named(Pod::new(), "by-option", "by-option-too"));
    // Another API server's token: its claims name another Pod.
    let other = Api::serving(Pod::new());
    let account = TempDir::new();
    account.write("token", other.token());
    std::fs::copy(api.account().join("ca.crt"), account.join("ca.crt")).unwrap();
    api.accept(&other.token());
    let run = || Proa::new().api(&api).env("PROA_SERVICE_ACCOUNT_DIR", account.path());
    let options = ["--pod", "by-option", "--namespace", "by-option-too"];
    run().args(options).child("exit 7").run().assert_code(7);
    run()
        .env("PROA_POD", "by-option")
        .env("PROA_NAMESPACE", "by-option-too")
        .child("exit 7")
        .run()
        .assert_code(7);
}

#[test]
fn variables_help_where_the_token_says_nothing() {
    let api = Api::serving(named(Pod::new(), "by-variable", "space"));
    for token in ["opaque", "a.b.c", "e30.e30.c2ln", "", "e30.eyJrdWJlcm5ldGVzLmlvIjp7fX0.c2ln"] {
        api.accept(token);
        let account = silent_account(&api);
        let run = Proa::new().api(&api).env("PROA_SERVICE_ACCOUNT_DIR", account.path());
        let run = run.env("POD_NAME", "by-variable").env("POD_NAMESPACE", "space");
        if token.is_empty() {
            // Half a rotation, perhaps: no token at all.
            run.args(["--startup-timeout", "1s"]).child("exit 7").run().assert_code(125);
        } else {
            run.child("exit 7").run().assert_code(7);
        }
    }
}

#[test]
fn the_host_name_is_the_last_resort() {
    let host = nix::unistd::gethostname().unwrap().to_string_lossy().to_lowercase();
    let label = host.split('.').next().unwrap_or_default().to_owned();
    if label.is_empty() || label.contains('_') {
        not_run_here("the_host_name_is_the_last_resort", "the host has no name that a Pod could have");
        return;
    }
    let api = Api::serving(named(Pod::new(), &label, "by-file"));
    api.accept("opaque");
    let account = silent_account(&api);
    let run = Proa::new().api(&api).env("PROA_SERVICE_ACCOUNT_DIR", account.path());
    run.child("exit 7").run().assert_code(7);
}

#[test]
fn the_container_is_an_option_or_an_annotation_or_the_first() {
    let annotation = "kubectl.kubernetes.io/default-container";
    let pod = || Pod::of([Container::not_ready("proxy")]).first();
    for (pod, options, works) in [
        (pod(), &["--container", "main"][..], false),
        (pod().annotation(annotation, "main"), &[], false),
        (pod().annotation(annotation, "main"), &["--container", "proxy"], true),
        // A detected name that the spec lacks is no answer: the first is asked.
        (pod().annotation(annotation, "nobody"), &[], true),
        (pod(), &[], true),
    ] {
        let api = Api::serving(pod.grace(1));
        let run = Proa::new().api(&api).args(["--startup-timeout", "300ms", "--shutdown-timeout", "1s"]);
        run.args(options).child("exit 7").run().assert_code(if works { 7 } else { 125 });
    }
}

#[test]
fn a_container_that_the_spec_lacks_is_refused_at_once() {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::new("proxy")]).grace(1));
    let run = Proa::new().api(&api).args(["--container", "mian", "-p", &sidecar.url("/quit")]);
    let done = run.child("exit 7").run().assert_code(125);
    assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
    done.assert_stderr(["mian", "main", "proxy"]);
}

#[test]
fn a_wrong_name_is_said_with_its_source() {
    let api = Api::serving(Pod::new());
    let run = Proa::new().api(&api).args(["--pod", "nobody", "--startup-timeout", "500ms"]);
    run.child("exit 7").run().assert_code(125).assert_stderr(["nobody", "404"]);
}

/// Mounts a termination log as the kubelet does, for a namespace of its own.
/// `$1` is a new folder; the rest is the command.
const MOUNTS: &str = r#"
set -e
folder=$1; container=$2; shift 2
mkdir -p "$folder/dev" "$folder/pods/8c1bd0a4/containers/$container"
touch "$folder/dev/null" "$folder/dev/termination-log" "$folder/pods/8c1bd0a4/containers/$container/1f0a"
mount --bind /dev/null "$folder/dev/null"
mount --rbind "$folder/dev" /dev
mount --bind "$folder/pods/8c1bd0a4/containers/$container/1f0a" /dev/termination-log
exec "$@"
"#;

/// Runs with a termination log of this container; None where no mounts are
/// possible.
pub fn with_termination_log(test: &str, run: Proa, folder: &TempDir, container: &str) -> Option<Proa> {
    let folder = folder.path().display().to_string();
    let shell = ["sh", "-c", MOUNTS, "sh", folder.as_str(), container];
    let prefix = pid1::mount_prefix(test)?;
    Some(run.after(prefix).after(shell))
}

#[test]
fn the_termination_logs_mount_knows_the_container() {
    let test = "the_termination_logs_mount_knows_the_container";
    for (container, works) in [("main", false), ("proxy", true), ("nobody", true)] {
        let folder = TempDir::new();
        let api = Api::serving(Pod::of([Container::not_ready("proxy")]).first().grace(1));
        let run = Proa::new().api(&api).args(["--startup-timeout", "300ms", "--shutdown-timeout", "1s"]);
        let Some(run) = with_termination_log(test, run, &folder, container) else { return };
        let done = run.child("exit 7").run().assert_code(if works { 7 } else { 125 });
        let source = if container == "nobody" { "spec.containers" } else { "mount" };
        done.assert_stderr([source]);
    }
}
