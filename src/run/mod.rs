//! The run: a good parent for the child, and a good PID 1. Plain synchronous
//! code: one descriptor, one loop, no thread, no timer, no socket.

mod quit_file;

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::fault::{guarded, inject};
use crate::os::reaper::{ChildEnd, reap};
use crate::os::signals::{Signal, Signals, send};
use crate::os::spawn::{SpawnError, spawn};
use crate::os::terminal;
use crate::plan::RunPlan;
use nix::unistd::Pid;
use quit_file::QuitFile;

/// Giving memory back costs a little; it is done once nothing happens for so
/// long, so that a short command or a storm of signals does not pay for it.
const SETTLE: Duration = Duration::from_millis(100);

/// How the run ended.
#[derive(Clone, Copy, Debug)]
pub struct RunReport {
    pub end: ChildEnd,
    /// When the first SIGTERM was forwarded: the Pod's grace period runs.
    pub terminated_at: Option<Instant>,
    /// The quit file appeared, so the end is what was asked for.
    pub asked_to_quit: bool,
}

/// Runs the command to its end.
///
/// # Errors
/// [`SpawnError`] where it cannot be started.
pub fn run(plan: &RunPlan, signals: &Signals) -> Result<RunReport, SpawnError> {
    let foreground = terminal::is_ours_to_give();
    let take_back = |child| {
        if foreground {
            terminal::take_back(child);
        }
    };
    let pid = spawn(&plan.argv, foreground).inspect_err(|_| take_back(None))?;
    info!(%pid, "command started");
    let mut child = Child {
        pid,
        target: if plan.signal_group { -pid.as_raw() } else { pid.as_raw() },
        terminated_at: None,
        end: None,
        quit: plan.quit_file.as_deref().map(|file| QuitFile::new(file, plan.quit_grace)),
    };
    // A panic must not lose the command's code: what is known of it survives.
    let end = loop {
        match guarded(|| child.wait(signals)) {
            Some(end) => break end,
            // Of what is done again and again only this could panic for ever.
            None => child.quit = None,
        }
    };
    take_back(Some(pid));
    match end {
        ChildEnd::Exited(code) => info!(code, "command ended"),
        ChildEnd::Signaled(signal) => info!(%signal, "command was ended by a signal"),
    }
    let asked_to_quit = child.quit.as_ref().is_some_and(QuitFile::has_fired);
    Ok(RunReport { end, terminated_at: child.terminated_at, asked_to_quit })
}

struct Child {
    pid: Pid,
    /// Whom `kill(2)` gets: the child, or its negated group.
    target: i32,
    terminated_at: Option<Instant>,
    end: Option<ChildEnd>,
    quit: Option<QuitFile>,
}

impl Child {
    fn wait(&mut self, signals: &Signals) -> ChildEnd {
        loop {
            self.handle_all(signals);
            if let Some(end) = self.end {
                return end;
            }
            let next = self.quit.as_mut().map(|quit| quit.look(self.pid));
            let folder = self.quit.as_ref().and_then(QuitFile::folder);
            match next {
                Some(next) => drop(signals.wait(folder, Some(next))),
                None if signals.wait(None, Some(SETTLE)) => {}
                None => signals.wait_small(None),
            }
        }
    }

    /// Handles what has arrived.
    fn handle_all(&mut self, signals: &Signals) {
        while let Some(signal) = signals.take() {
            if signal == Signal::CHLD {
                self.end = reap(Some(self.pid)).or(self.end);
            } else if self.end.is_none() {
                self.forward(signal);
            }
        }
    }

    fn forward(&mut self, signal: Signal) {
        inject("run");
        if signal == Signal::TERM && self.terminated_at.is_none() {
            self.terminated_at = Some(Instant::now());
            info!(%signal, "forwarding to the command");
        } else {
            debug!(%signal, "forwarding to the command");
        }
        if let Err(error) = send(self.target, signal) {
            warn!(%signal, %error, "cannot forward to the command");
        }
    }
}
