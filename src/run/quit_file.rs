//! The sidecar's side (`--quit-file`): once the file exists the child gets
//! SIGTERM, and SIGKILL when it takes too long.
//!
//! The file counts whenever it exists. One left over from an earlier run is
//! removed by the main container's `proa` at its gate (`--shutdown-file`
//! names the same path there), which cannot lose a stop: that `proa` makes
//! the file only after its own gate.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tracing::{info, warn};

use crate::os::signals::{Signal, send};
use crate::os::watch_file::FolderWatch;

/// How often the file is looked for where inotify tells of it, in case a
/// file system does not, and where nothing tells.
const SLOW: Duration = Duration::from_secs(5);
const ALONE: Duration = Duration::from_secs(1);

/// The file, and how far we are with it.
#[derive(Debug)]
pub struct QuitFile {
    file: PathBuf,
    folder: Option<FolderWatch>,
    grace: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// SIGTERM is out; SIGKILL follows at this time.
    Asked(Instant),
    Killed,
}

impl QuitFile {
    /// Begins to look for `file`.
    pub fn new(file: &Path, grace: Duration) -> Self {
        Self { file: file.to_owned(), folder: FolderWatch::around(file), grace, state: State::Waiting }
    }

    /// Whether the file has appeared.
    pub fn has_fired(&self) -> bool {
        self.state != State::Waiting
    }

    /// What becomes readable when something happens around the file.
    pub fn folder(&self) -> Option<BorrowedFd<'_>> {
        self.folder.as_ref().filter(|_| self.state == State::Waiting).map(AsFd::as_fd)
    }

    /// Looks for the file and acts on it; returns how long nothing needs to
    /// be looked at again.
    pub fn look(&mut self, child: Pid) -> Duration {
        let now = Instant::now();
        match self.state {
            State::Waiting => {
                if let Some(folder) = &self.folder {
                    folder.drain();
                } else {
                    // The folder may have come into being.
                    self.folder = FolderWatch::around(&self.file);
                }
                if self.file.exists() {
                    info!(file = %self.file.display(), "quit file is there, ending the command");
                    tell(child, Signal::TERM);
                    self.state = State::Asked(now + self.grace);
                    return self.grace;
                }
                if self.folder.is_some() { SLOW } else { ALONE }
            }
            State::Asked(limit) if now >= limit => {
                warn!(waited = ?self.grace, "the command ignores SIGTERM, killing it");
                tell(child, Signal::KILL);
                self.state = State::Killed;
                SLOW
            }
            State::Asked(limit) => limit - now,
            State::Killed => SLOW,
        }
    }
}

fn tell(child: Pid, signal: Signal) {
    if let Err(error) = send(child.as_raw(), signal) {
        warn!(%signal, %error, "cannot signal the command");
    }
}
