//! The run: a good parent for the child, and a good PID 1. Plain synchronous
//! code: one descriptor, one loop, no thread, no timer, no socket.

mod quit_file;

use std::time::Duration;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tracing::{debug, info, warn};

use crate::fault::{guarded, inject};
use crate::os::moment::Moment;
use crate::os::reaper::{ChildEnd, reap};
use crate::os::signals::{Signal, Signals, send};
use crate::os::spawn::{SpawnError, spawn};
use crate::os::terminal;
use crate::plan::RunPlan;
use quit_file::QuitFile;

/// Giving memory back costs a little, so a short command does not pay for it,
/// nor does each of many signals: so long after the start `settle` is called, and
/// after so long without a signal the sleep is a small one.
const SETTLE: Duration = Duration::from_millis(100);

/// How the run ended.
#[derive(Clone, Copy, Debug)]
pub struct RunReport {
    pub end: ChildEnd,
    pub took: Duration,
    /// How long ago the first SIGTERM was forwarded: the Pod's grace period runs.
    pub terminated: Option<Duration>,
    /// The quit file appeared, so the end is what was asked for.
    pub asked_to_quit: bool,
}

/// The command that runs, and what has happened to it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Child {
    pid: i32,
    started: Moment,
    /// The terminal was given to it.
    foreground: bool,
    /// When the first SIGTERM was forwarded.
    terminated: Option<Moment>,
    end: Option<ChildEnd>,
    /// It has run for a while, and `settle` was called.
    settled: bool,
}

impl Child {
    /// Starts the command.
    ///
    /// # Errors
    /// [`SpawnError`] where it cannot be started.
    pub fn start(plan: &RunPlan) -> Result<Self, SpawnError> {
        let foreground = terminal::is_ours_to_give();
        let started = Moment::now();
        let pid = spawn(&plan.argv, foreground).inspect_err(|_| {
            if foreground {
                terminal::take_back(None);
            }
        })?;
        info!(%pid, "command started");
        let pid = pid.as_raw();
        Ok(Self { pid, started, foreground, terminated: None, end: None, settled: false })
    }

    /// Waits for its end. `settle` is called once, when it has run for a while; it
    /// may start the program afresh.
    pub fn wait(mut self, plan: &RunPlan, signals: &Signals, settle: impl Fn(&Self)) -> RunReport {
        let quit = plan.quit_file.as_deref().map(|file| QuitFile::new(file, plan.quit_grace));
        let mut run = Run { child: &mut self, signals, signal_group: plan.signal_group, quit };
        // A panic must not lose the command's code: what is known of it survives.
        let end = loop {
            match guarded(|| run.wait(&settle)) {
                Some(end) => break end,
                // Of what is done again and again only this could panic for ever.
                None => run.quit = None,
            }
        };
        let asked_to_quit = run.quit.as_ref().is_some_and(QuitFile::has_fired);
        if self.foreground {
            terminal::take_back(Some(Pid::from_raw(self.pid)));
        }
        match end {
            ChildEnd::Exited(code) => info!(code, "command ended"),
            ChildEnd::Signaled(signal) => info!(%signal, "command was ended by a signal"),
        }
        let terminated = self.terminated.map(Moment::elapsed);
        RunReport { end, took: self.started.elapsed(), terminated, asked_to_quit }
    }
}

/// A child that is waited for.
struct Run<'a> {
    child: &'a mut Child,
    signals: &'a Signals,
    signal_group: bool,
    quit: Option<QuitFile>,
}

impl Run<'_> {
    fn wait(&mut self, settle: impl Fn(&Child)) -> ChildEnd {
        let mut busy = false;
        loop {
            self.handle_all();
            if let Some(end) = self.child.end {
                return end;
            }
            let next = self.quit.as_mut().map(|quit| quit.look(Pid::from_raw(self.child.pid)));
            let folder = self.quit.as_ref().and_then(QuitFile::folder);
            // What a quit file has begun ends soon.
            let begins = !self.child.settled && !self.quit.as_ref().is_some_and(QuitFile::has_fired);
            let until_settled = begins.then(|| SETTLE.saturating_sub(self.child.started.elapsed()));
            if until_settled == Some(Duration::ZERO) {
                self.child.settled = true;
                settle(self.child);
                continue;
            }
            match until_settled.into_iter().chain(next).min() {
                Some(limit) => drop(self.signals.wait(folder, Some(limit))),
                None if busy && self.signals.wait(None, Some(SETTLE)) => {}
                None => {
                    self.signals.wait_small();
                    busy = true;
                }
            }
        }
    }

    /// Handles what has arrived.
    fn handle_all(&mut self) {
        while let Some(signal) = self.signals.take() {
            if signal == Signal::CHLD {
                self.child.end = reap(Some(Pid::from_raw(self.child.pid))).or(self.child.end);
            } else if self.child.end.is_none() {
                self.forward(signal);
            }
        }
    }

    fn forward(&mut self, signal: Signal) {
        inject("run");
        if signal == Signal::TERM && self.child.terminated.is_none() {
            self.child.terminated = Some(Moment::now());
            info!(%signal, "forwarding to the command");
        } else {
            debug!(%signal, "forwarding to the command");
        }
        let target = if self.signal_group { -self.child.pid } else { self.child.pid };
        if let Err(error) = send(target, signal) {
            warn!(%signal, %error, "cannot forward to the command");
        }
    }
}
