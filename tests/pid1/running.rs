//! A program that was started, its child, and its end.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

use crate::case::hanging;
use crate::output::{Output, patience, readable, until};
use crate::{proc, sys};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exits {code}"),
            Self::Signal(number) => write!(out, "dies of {}", crate::signals::name(*number)),
        }
    }
}

/// The program, seen from its cell.
pub struct Running {
    pub pid: Pid,
    watch: OwnedFd,
    pub out: Output,
}

impl Running {
    pub fn new(pid: Pid, out: Output) -> Result<Self> {
        Ok(Self { pid, watch: sys::watch_end(pid)?, out })
    }

    /// Sends the program a signal.
    pub fn signal(&self, number: i32) -> Result<()> {
        sys::send(self.pid, number).with_context(|| format!("signal {number}"))
    }

    /// What becomes readable when it has ended.
    pub fn watch(&self) -> &OwnedFd {
        &self.watch
    }

    pub fn has_ended(&self) -> bool {
        readable(&[&self.watch], Instant::now())
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Result<End> {
        ensure!(readable(&[&self.watch], Instant::now() + patience()), hanging());
        let status = sys::reap(self.pid)?;
        Ok(if libc::WIFEXITED(status) {
            End::Code(libc::WEXITSTATUS(status))
        } else {
            End::Signal(libc::WTERMSIG(status))
        })
    }

    /// Waits for its end, which must be this exit code.
    pub fn must_exit(&mut self, code: i32) -> Result<()> {
        let end = self.end()?;
        ensure!(end == End::Code(code), "{end}, not {code}");
        Ok(())
    }

    /// Tells it to end, and waits for this exit code.
    pub fn terminate(&mut self, code: i32) -> Result<()> {
        self.signal(libc::SIGTERM)?;
        self.must_exit(code).context("after TERM")
    }

    /// Waits for a text from the child; where the program has ended instead,
    /// that is the fault.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        match self.out.until(text) {
            Ok(_) => Ok(()),
            Err(error) if self.has_ended() => Err(self.end().map_or(error, |end| anyhow!("{end} too early"))),
            Err(error) => Err(error),
        }
    }

    /// Its child, once that runs the command.
    pub fn child(&self) -> Result<Pid> {
        let mut found = None;
        until(|| {
            let own = fs::read_link(format!("/proc/{}/exe", self.pid)).ok();
            let other =
                |pid: &Pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| Some(exe) != own);
            found = proc::children(self.pid).into_iter().find(other);
            found.is_some() || self.has_ended()
        });
        found.context("no child")
    }

    /// Waits until it has handled every signal so far.
    pub fn settle(&self) -> Result<()> {
        ensure!(until(|| proc::is_idle(self.pid)), "does not come to rest");
        Ok(())
    }

    /// Runs a command inside its PID namespace, but not as its child, as
    /// `docker exec` does, and waits for its end.
    pub fn enter(&self, words: &[std::ffi::CString]) -> Result<()> {
        let namespace = fs::File::open(format!("/proc/{}/ns/pid", self.pid))?;
        let helper = sys::fork_into(0)?;
        let Some(helper) = helper else {
            let status =
                setns(namespace, CloneFlags::CLONE_NEWPID).map_err(anyhow::Error::from).and_then(|()| {
                    match sys::fork_into(0)? {
                        Some(pid) => sys::reap(pid),
                        None => match nix::unistd::execv(&words[0], words) {
                            Err(_) => sys::leave(99),
                        },
                    }
                });
            sys::leave(i32::from(!matches!(status, Ok(0))));
        };
        if sys::reap(helper)? != 0 {
            bail!("BUG: cannot run {words:?} in the namespace");
        }
        Ok(())
    }
}
