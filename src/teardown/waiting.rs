//! Who must still end, and who needs to be told again. Pure: states of the
//! Pod go in, what to do comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::pod::restart::Policy;
use crate::pod::{Container, PodView, State};
use crate::sidecars::{self, Stop};

/// What has become of the sidecars so far.
#[derive(Debug)]
pub struct Waiting {
    own: String,
    ignored: Vec<String>,
    /// When the stop requests went out.
    told: SystemTime,
    /// Restarts of each sidecar by the end of the gate.
    at_gate: BTreeMap<String, i64>,
    /// Restarts of each sidecar when it was last told.
    restarts: BTreeMap<String, i64>,
    warned: BTreeSet<String>,
    /// How each sidecar ended, for the closing line.
    ended: BTreeMap<String, i32>,
    pending: Vec<String>,
}

/// What a new state of the Pod means.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The Pod is being deleted: the kubelet stops everybody.
    pub deleting: bool,
    /// Sidecars that the kubelet has started again: to be told again.
    pub restarted: Vec<String>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Sidecars whose end is new, with their exit codes.
    pub ended: Vec<(String, i32)>,
}

/// Whether teardown waits for this container's end: the kubelet ends native
/// sidecars, and some end only after us.
pub fn is_waited_for(sidecar: &Container) -> bool {
    let after_us = sidecars::known(sidecar).is_some_and(|row| matches!(row.stop, Stop::AfterUs));
    !sidecar.native && !after_us
}

impl Waiting {
    /// Begins with the last state that the gate saw.
    pub fn new(pod: &PodView, own: &str, ignored: &[String], told: SystemTime) -> Self {
        let mut waiting = Self {
            own: own.to_owned(),
            ignored: ignored.to_owned(),
            told,
            at_gate: BTreeMap::new(),
            restarts: BTreeMap::new(),
            warned: BTreeSet::new(),
            ended: BTreeMap::new(),
            pending: Vec::new(),
        };
        let sidecars: Vec<_> = waiting.sidecars(pod).cloned().collect();
        for sidecar in sidecars {
            if let Some(status) = &sidecar.status {
                waiting.at_gate.insert(sidecar.name.clone(), status.restarts);
            }
            match sidecar.ended_for_good().map(|end| end.exit_code) {
                // Not by us, and said when the gate failed by it.
                Some(code) => drop(waiting.ended.insert(sidecar.name, code)),
                None => waiting.pending.push(sidecar.name),
            }
        }
        waiting
    }

    /// Who has not ended for good.
    pub fn pending(&self) -> &[String] {
        &self.pending
    }

    /// `logs 143, proxy 0, audit still running`.
    pub fn ends(&self) -> String {
        let ended = self.ended.iter().map(|(name, code)| format!("{name} {code}"));
        let pending = self.pending.iter().map(|name| format!("{name} still running"));
        ended.chain(pending).collect::<Vec<_>>().join(", ")
    }

    fn sidecars<'a>(&'a self, pod: &'a PodView) -> impl Iterator<Item = &'a Container> {
        pod.sidecars(&self.own, &self.ignored).filter(|sidecar| is_waited_for(sidecar))
    }

    /// Takes note of a new state.
    pub fn note(&mut self, pod: &PodView) -> News {
        let mut news = News { deleting: pod.deleting, ..News::default() };
        let mut pending = Vec::new();
        let sidecars: Vec<_> = self.sidecars(pod).cloned().collect();
        for sidecar in sidecars {
            if let Some(code) = sidecar.ended_for_good().map(|end| end.exit_code) {
                if self.ended.insert(sidecar.name.clone(), code).is_none() {
                    news.warnings.extend(fails_the_pod(&sidecar, code));
                    news.ended.push((sidecar.name, code));
                }
            } else {
                if self.was_restarted(&sidecar) {
                    news.warnings.extend(self.warn_of_restart(&sidecar));
                    news.restarted.push(sidecar.name.clone());
                }
                pending.push(sidecar.name);
            }
        }
        self.pending = pending;
        news
    }

    /// Whether it runs in a start that has not been told: more restarts than
    /// before, or begun after the requests went out.
    fn was_restarted(&mut self, sidecar: &Container) -> bool {
        let Some(status) = &sidecar.status else { return false };
        let State::Running { since } = status.state else { return false };
        if let Some(told) = self.restarts.insert(sidecar.name.clone(), status.restarts) {
            return status.restarts > told;
        }
        // The time is the kubelet's, whose clock may have been set, so it counts
        // only where there was a restart at all.
        let restarted = self.at_gate.get(&sidecar.name).is_none_or(|before| status.restarts > *before);
        restarted && since.is_some_and(|since| since > self.told)
    }

    fn warn_of_restart(&mut self, sidecar: &Container) -> Option<String> {
        let end = sidecar.status.as_ref()?.last_end.as_ref();
        let code = end.map_or_else(|| "unknown".to_owned(), |end| end.exit_code.to_string());
        self.warned.insert(sidecar.name.clone()).then(|| {
            format!(
                "sidecar {} ended with code {code} and was started again by the kubelet ({:?}); \
                 telling it to stop once more. One that exits 0 when told is not restarted under OnFailure; \
                 proa --quit-file makes any do so",
                sidecar.name, sidecar.restart.policy
            )
        })
    }
}

/// Under `Never` one container's non-zero exit makes the whole Pod Failed.
fn fails_the_pod(sidecar: &Container, code: i32) -> Option<String> {
    (code != 0 && sidecar.restart.policy == Policy::Never).then(|| {
        format!(
            "sidecar {} ended with code {code}, which fails the Pod under restartPolicy Never whatever the command did: \
             use its stop endpoint instead of a signal, run it under proa --quit-file, or make it a native sidecar",
            sidecar.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::document::ContainerSpec;
    use crate::pod::restart::RestartRule;
    use crate::pod::{Ended, Status};
    use std::time::Duration;

    fn sidecar(name: &str, policy: Policy, restarts: i64, state: State) -> Container {
        let last_end = (restarts > 0).then(|| Ended { exit_code: 1, reason: "Error".to_owned() });
        let status =
            Status { ready: false, started: Some(true), restarts, id: String::new(), state, last_end };
        let restart = RestartRule::new(policy, &ContainerSpec::default());
        Container { name: name.to_owned(), restart, status: Some(status), ..Container::default() }
    }

    fn running() -> State {
        State::Running { since: Some(SystemTime::UNIX_EPOCH) }
    }

    fn ended(exit_code: i32) -> State {
        State::Terminated(Ended { exit_code, reason: String::new() })
    }

    fn pod(sidecars: Vec<Container>) -> PodView {
        let main = Container { name: "main".to_owned(), ..Container::default() };
        PodView { containers: std::iter::once(main).chain(sidecars).collect(), ..PodView::default() }
    }

    fn waiting(pod: &PodView) -> Waiting {
        Waiting::new(pod, "main", &[], SystemTime::UNIX_EPOCH + Duration::from_secs(100))
    }

    #[test]
    fn ends_are_counted_once() {
        let before =
            pod(vec![sidecar("a", Policy::Never, 0, running()), sidecar("b", Policy::Never, 0, running())]);
        let mut waiting = waiting(&before);
        assert_eq!(waiting.pending(), ["a", "b"]);
        let after =
            pod(vec![sidecar("a", Policy::Never, 0, ended(0)), sidecar("b", Policy::Never, 0, running())]);
        assert_eq!(waiting.note(&after).ended, [("a".to_owned(), 0)]);
        assert_eq!(waiting.pending(), ["b"]);
        assert_eq!(waiting.ends(), "a 0, b still running");
        let last =
            pod(vec![sidecar("a", Policy::Never, 0, ended(0)), sidecar("b", Policy::Never, 0, ended(2))]);
        let news = waiting.note(&last);
        assert_eq!(news.ended, [("b".to_owned(), 2)]);
        assert!(news.warnings.iter().any(|warning| warning.contains("fails the Pod")));
        assert!(waiting.pending().is_empty());
        assert_eq!(waiting.ends(), "a 0, b 2");
    }

    #[test]
    fn a_restart_is_told_and_warned_of_once() {
        let mut waiting = waiting(&pod(vec![sidecar("a", Policy::OnFailure, 3, running())]));
        let state = |restarts, state| pod(vec![sidecar("a", Policy::OnFailure, restarts, state)]);
        assert_eq!(waiting.note(&state(3, running())), News::default());
        assert_eq!(waiting.note(&state(3, ended(1))), News::default());
        let news = waiting.note(&state(4, running()));
        assert_eq!((news.restarted.len(), news.warnings.len()), (1, 1));
        assert_eq!(waiting.note(&state(4, running())), News::default());
        let news = waiting.note(&state(5, running()));
        assert_eq!((news.restarted.len(), news.warnings.len()), (1, 0));
        assert_eq!(waiting.note(&state(5, ended(0))).ended.len(), 1);
    }

    #[test]
    fn a_start_after_the_request_is_a_restart() {
        let late = State::Running { since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(101)) };
        let mut waiting = waiting(&pod(vec![sidecar("a", Policy::OnFailure, 0, running())]));
        assert_eq!(waiting.note(&pod(vec![sidecar("a", Policy::OnFailure, 1, late)])).restarted, ["a"]);
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_restart() {
        let late = State::Running { since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(101)) };
        let state = pod(vec![sidecar("a", Policy::OnFailure, 2, late)]);
        assert_eq!(waiting(&state).note(&state), News::default());
    }

    #[test]
    fn native_sidecars_are_the_kubelets() {
        let native = Container { native: true, ..sidecar("a", Policy::Always, 0, running()) };
        assert!(waiting(&pod(vec![native])).pending().is_empty());
    }
}
