//! The only caller of `waitpid(2)`: SIGCHLDs merge, so each one empties the
//! whole queue, and nobody else can steal the child's status.

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::signals::Signal;

/// How a process ended, read from its wait status (`wait(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChildEnd {
    /// It called `exit` with this status.
    Exited(u8),
    /// A signal ended it. nix's own type cannot say this of real-time signals.
    Signaled(Signal),
}

impl ChildEnd {
    fn from_status(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            Some(Self::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)))
        } else if libc::WIFSIGNALED(status) {
            Some(Self::Signaled(Signal::from_raw(libc::WTERMSIG(status))))
        } else {
            None
        }
    }
}

/// Reaps every process that has ended, whoever its parent was.
///
/// Returns how `child` ended, if it was among them.
pub fn reap(child: Option<Pid>) -> Option<ChildEnd> {
    let mut found = None;
    loop {
        match wait_any() {
            Ok(Some((pid, status))) if Some(pid) == child => found = ChildEnd::from_status(status),
            Ok(Some(_)) | Err(Errno::EINTR) => {}
            // None has ended, or (ECHILD) there is none at all.
            Ok(None) | Err(_) => return found,
        }
    }
}

#[expect(unsafe_code, reason = "nix::sys::wait fails on real-time signals, which must be 128 + n too")]
fn wait_any() -> Result<Option<(Pid, i32)>, Errno> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the kernel to write to.
    let pid = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) })?;
    Ok((pid > 0).then(|| (Pid::from_raw(pid), status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_read_as_wait_2_says() {
        assert_eq!(ChildEnd::from_status(0), Some(ChildEnd::Exited(0)));
        assert_eq!(ChildEnd::from_status(255 << 8), Some(ChildEnd::Exited(255)));
        assert_eq!(ChildEnd::from_status(9), Some(ChildEnd::Signaled(Signal::from_raw(9))));
        assert_eq!(ChildEnd::from_status(64), Some(ChildEnd::Signaled(Signal::from_raw(64))));
        // With a core dump; stopped; continued.
        assert_eq!(ChildEnd::from_status(0x8b), Some(ChildEnd::Signaled(Signal::from_raw(11))));
        assert_eq!(ChildEnd::from_status(0x137f), None);
        assert_eq!(ChildEnd::from_status(0xffff), None);
    }
}
