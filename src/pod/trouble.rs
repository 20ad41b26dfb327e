//! What to do about an API that misbehaves: how long to wait, what to say,
//! when to give up. Pure but for the jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::client::ApiError;
use super::identity::PodName;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// 401, 403 and 404 heal soon or not at all, so they are asked more often.
const LONGEST_REFUSED: Duration = Duration::from_secs(2);
/// After this long of nothing but refusals they are final.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// get or list.
    Read,
    Watch,
}

/// What follows from a failure.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this pause; `first` failure of its row.
    Retry { pause: Duration, first: bool },
    /// Refused for too long: the words for the user.
    GiveUp(String),
}

/// The row of failures that we are in.
#[derive(Debug, Default)]
pub struct Trouble {
    failing: Option<Call>,
    failures: u32,
    refused_since: Option<Instant>,
}

impl Trouble {
    /// Takes note of a failure.
    pub fn failed(&mut self, call: Call, error: &ApiError, who: &PodName, now: Instant) -> Next {
        let refused = matches!(error, ApiError::Status { code: 401 | 403 | 404, .. });
        if refused {
            let since = *self.refused_since.get_or_insert(now);
            if now.duration_since(since) >= PATIENCE {
                return Next::GiveUp(explain(error, who));
            }
        } else {
            self.refused_since = None;
        }
        let first = self.failing.is_none();
        self.failing = Some(call);
        let longest = if refused { LONGEST_REFUSED } else { LONGEST };
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let asked = match error {
            ApiError::Status { retry_after: Some(pause), .. } => *pause,
            _ => Duration::ZERO,
        };
        Next::Retry { pause: jittered(doubled).max(asked), first }
    }

    /// Whether this call is the one that fails at present.
    pub fn is_row_of(&self, call: Call) -> bool {
        self.failing == Some(call)
    }

    /// Takes note of a call that went well. True where that ends the row: a
    /// read does not show that a failing watch is back.
    pub fn succeeded(&mut self, call: Call) -> bool {
        self.refused_since = None;
        let over = self.failing == Some(call) || (self.failing.is_some() && call == Call::Watch);
        if over {
            *self = Self::default();
        }
        over
    }
}

/// Between half and the whole, so that a thousand Pods do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    let share = u32::try_from(random % 500).unwrap_or_default();
    pause / 1000 * (500 + share)
}

/// What the user can do about a refusal that stays.
fn explain(error: &ApiError, who: &PodName) -> String {
    let PodName { pod, namespace } = who;
    match error {
        ApiError::Status { code: 403, .. } => format!(
            "the API server forbids reading Pod {}/{} ({error}): bind the service account to a Role with the rule \
             {{apiGroups: [\"\"], resources: [\"pods\"], verbs: [\"get\", \"watch\"]}}, or use --no-api",
            namespace.name, pod.name
        ),
        ApiError::Status { code: 404, .. } => format!(
            "there is no Pod {}/{} ({error}): its name came from {}, its namespace from {}; set --pod and --namespace",
            namespace.name, pod.name, pod.from, namespace.from
        ),
        _ => format!(
            "the API server does not accept the service account's token ({error}): \
             see that it is mounted and not expired, or use --no-api"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::identity::Named;

    fn who() -> PodName {
        let named = |name: &str, from| Named { name: name.to_owned(), from };
        PodName { pod: named("p", "--pod"), namespace: named("n", "POD_NAMESPACE") }
    }

    fn status(code: u16) -> ApiError {
        ApiError::Status { code, message: "why".to_owned(), retry_after: None }
    }

    #[test]
    fn pauses_double_with_jitter_up_to_a_bound() {
        let mut trouble = Trouble::default();
        let mut expected = 100;
        for turn in 0..12 {
            let Next::Retry { pause, first } =
                trouble.failed(Call::Read, &status(500), &who(), Instant::now())
            else {
                panic!("gave up");
            };
            let bounds = expected / 2..=expected;
            assert!(bounds.contains(&pause.as_millis()), "{turn}: {pause:?} not in {bounds:?}");
            assert_eq!(first, turn == 0);
            expected = (expected * 2).min(10_000);
        }
    }

    #[test]
    fn retry_after_is_honoured() {
        let error =
            ApiError::Status { code: 429, message: String::new(), retry_after: Some(Duration::from_secs(3)) };
        let next = Trouble::default().failed(Call::Read, &error, &who(), Instant::now());
        assert_eq!(next, Next::Retry { pause: Duration::from_secs(3), first: true });
    }

    #[test]
    fn refusals_are_final_after_half_a_minute_of_nothing_else() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut trouble = Trouble::default();
        let mut gives_up = |code, second| {
            matches!(trouble.failed(Call::Read, &status(code), &who(), at(second)), Next::GiveUp(_))
        };
        assert!(!gives_up(403, 0));
        assert!(!gives_up(401, 29));
        assert!(!gives_up(500, 30));
        assert!(!gives_up(403, 31));
        assert!(!gives_up(404, 60));
        assert!(gives_up(403, 61));
    }

    #[test]
    fn the_words_say_what_to_do() {
        let said = |code| explain(&status(code), &who());
        assert!(said(403).contains("resources: [\"pods\"], verbs: [\"get\", \"watch\"]"));
        assert!(said(404).contains("n/p") && said(404).contains("POD_NAMESPACE"));
        assert!(said(401).contains("token"));
    }

    #[test]
    fn a_read_does_not_end_the_row_of_a_watch() {
        let mut trouble = Trouble::default();
        trouble.failed(Call::Watch, &status(500), &who(), Instant::now());
        assert!(!trouble.succeeded(Call::Read));
        assert!(trouble.succeeded(Call::Watch));
        assert!(!trouble.succeeded(Call::Watch));
    }
}
