//! When a stop request is tried again. Pure.

use std::time::Duration;

use crate::http::HttpError;

/// Tries of one request, the first included.
const TRIES: u32 = 6;
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// What one attempt has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A status below 400.
    Done(u16),
    /// 429 or 5xx, refused, reset: may be better soon.
    Again(String),
    /// Nothing within the limit.
    Late(String),
    /// Trying again changes nothing; the status, if there was an answer.
    Failed(Option<u16>, String),
}

impl Attempt {
    /// Reads an answer or its absence.
    pub fn read(answer: Result<u16, HttpError>) -> Self {
        match answer {
            Ok(status) if status < 400 => Self::Done(status),
            Ok(status) if status == 429 || status >= 500 => Self::Again(format!("answered {status}")),
            Ok(status) => Self::Failed(Some(status), format!("answered {status}")),
            Err(error @ (HttpError::Refused(_) | HttpError::Reset)) => Self::Again(error.to_string()),
            Err(error @ HttpError::TimedOut(_)) => Self::Late(error.to_string()),
            Err(HttpError::Other(why)) => Self::Failed(None, why),
        }
    }
}

/// How often has been tried so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    made: u32,
    late: u32,
}

impl Tries {
    /// Takes note of an attempt; Some pause where another one follows.
    pub fn after(&mut self, attempt: &Attempt) -> Option<Duration> {
        self.made += 1;
        match attempt {
            Attempt::Again(_) if self.made < TRIES => {
                Some(FIRST.saturating_mul(1 << (self.made - 1)).min(LONGEST))
            }
            Attempt::Late(_) if self.late == 0 => {
                self.late = 1;
                Some(Duration::ZERO)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (status, expected) in [
            (200, Attempt::Done(200)),
            (302, Attempt::Done(302)),
            (404, Attempt::Failed(Some(404), "answered 404".to_owned())),
            (429, Attempt::Again("answered 429".to_owned())),
            (503, Attempt::Again("answered 503".to_owned())),
        ] {
            assert_eq!(Attempt::read(Ok(status)), expected);
        }
    }

    #[test]
    fn refused_is_tried_six_times() {
        let mut tries = Tries::default();
        let refused = Attempt::Again(String::new());
        let pauses: Vec<_> = (0..6).map(|_| tries.after(&refused).map(|pause| pause.as_millis())).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(400), Some(800), Some(1600), None]);
    }

    #[test]
    fn late_is_tried_twice_and_an_answer_is_final() {
        let late = Attempt::Late(String::new());
        let mut tries = Tries::default();
        assert_eq!(tries.after(&late), Some(Duration::ZERO));
        assert_eq!(tries.after(&late), None);
        assert_eq!(Tries::default().after(&Attempt::Done(200)), None);
        assert_eq!(Tries::default().after(&Attempt::Failed(Some(404), String::new())), None);
    }
}
