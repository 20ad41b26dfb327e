//! Every signal as one stream: all 64 are blocked from the first moment on
//! and read from one `signalfd(2)`, so none is lost between two phases, and
//! nothing ever runs in a signal handler.
//!
//! A fault of our own (SIGSEGV and its like, raised by the kernel) ends the
//! process even while blocked (`signal(7)`); the same number sent by somebody
//! with `kill(2)` is a message like any other.

use std::fmt;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::getpid;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The names of `kill -l`, in the order of x86 and ARM Linux. SIGSTKFLT has
/// no user; it is here because a number must have a name in a log.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const SYNONYMS: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];
/// The C library keeps 32 and 33 for itself, so users count from 34
/// (`signal(7)`, "Real-time signals").
const REALTIME: std::ops::RangeInclusive<i32> = 34..=LAST;
const LAST: i32 = 64;

/// The number of a signal, 1 to 64; real-time signals included, which nix's
/// enum lacks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal(i32);

impl Signal {
    /// SIGTERM, what the kubelet sends to PID 1 of a container first.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// SIGKILL.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// SIGCHLD, never forwarded: it is about our own children.
    pub const CHLD: Self = Self(libc::SIGCHLD);
    const PIPE: Self = Self(libc::SIGPIPE);

    /// The signal of this number; the caller knows that it is one.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number, as `kill(2)` takes it.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Reads a name of `kill -l`, with or without `SIG`, in either case,
    /// `RTMIN+n`, `RTMAX-n`, or a number from 1 to 64.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|number| (1..=LAST).contains(number)).map(Self);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(rest) = name.strip_prefix("RTMIN") {
            return realtime(*REALTIME.start(), rest, '+', 1);
        }
        if let Some(rest) = name.strip_prefix("RTMAX") {
            return realtime(*REALTIME.end(), rest, '-', -1);
        }
        let named = (1..).zip(NAMES).map(|(number, name)| (name, number));
        named.chain(SYNONYMS).find(|(known, _)| *known == name).map(|(_, number)| Self(number))
    }

    /// Whether its default action ends the process (`signal(7)`), SIGPIPE
    /// aside: that one speaks of a reader, not of us.
    pub fn asks_to_terminate(self) -> bool {
        !matches!(
            self.0,
            libc::SIGPIPE
                | libc::SIGCHLD
                | libc::SIGCONT
                | libc::SIGSTOP
                | libc::SIGTSTP
                | libc::SIGTTIN
                | libc::SIGTTOU
                | libc::SIGURG
                | libc::SIGWINCH
        )
    }
}

fn realtime(base: i32, rest: &str, sign: char, direction: i32) -> Option<Signal> {
    let offset = if rest.is_empty() {
        0
    } else {
        let digits = rest.strip_prefix(sign)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i32>().ok())??
    };
    let number = offset.checked_mul(direction)?.checked_add(base)?;
    REALTIME.contains(&number).then_some(Signal(number))
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = usize::try_from(self.0 - 1).unwrap_or(usize::MAX);
        match NAMES.get(index) {
            Some(name) => write!(out, "SIG{name}"),
            None if REALTIME.contains(&self.0) => write!(out, "SIGRTMIN+{}", self.0 - REALTIME.start()),
            None => write!(out, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The process's signals, blocked and readable; made once, before all else.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks every signal, sets every disposition to its default (whatever
    /// we were started with) and opens the stream.
    ///
    /// The dispositions are the child's: ours do not matter while blocked,
    /// but for SIGCHLD, whose being ignored would reap behind our back.
    ///
    /// # Errors
    /// Where the kernel has no descriptor left for us.
    #[expect(unsafe_code, reason = "the C library's calls leave signals 32 and 33 out; the kernel's do not")]
    pub fn block_all() -> io::Result<Self> {
        set_mask(u64::MAX);
        for number in 1..=LAST {
            // SAFETY: an all-zero kernel sigaction (which is smaller than
            // libc's) is SIG_DFL without flags; SIGKILL and SIGSTOP are refused.
            unsafe {
                let default: libc::sigaction = zeroed();
                libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, 0_usize, size_of::<u64>());
            }
        }
        Self::still_blocked()
    }

    /// Opens the stream anew where every signal is blocked already: in a fresh
    /// start of the program. No disposition may be set then, not even to what it
    /// is: that would drop a SIGCHLD, SIGCONT or SIGWINCH that waits (POSIX,
    /// "Signal Concepts": ignoring by default discards what is pending).
    ///
    /// # Errors
    /// Where the kernel has no descriptor left for us.
    #[expect(
        unsafe_code,
        reason = "the C library's mask leaves signals 32 and 33 out; the kernel's does not"
    )]
    pub fn still_blocked() -> io::Result<Self> {
        let all = u64::MAX;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the mask is 8 bytes, which is what the last-but-one argument says.
        let raw = unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const all, size_of::<u64>(), flags) };
        let number = RawFd::try_from(Errno::result(raw)?).map_err(io::Error::other)?;
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Self { descriptor })
    }

    /// The next signal that has arrived, if any; never waits.
    #[expect(unsafe_code, reason = "the record is the kernel's struct, read as bytes")]
    pub fn take(&self) -> Option<Signal> {
        loop {
            // SAFETY: the struct is plain integers; zero is valid for each.
            let mut record: libc::signalfd_siginfo = unsafe { zeroed() };
            let (place, size) = (&raw mut record, size_of::<libc::signalfd_siginfo>());
            // SAFETY: the kernel writes at most `size` bytes to `place`.
            let read = unsafe { libc::read(self.descriptor.as_raw_fd(), place.cast(), size) };
            match Errno::result(read) {
                Ok(length) if usize::try_from(length) == Ok(size) => {}
                Err(Errno::EINTR) => continue,
                _ => return None,
            }
            let signal = Signal(i32::try_from(record.ssi_signo).unwrap_or_default());
            // A write of ours to a closed pipe or socket; no message to anybody.
            let own = i32::try_from(record.ssi_pid) == Ok(getpid().as_raw());
            if !(signal == Signal::PIPE && own) {
                return Some(signal);
            }
        }
    }

    /// Sleeps until a signal has arrived, `other` is readable or `timeout`
    /// has passed, whichever comes first; without both it waits for ever.
    /// False where the time has passed.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> bool {
        let mut set = vec![PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        set.extend(other.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)));
        let limit = timeout.map_or(PollTimeout::NONE, |duration| {
            // Rounded up: a wait that ends just before its time would spin.
            let whole = duration.as_millis().saturating_add(1);
            PollTimeout::try_from(i32::try_from(whole).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        });
        // EINTR cannot come from a handler (there is none), only from a
        // debugger or SIGCONT: the caller asks again.
        poll(&mut set, limit) != Ok(0)
    }

    /// Sleeps until a signal has arrived, on as little memory as possible.
    pub fn wait_small(&self) {
        super::memory::sleep_small(self.descriptor.as_raw_fd());
    }

    /// The same stream for a phase that has a runtime; made inside of it and
    /// dropped with it.
    ///
    /// # Errors
    /// Where the runtime cannot register the descriptor.
    #[expect(unsafe_code, reason = "tokio wants to be promised that the descriptor stays open")]
    pub fn in_runtime(&self) -> io::Result<AsyncSignals<'_>> {
        // SAFETY: the descriptor is borrowed for as long as the result lives.
        let ready = unsafe { AsyncFd::register_with_interest(self.descriptor.as_fd(), Interest::READABLE) }?;
        Ok(AsyncSignals { signals: self, ready })
    }
}

/// [`Signals`] as a future.
pub struct AsyncSignals<'a> {
    signals: &'a Signals,
    ready: AsyncFd<BorrowedFd<'a>>,
}

impl AsyncSignals<'_> {
    /// The next signal but SIGCHLD, which is answered here by reaping (we may
    /// be PID 1 in every phase). Losing the future loses no signal.
    pub async fn next(&self) -> Signal {
        loop {
            match self.signals.take() {
                Some(Signal::CHLD) => {
                    super::reaper::reap(None);
                }
                Some(signal) => return signal,
                None => match self.ready.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }
}

/// Replaces the calling thread's signal mask; bit n - 1 stands for signal n.
#[expect(unsafe_code, reason = "the C library's sigprocmask leaves signals 32 and 33 out")]
pub(super) fn set_mask(mask: u64) {
    // SAFETY: the mask is 8 bytes, as the last argument says.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            0_usize,
            size_of::<u64>(),
        );
    }
}

/// Sends `signal` to `target` as `kill(2)` does: a PID, or a negated group.
///
/// # Errors
/// ESRCH, EPERM; see `kill(2)`.
#[expect(unsafe_code, reason = "nix's kill takes no real-time signal")]
pub fn send(target: i32, signal: Signal) -> Result<(), Errno> {
    // SAFETY: takes two integers.
    Errno::result(unsafe { libc::kill(target, signal.number()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kill_l() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("term", 15),
            ("sigKill", 9),
            ("9", 9),
            ("64", 64),
            ("HUP", 1),
            ("SYS", 31),
            ("IO", 29),
            ("POLL", 29),
            ("IOT", 6),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX", 64),
            ("RTMAX-14", 50),
            ("WINCH", 28),
            ("PWR", 30),
        ] {
            assert_eq!(Signal::parse(text), Some(Signal(number)), "{text}");
        }
        for text in [
            "", "0", "65", "-1", "+9", "FOO", "SIG", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMAX--1",
            "9 ",
        ] {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_number_has_a_name_that_reads_back() {
        for number in (1..=31).chain(REALTIME) {
            assert_eq!(Signal::parse(&Signal(number).to_string()), Some(Signal(number)));
        }
    }
}
