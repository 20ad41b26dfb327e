//! What teardown is about to do, decided from what is known. Pure.

use std::time::Duration;

use crate::plan::{DEFAULT_GRACE, TeardownPlan};
use crate::pod::PodView;
use crate::pod::restart::Policy;

/// Once the end is near, nobody waits longer than this for a first attempt.
pub const HURRY: Duration = Duration::from_secs(2);
/// What even a budget of nothing leaves for the requests to get out.
const LEAST: Duration = Duration::from_millis(200);

/// How far teardown goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The kubelet will start us again beside the sidecars: they stay.
    Leave,
    /// The same, but the user's own actions are done.
    ExplicitOnly,
    /// Everybody is told once; nobody is waited for.
    TellOnce,
    /// Everybody is told, again where need be, and waited for.
    Full,
}

/// What has happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// A signal or the Pod's deletion came before the command.
    Interrupted,
    /// `proa` is about to exit with this code.
    Exiting(u8),
}

/// Decides by the restart rules of SPEC section 5.
pub fn mode(plan: &TeardownPlan, before: Before, pod: Option<&PodView>, own: Option<&str>) -> Mode {
    let Before::Exiting(code) = before else { return Mode::TellOnce };
    let Some(pod) = pod else { return Mode::Full };
    if pod.deleting {
        return Mode::TellOnce;
    }
    let own = own.and_then(|name| pod.container(name));
    let comes_back = own.is_some_and(|own| own.restart.restarts_after(code.into()));
    if plan.always || !comes_back {
        Mode::Full
    } else if own.is_some_and(|own| own.restart.policy == Policy::Always) && !plan.actions.is_empty() {
        Mode::ExplicitOnly
    } else {
        Mode::Leave
    }
}

/// How long teardown may take: the option, else the Pod's grace period; and
/// what a SIGTERM of `since` ago has left of that period, less a second.
pub fn budget(plan: &TeardownPlan, pod: Option<&PodView>, since: Option<Duration>) -> Duration {
    let grace = pod.and_then(|pod| pod.grace).unwrap_or(DEFAULT_GRACE);
    let whole = plan.timeout.unwrap_or(grace);
    let left = since.map_or(whole, |since| grace.saturating_sub(since + Duration::from_secs(1)));
    whole.min(left).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Action;
    use crate::pod::Container;
    use crate::pod::document::ContainerSpec;
    use crate::pod::restart::RestartRule;

    fn plan(always: bool, actions: usize) -> TeardownPlan {
        let http_timeout = Duration::from_secs(5);
        TeardownPlan { actions: vec![Action::KillAll; actions], timeout: None, http_timeout, always }
    }

    fn pod(policy: Policy) -> PodView {
        let restart = RestartRule::new(policy, &ContainerSpec::default());
        let own = Container { name: "main".to_owned(), restart, ..Container::default() };
        PodView { containers: vec![own], grace: Some(Duration::from_mins(1)), ..PodView::default() }
    }

    #[test]
    fn modes() {
        use Mode::{ExplicitOnly, Full, Leave, TellOnce};
        for (policy, code, always, actions, expected) in [
            (Policy::Never, 0, false, 0, Full),
            (Policy::Never, 125, false, 0, Full),
            (Policy::OnFailure, 0, false, 0, Full),
            (Policy::OnFailure, 7, false, 0, Leave),
            (Policy::OnFailure, 125, false, 1, Leave),
            (Policy::OnFailure, 7, true, 1, Full),
            (Policy::Always, 0, false, 0, Leave),
            (Policy::Always, 0, false, 1, ExplicitOnly),
            (Policy::Always, 0, true, 0, Full),
        ] {
            let pod = pod(policy);
            let mode = |pod| super::mode(&plan(always, actions), Before::Exiting(code), pod, Some("main"));
            assert_eq!(mode(Some(&pod)), expected, "{policy:?} {code} {always}");
            assert_eq!(mode(None), Full);
            let deleting = PodView { deleting: true, ..pod.clone() };
            assert_eq!(mode(Some(&deleting)), TellOnce);
        }
        assert_eq!(mode(&plan(false, 0), Before::Interrupted, None, None), TellOnce);
    }

    #[test]
    fn budgets() {
        let seconds = Duration::from_secs;
        let pod = pod(Policy::Never);
        let mut plan = plan(false, 0);
        assert_eq!(budget(&plan, None, None), seconds(30));
        assert_eq!(budget(&plan, Some(&pod), None), seconds(60));
        assert_eq!(budget(&plan, Some(&pod), Some(seconds(10))), seconds(49));
        assert_eq!(budget(&plan, Some(&pod), Some(seconds(70))), LEAST);
        plan.timeout = Some(seconds(5));
        assert_eq!(budget(&plan, Some(&pod), Some(seconds(10))), seconds(5));
        plan.timeout = Some(Duration::ZERO);
        assert_eq!(budget(&plan, Some(&pod), None), LEAST);
    }
}
