//! The system calls that `proa` lives on: everything here is a thin shell
//! around one POSIX or Linux facility, and nothing here knows about Pods.
//!
//! This folder is the only place with `unsafe`. A test greps for that.

pub mod afresh;
pub mod args;
pub mod memory;
pub mod moment;
pub mod reaper;
pub mod signals;
pub mod spawn;
pub mod stdio;
pub mod terminal;
pub mod watch_file;

use nix::sys::prctl;
use nix::unistd::getpid;

/// Whether this process is PID 1 of its PID namespace, and so inherits every
/// orphan in it (`pid_namespaces(7)`).
pub fn is_init() -> bool {
    getpid().as_raw() == 1
}

/// Makes orphaned descendants ours to reap when we are not PID 1
/// (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`). A kernel without it only means
/// that somebody else reaps them.
pub fn become_subreaper() {
    if !is_init()
        && let Err(error) = prctl::set_child_subreaper(true)
    {
        tracing::debug!(%error, "not a child subreaper");
    }
}
