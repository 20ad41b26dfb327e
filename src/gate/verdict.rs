//! May the child start? Pure: a Pod's state and what our own probes have
//! found -> one answer, with the words for the user.

use std::collections::BTreeMap;

use crate::pod::{Container, PodView, Readiness, State};

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Open,
    /// Not yet: each sidecar that is not ready, and why.
    Waiting(Vec<String>),
    /// Never: a sidecar has ended and will not come back.
    Hopeless(String),
    /// The Pod is being deleted.
    Deleted,
}

/// What our own probe of a container has found; keyed by the container's name.
pub type Probed = BTreeMap<String, Outcome>;

/// The newest finding, of this very start of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The runtime's id of the start that was probed.
    pub id: String,
    /// Passed as often in a row as the probe demands.
    pub passed: bool,
    /// What was asked and why it failed last.
    pub failure: Option<String>,
}

/// Judges the newest state.
pub fn verdict(pod: &PodView, own: &str, ignored: &[String], probed: &Probed) -> Verdict {
    if pod.deleting {
        return Verdict::Deleted;
    }
    let mut blockers = Vec::new();
    for sidecar in pod.sidecars(own, ignored) {
        if let Some(end) = sidecar.ended_for_good() {
            return Verdict::Hopeless(format!(
                "sidecar {} ended before it was ready: exit code {}, {}; it is not restarted",
                sidecar.name, end.exit_code, end.reason
            ));
        }
        if !is_ready(sidecar, probed.get(&sidecar.name)) {
            blockers.push(describe(sidecar, probed.get(&sidecar.name)));
        }
    }
    if blockers.is_empty() { Verdict::Open } else { Verdict::Waiting(blockers) }
}

fn is_ready(sidecar: &Container, probed: Option<&Outcome>) -> bool {
    let Some(status) = &sidecar.status else { return false };
    let from_here = || {
        let running = matches!(status.state, State::Running { .. }) && status.started != Some(false);
        running && probed.is_some_and(|outcome| outcome.passed && outcome.id == status.id)
    };
    status.ready || from_here()
}

/// `istio-proxy: GET :15021/healthz/ready: connection refused; restarted 2
/// times, last exit code 1 (Error)`.
fn describe(sidecar: &Container, probed: Option<&Outcome>) -> String {
    let name = &sidecar.name;
    let Some(status) = &sidecar.status else { return format!("{name}: not in the Pod's status yet") };
    let state = match &status.state {
        State::Waiting { reason, message } if message.is_empty() => {
            format!("waiting ({})", or(reason, "not started"))
        }
        State::Waiting { reason, message } => format!("waiting ({}: {message})", or(reason, "not started")),
        State::Terminated(end) => {
            format!("ended with code {} ({}), to be restarted", end.exit_code, end.reason)
        }
        State::Running { .. } if status.started == Some(false) => {
            "running, its startup probe has not passed".to_owned()
        }
        State::Running { .. } => {
            match (probed.and_then(|outcome| outcome.failure.as_deref()), &sidecar.readiness) {
                (Some(failure), _) => format!("its probe {failure}"),
                (None, Readiness::Unprobed) => "running, without a readinessProbe".to_owned(),
                (None, _) => "running, its readiness probe has not passed".to_owned(),
            }
        }
    };
    let restarts = match (status.restarts, &status.last_end) {
        (0, _) => String::new(),
        (count, Some(end)) => {
            format!("; restarted {count} times, last exit code {} ({})", end.exit_code, end.reason)
        }
        (count, None) => format!("; restarted {count} times"),
    };
    format!("{name}: {state}{restarts}")
}

/// Of a Pod with very many sidecars, so many reasons are spelt out.
const SPELT_OUT: usize = 8;

/// One readable line of many blockers: names that wait for the same reason
/// stand together, and of what is left over only the names are said.
pub fn in_words(blockers: &[String]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for blocker in blockers {
        let (name, why) = blocker.split_once(": ").unwrap_or((blocker, ""));
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    let (spelt_out, rest) = reasons.split_at(reasons.len().min(SPELT_OUT));
    let mut parts: Vec<_> =
        spelt_out.iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect();
    let rest: Vec<_> = rest.iter().flat_map(|(_, names)| names).copied().collect();
    if !rest.is_empty() {
        parts.push(format!("and {} more: {}", rest.len(), rest.join(", ")));
    }
    parts.join("; ")
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(policy: &str, deleting: bool, proxy_status: &str) -> PodView {
        let deletion = if deleting { r#""2026-01-01T00:00:00Z""# } else { "null" };
        let text = format!(
            r#"{{"kind": "Pod", "metadata": {{"name": "p", "deletionTimestamp": {deletion}}},
            "spec": {{"restartPolicy": "{policy}", "initContainers": null, "containers": [
                {{"name": "main"}},
                {{"name": "proxy", "readinessProbe": {{"httpGet": {{"port": 1, "path": "/r"}}}}}}]}},
            "status": {{"containerStatuses": {proxy_status}}}}}"#
        );
        PodView::read(serde_json::from_str(&text).unwrap()).unwrap()
    }

    fn status(ready: bool, rest: &str) -> String {
        format!(r#"[{{"name": "proxy", "ready": {ready}, "containerID": "c1", {rest}}}]"#)
    }

    const RUNNING: &str = r#""restartCount": 0, "started": true, "state": {"running": {"startedAt": null}}"#;

    fn judge(pod: &PodView, probed: &Probed) -> Verdict {
        verdict(pod, "main", &[], probed)
    }

    fn waits_for(pod: &PodView, probed: &Probed) -> String {
        match judge(pod, probed) {
            Verdict::Waiting(blockers) => blockers.join("; "),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_status_opens_the_gate() {
        let nothing = Probed::new();
        assert_eq!(judge(&pod("Never", false, &status(true, RUNNING)), &nothing), Verdict::Open);
        assert_eq!(judge(&pod("Never", true, &status(true, RUNNING)), &nothing), Verdict::Deleted);
        let words = waits_for(&pod("Never", false, "null"), &nothing);
        assert_eq!(words, "proxy: not in the Pod's status yet");
        let words = waits_for(&pod("Never", false, &status(false, RUNNING)), &nothing);
        assert_eq!(words, "proxy: running, its readiness probe has not passed");
        let view = pod("Never", false, &status(false, RUNNING));
        assert_eq!(verdict(&view, "main", &["proxy".to_owned()], &nothing), Verdict::Open);
        assert_eq!(verdict(&view, "proxy", &["main".to_owned()], &nothing), Verdict::Open);
    }

    #[test]
    fn an_own_probe_counts_for_the_start_that_it_saw() {
        let view = pod("Never", false, &status(false, RUNNING));
        let found = |id: &str, passed| {
            let outcome =
                Outcome { id: id.to_owned(), passed, failure: Some("GET :1/r: refused".to_owned()) };
            Probed::from([("proxy".to_owned(), outcome)])
        };
        assert_eq!(judge(&view, &found("c1", true)), Verdict::Open);
        assert_eq!(waits_for(&view, &found("c0", true)), "proxy: its probe GET :1/r: refused");
        assert_eq!(waits_for(&view, &found("c1", false)), "proxy: its probe GET :1/r: refused");
        let starting = RUNNING.replace("\"started\": true", "\"started\": false");
        let view = pod("Never", false, &status(false, &starting));
        assert!(waits_for(&view, &found("c1", true)).contains("startup probe"));
    }

    #[test]
    fn an_end_is_hopeless_where_nobody_restarts() {
        let ended = |code: i32| {
            let rest = format!(
                r#""restartCount": 2, "state": {{"terminated": {{"exitCode": {code}, "reason": "Error"}}}},
                "lastState": {{"terminated": {{"exitCode": 1, "reason": "Error"}}}}"#
            );
            status(false, &rest)
        };
        for (policy, code, hopeless) in [
            ("Never", 0, true),
            ("Never", 1, true),
            ("OnFailure", 0, true),
            ("OnFailure", 1, false),
            ("Always", 0, false),
            ("Always", 1, false),
        ] {
            let verdict = judge(&pod(policy, false, &ended(code)), &Probed::new());
            assert_eq!(matches!(verdict, Verdict::Hopeless(_)), hopeless, "{policy} {code}: {verdict:?}");
        }
        let words = waits_for(&pod("Always", false, &ended(1)), &Probed::new());
        assert_eq!(
            words,
            "proxy: ended with code 1 (Error), to be restarted; restarted 2 times, last exit code 1 (Error)"
        );
    }

    #[test]
    fn a_waiting_container_says_why() {
        let rest = r#""state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}"#;
        let words = waits_for(&pod("Never", false, &status(false, rest)), &Probed::new());
        assert_eq!(words, "proxy: waiting (ImagePullBackOff: no such image)");
    }

    #[test]
    fn many_blockers_are_one_readable_line() {
        let line =
            |blockers: &[&str]| in_words(&blockers.iter().map(ToString::to_string).collect::<Vec<_>>());
        for (blockers, expected) in [
            (&[][..], ""),
            (&["a: waiting (x: y)"], "a: waiting (x: y)"),
            (&["a: waits", "b: ended", "c: waits"], "a, c: waits; b: ended"),
            (&["GET http://a:1/r: no answer yet"], "GET http://a:1/r: no answer yet"),
        ] {
            assert_eq!(line(blockers), expected);
        }
        let many: Vec<String> = (0..50).map(|number| format!("c{number}: its probe :{number}")).collect();
        let words = in_words(&many);
        assert!(words.starts_with("c0: its probe :0; c1: ") && words.len() < 400, "{words}");
        assert!(
            words.contains("c7: its probe :7; and 42 more: c8, c9, ") && words.ends_with("c49"),
            "{words}"
        );
    }
}
