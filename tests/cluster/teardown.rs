//! How sidecars of every kind are brought to end.

use serde_json::{Value, json};

use crate::kube::Namespace;
use crate::manifest::{QUIT, create, job, main, pod, pod_spec, share, sidecar};
use crate::story::Story;

/// A Job whose sidecar takes the stop request in an odd way, and completes.
fn completes(test: &str, sidecar_options: &[&str]) -> Story {
    let namespace = Namespace::new(test);
    create(&namespace, job(&pod_spec(&[main(&[QUIT], "say works"), sidecar(sidecar_options)])));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story
}

#[test]
fn a_lost_request_is_sent_again() {
    completes("lost", &["-quit=lost-once"]).in_order(&["quit request 1", "quit request 2", "sidecar: ends"]);
}

#[test]
fn a_sidecar_that_is_busy_is_asked_again() {
    completes("busy", &["-quit=busy-once"]).in_order(&["quit request 1", "quit request 2", "sidecar: ends"]);
}

/// The sidecar never ends; proa does, at its deadline, with the command's code, and names it.
pub fn gives_up(test: &str, options: &[&str], sidecar: Value) -> Story {
    let namespace = Namespace::new(test);
    let options = [options, &["--shutdown-timeout=4s"]].concat();
    create(&namespace, pod(&pod_spec(&[main(&options, "say ends; exit 5"), sidecar])));
    namespace.container_end("main");
    let story = namespace.story();
    story.codes(&[("main", 5)]);
    let took = story.end("main").finished.duration_since(story.time("main: ends"));
    assert!(took.as_secs() < 10, "teardown took {took:#}");
    assert!(story.has(" WARN "));
    story
}

#[test]
fn a_sidecar_that_says_yes_and_runs_on_is_given_up() {
    gives_up("ignores", &[QUIT], sidecar(&["-quit=ignore"]));
}

#[test]
fn a_sidecar_that_never_answers_is_given_up() {
    gives_up("hangs", &["--http-timeout=1s", QUIT], sidecar(&["-quit=hang"]));
}

#[test]
fn a_sidecar_without_the_endpoint_is_given_up() {
    gives_up("lacks", &[QUIT], sidecar(&["-quit=404"]));
}

#[test]
fn a_command_that_is_not_there_stops_the_sidecars_too() {
    let namespace = Namespace::new("not-found");
    let mut main = main(&[QUIT], "");
    main["command"] = json!(["proa", QUIT, "--", "no-such-command"]);
    create(&namespace, job(&pod_spec(&[main, sidecar(&[])])));
    assert_eq!(namespace.job_end("main"), "Failed");
    let story = namespace.story();
    story.codes(&[("main", 127), ("sidecar", 0)]);
    assert!(story.end("main").message.contains("no-such-command"));
    let described = namespace.run(&["describe", "pod"]);
    assert!(described.contains("Message:") && described.contains("no-such-command"), "{described}");
}

/// The sidecar has no endpoint; its process is seen and signalled.
fn killed(test: &str, option: &str, user: Option<u32>) {
    let namespace = Namespace::new(test);
    let mut spec = pod_spec(&[main(&[option], "say works"), sidecar(&["-quit=404"])]);
    spec["shareProcessNamespace"] = json!(true);
    if let Some(user) = user {
        spec["securityContext"] = json!({"runAsUser": user, "runAsGroup": user});
    }
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["main: works", "sidecar: got SIGTERM", "sidecar: ends after SIGTERM"]);
    story.no_warnings();
}

#[test]
fn a_sidecar_can_be_killed_by_name_as_the_same_user() {
    killed("kill-user", "--kill=sidecar:TERM", Some(1000));
}

#[test]
fn all_others_can_be_killed() {
    killed("kill-all", "--kill-all", None);
}

/// PID 1 is the Pod's pause, whose end would be everybody's; what the command leaves behind is ours.
#[test]
fn neither_pause_nor_our_own_are_killed() {
    let namespace = Namespace::new("spares");
    let script =
        "sh -c 'trap \"say orphan got SIGTERM\" TERM; say orphan; while true; do sleep 1; done' & say works";
    let options = ["--kill=pause", "--kill=proa", "--kill-all"];
    let mut spec = pod_spec(&[main(&options, script), sidecar(&["-quit=404", "-drain=2s"])]);
    spec["shareProcessNamespace"] = json!(true);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["main: works", "sidecar: got SIGTERM", "sidecar: ends after SIGTERM"]);
    assert!(story.has("main: orphan") && !story.has("orphan got SIGTERM"));
    for name in ["pause", "proa"] {
        let warned =
            story.lines("no process was signalled").any(|line| line.contains(&format!("what=\"{name} ")));
        assert!(warned, "{name} is not said");
    }
}

/// Another user's processes cannot be signalled without a capability: said, and not fatal.
#[test]
fn a_sidecar_that_may_not_be_killed_is_said() {
    let namespace = Namespace::new("may-not-kill");
    let options = ["--kill=sidecar", "--shutdown-timeout=2s"];
    let mut spec = pod_spec(&[main(&options, "say works; exit 5"), sidecar(&["-quit=404"])]);
    spec["shareProcessNamespace"] = json!(true);
    for (container, user) in [1000, 2000].into_iter().enumerate() {
        spec["containers"][container]["securityContext"] = json!({"runAsUser": user, "runAsGroup": user});
    }
    create(&namespace, pod(&spec));
    namespace.container_end("main");
    let story = namespace.story();
    story.codes(&[("main", 5)]);
    let warned = story.lines("cannot signal").any(|line| line.contains("sidecar") && line.contains("EPERM"));
    assert!(warned, "no word of the missing permission");
    assert!(story.has("still running at the deadline") && !story.has("sidecar: got SIGTERM"));
}

/// A sidecar under `proa --quit-file` that does this on SIGTERM; it was asked to end, so however it
/// does is no failure.
fn ends_by_its_quit_file(test: &str, trap: &str) {
    let namespace = Namespace::new(test);
    let script = format!("trap '{trap}' TERM; say ready; while true; do sleep 1; done");
    let mut sidecar = main(&["--quit-file=/shared/done", "--no-api", "--shutdown-timeout=2s"], &script);
    sidecar["name"] = json!("sidecar");
    let mut spec = pod_spec(&[sidecar, main(&["--shutdown-file=/shared/done"], "say works")]);
    share(&mut spec, 0);
    share(&mut spec, 1);
    create(&namespace, job(&spec));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    assert!(story.end("main").finished >= story.end("sidecar").finished);
}

/// It has to be killed.
#[test]
fn a_deaf_sidecar_ends_by_its_quit_file() {
    ends_by_its_quit_file("deaf", "");
}

/// As configmap-reload does, and every Go program that handles no signal and is asked as PID 1.
#[test]
fn a_sidecar_that_fails_on_sigterm_ends_by_its_quit_file() {
    ends_by_its_quit_file("fails-on-term", "exit 2");
}

/// Everything a careful cluster takes away, and an image that holds nothing but proa.
#[test]
fn proa_needs_next_to_nothing() {
    let namespace = Namespace::new("bare");
    let mut main = main(&[], "");
    main["image"] = json!("localhost/proa:1");
    main["command"] = json!(["/proa", QUIT, "--", "/proa", "--version"]);
    main["resources"] = json!({"limits": {"memory": "16Mi"}});
    main["securityContext"] = json!({
        "runAsUser": 65534, "runAsGroup": 65534, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    create(&namespace, job(&pod_spec(&[main, sidecar(&["-ready-after=1s"])])));
    assert_eq!(namespace.job_end("main"), "Complete");
    let story = namespace.story();
    story.codes(&[("main", 0), ("sidecar", 0)]);
    story.in_order(&["sidecar: ready", "main: proa "]);
    story.in_order(&["sidecar: ready", "command ended", "sidecar: quit request 1"]);
    story.no_warnings();
}
