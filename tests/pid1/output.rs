//! What is read from a pipe or a terminal, and waiting for it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long anything that must happen may take: generous, since a machine may
/// be busy. Only what never happens costs this time, as the peers' hangs do.
static PATIENCE: AtomicU64 = AtomicU64::new(10);

/// Whoever must not fail by accident gets more of it.
pub fn be_patient() {
    PATIENCE.store(60, Relaxed);
}

pub fn patience() -> Duration {
    Duration::from_secs(PATIENCE.load(Relaxed))
}

/// Looks every millisecond whether `done`; false once patience is lost.
pub fn until(mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience();
    loop {
        if done() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        // Nothing to be told of: only time passes.
        poll(&mut [], PollTimeout::from(1_u8)).ok();
    }
}

/// Whether one of these is readable, or has ended, before `end`.
pub fn readable(descriptors: &[&dyn AsFd], end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now()).as_millis();
    let timeout = PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX);
    let mut set: Vec<_> =
        descriptors.iter().map(|descriptor| PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)).collect();
    poll(&mut set, timeout).is_ok_and(|count| count > 0)
}

/// The text that came so far.
pub struct Output {
    from: OwnedFd,
    text: Vec<u8>,
    /// What was looked at already.
    seen: usize,
}

impl Output {
    pub fn new(from: OwnedFd) -> Self {
        Self { from, text: Vec::new(), seen: 0 }
    }

    /// The reading end itself: a terminal's is also its keyboard.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.from
    }

    /// Reads more; false at the end, or when nothing has come before `end`.
    fn more(&mut self, end: Instant) -> bool {
        let mut piece = [0; 16_384];
        if !readable(&[&self.from], end) {
            return false;
        }
        match nix::unistd::read(&self.from, &mut piece) {
            Ok(length) => self.text.extend(&piece[..length]),
            Err(_) => return false,
        }
        true
    }

    /// What has not been looked at yet.
    pub fn rest(&self) -> String {
        String::from_utf8_lossy(&self.text[self.seen..]).into_owned()
    }

    /// Waits for `wanted` and passes over it; returns what was before it.
    pub fn until(&mut self, wanted: &str) -> Result<String> {
        let end = Instant::now() + patience();
        loop {
            let rest = self.rest();
            if let Some(at) = rest.find(wanted) {
                self.seen += at + wanted.len();
                return Ok(rest[..at].to_owned());
            }
            let before = self.text.len();
            if !self.more(end) || self.text.len() == before {
                bail!("no {wanted:?}");
            }
        }
    }

    /// Waits until what was not looked at yet satisfies `enough`; false if
    /// nothing more comes that could.
    pub fn until_enough(&mut self, enough: impl Fn(&str) -> bool) -> bool {
        let end = Instant::now() + patience();
        loop {
            if enough(&self.rest()) {
                return true;
            }
            let before = self.text.len();
            if !self.more(end) || self.text.len() == before {
                return false;
            }
        }
    }

    /// Whether this text has come by now.
    pub fn has(&mut self, wanted: &str) -> bool {
        self.more(Instant::now());
        self.rest().contains(wanted)
    }

    /// Passes over what has come.
    pub fn skip(&mut self) {
        self.seen = self.text.len();
    }

    /// Reads to the end.
    pub fn all(&mut self) -> String {
        self.until_enough(|_| false);
        self.rest()
    }
}
