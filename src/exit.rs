//! How a run of `proa` can end, and the one table from there to exit codes.

use crate::os::reaper::ChildEnd;
use crate::os::signals::Signal;

/// What users are told of exit codes: the code, when it is returned, and the
/// same in a few words. `--help`, the man page and the README's table are
/// made of these rows, or held against them by a test.
pub const CODES: [(&str, &str, &str); 6] = [
    ("the command's own, 0 to 255", "it exited", "COMMAND's own"),
    (
        "128 + n",
        "it died of signal n; or signal n came before it was started; 143 also where the Pod was deleted before",
        "if it died of signal n, or signal n came before it was started",
    ),
    ("127", "the command was not found", "COMMAND was not found"),
    ("126", "the command is not executable", "COMMAND is not executable"),
    (
        "125",
        "proa failed: the gate timed out, a sidecar ended for good before it was ready, the API refused",
        "proa failed",
    ),
    ("2", "an option is wrong; one line on stderr says which, and what is expected", "usage"),
];

/// [`CODES`] in one sentence, for `--help`.
pub fn codes_in_short() -> String {
    let parts = CODES.map(|(code, _, short)| match code.chars().next() {
        Some('0'..='9') => format!("{code} {short}"),
        _ => short.to_owned(),
    });
    format!("Exit codes: {}.", parts.join("; "))
}

/// The end of the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command ran and ended like this.
    Child(ChildEnd),
    /// This signal reached us before the command was started.
    Interrupted(Signal),
    /// The Pod was deleted before the command was started.
    PodDeleted,
    /// The command was not found.
    NotFound,
    /// The command was found but cannot be executed.
    NotExecutable,
    /// `proa` itself failed: gate, API, or no new process to be had.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Nothing was to be run (`--help`, `--version`, `--install-to`), or the
    /// quit file asked us to stop.
    Done,
}

impl Exit {
    /// The exit code (0-255), by the conventions of `sh` (POSIX, "Exit Status
    /// for Commands") for 126, 127 and 128 + n, and of `docker run` and
    /// `timeout(1)` for 125.
    pub fn code(self) -> u8 {
        match self {
            Self::Child(ChildEnd::Exited(code)) => code,
            Self::Child(ChildEnd::Signaled(signal)) | Self::Interrupted(signal) => by_signal(signal),
            Self::PodDeleted => by_signal(Signal::TERM),
            Self::NotFound => 127,
            Self::NotExecutable => 126,
            Self::Failed => 125,
            Self::Usage => 2,
            Self::Done => 0,
        }
    }
}

fn by_signal(signal: Signal) -> u8 {
    u8::try_from(128 + signal.number()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (exit, code) in [
            (Exit::Child(ChildEnd::Exited(0)), 0),
            (Exit::Child(ChildEnd::Exited(255)), 255),
            (Exit::Child(ChildEnd::Signaled(Signal::KILL)), 137),
            (Exit::Child(ChildEnd::Signaled(Signal::from_raw(64))), 192),
            (Exit::Interrupted(Signal::from_raw(2)), 130),
            (Exit::PodDeleted, 143),
            (Exit::NotFound, 127),
            (Exit::NotExecutable, 126),
            (Exit::Failed, 125),
            (Exit::Usage, 2),
            (Exit::Done, 0),
        ] {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn users_are_told_of_each_code_of_our_own() {
        for exit in [Exit::NotFound, Exit::NotExecutable, Exit::Failed, Exit::Usage] {
            let code = exit.code().to_string();
            let rows = CODES.iter().filter(|(told, ..)| *told == code).count();
            assert_eq!(rows, 1, "{exit:?}");
        }
        let deleted = Exit::PodDeleted.code().to_string();
        assert!(CODES.iter().any(|(code, when, _)| *code == "128 + n" && when.contains(&deleted)));
    }
}
