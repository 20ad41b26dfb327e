//! Job control (`termios(3)`, `credentials(7)`): who is in the foreground of
//! the terminal on standard input.

use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use super::stdio::stdin;

/// Whether the child may be put in the foreground: standard input is our
/// controlling terminal, and its foreground is ours to give away. A wrapper
/// that a shell started in the background leaves the terminal alone.
pub fn is_ours_to_give() -> bool {
    match tcgetpgrp(stdin()) {
        // 0: the foreground group lies outside our PID namespace.
        Ok(group) => group == getpgrp() || group.as_raw() == 0,
        Err(_) => false,
    }
}

/// Takes the terminal back from the child that it was given to, `None` for one
/// that never became the command, so that Ctrl-C reaches teardown. A group
/// that the child itself put in the foreground keeps it. SIGTTOU is blocked
/// here, hence no stop.
pub fn take_back(child: Option<Pid>) {
    if child.is_none_or(|child| tcgetpgrp(stdin()) == Ok(child))
        && let Err(error) = tcsetpgrp(stdin(), getpgrp())
    {
        tracing::debug!(%error, "the terminal stays with the child's group");
    }
}
