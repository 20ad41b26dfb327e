//! The story: args -> plan -> gate -> run -> teardown -> exit. The only file
//! that knows all phases.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use tracing::{debug, error, info, warn};

use crate::args::{self, Stop};
use crate::env::{Environment, ProcessEnvironment};
use crate::exit::Exit;
use crate::fault::guarded;
use crate::gate::{self, GateEnd, GateReport};
use crate::install;
use crate::kept;
use crate::os::signals::{Signal, Signals};
use crate::os::spawn::SpawnError;
use crate::os::{become_subreaper, reaper, stdio};
use crate::plan::duration::show;
use crate::plan::{self, Action, Plan, Task};
use crate::pod::PodView;
use crate::pod::access::Access;
use crate::run::{Child, RunReport};
use crate::teardown::decide::Before;
use crate::teardown::{self, Facts};
use crate::telemetry;

/// What is known by the end of the gate: all that run and teardown need.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    plan: Box<Plan>,
    /// None without the API.
    access: Option<Access>,
    /// The last state of the Pod.
    pod: Option<PodView>,
    /// Our own container's name.
    own: Option<String>,
    gate_took: Duration,
}

/// Runs the whole program; the answer is its exit code.
pub fn main(argv: Vec<OsString>) -> u8 {
    stdio::hold_closed();
    let left = kept::left::<(Known, Child)>(&ProcessEnvironment);
    let signals = if left.is_some() { Signals::still_blocked() } else { Signals::block_all() };
    let whole = |signals: &Signals| match left {
        None => from_the_start(argv, signals, &ProcessEnvironment),
        Some(Ok((known, child))) => {
            telemetry::start(known.plan.log_format, &ProcessEnvironment);
            debug!("started afresh, with what is needed from now on");
            run_and_after(&known, child, signals)
        }
        Some(Err(error)) => failed_without_a_log(&format!("cannot go on: {error:#}")),
    };
    let end = signals.map(|signals| guarded(|| whole(&signals)));
    match end {
        Ok(Some(exit)) => exit.code(),
        Ok(None) => failed_without_a_log("there is a bug outside of the phases").code(),
        Err(error) => failed_without_a_log(&format!("cannot receive signals: {error}")).code(),
    }
}

/// args, plan and gate, and what follows from their end.
#[inline(never)] // its frame must not stay while the command runs
fn from_the_start(argv: Vec<OsString>, signals: &Signals, env: &impl Environment) -> Exit {
    become_subreaper();
    let plan = match prepare(argv, env) {
        Ok(Task::Wrap(plan)) => plan,
        Ok(Task::Install(path)) => {
            return match install::install(&path) {
                Ok(()) => Exit::Done,
                Err(error) => failed(&format!("{error:#}")),
            };
        }
        Err(exit) => return exit,
    };
    let (end, known) = through_the_gate(plan, signals);
    let exit = match end {
        GateEnd::Open => match start_command(&known.plan, signals) {
            Ok(child) => return run_and_after(&known, child, signals),
            Err(exit) => exit,
        },
        GateEnd::Interrupted(signal) => {
            info!(%signal, "asked to end before the command was started");
            Exit::Interrupted(signal)
        }
        GateEnd::Deleted => {
            info!("the Pod is being deleted, not starting the command");
            Exit::PodDeleted
        }
        GateEnd::Failed(why) => failed(&why),
    };
    teardown_and_exit(&known, exit, None, signals)
}

/// gate: how it ended, and what is known by then.
fn through_the_gate(plan: Box<Plan>, signals: &Signals) -> (GateEnd, Known) {
    let begin = Instant::now();
    remove_stale_shutdown_files(&plan);
    let (access, gate) = match guarded(|| Access::find(&plan)) {
        Some(Ok(access)) => {
            let report = guarded(|| gate::wait(&plan, access.as_ref(), signals));
            (access, report.unwrap_or_else(|| gate_failed("the gate has a bug")))
        }
        Some(Err(error)) => (None, gate_failed(&format!("{error:#}"))),
        None => (None, gate_failed("the gate has a bug")),
    };
    let gate_took = begin.elapsed();
    if gate.end == GateEnd::Open {
        warn_of_unstoppable(&plan, &gate);
        info!(took = show(gate_took), "gate open");
    }
    (gate.end, Known { plan, access, pod: gate.pod, own: gate.own, gate_took })
}

/// args and plan: everything that can be wrong with what was typed.
fn prepare(argv: Vec<OsString>, env: &impl Environment) -> Result<Task, Exit> {
    let args = args::parse(argv, env).map_err(|stop| match stop {
        Stop::Print(text) => {
            stdio::write_stdout(text.as_bytes());
            Exit::Done
        }
        Stop::Mistake(line) => usage(&line),
    })?;
    let format = plan::log_format(&args).map_err(|mistake| usage(&mistake.0))?;
    let task = plan::plan(&args, env).map_err(|mistake| usage(&mistake.0))?;
    telemetry::start(format, env);
    Ok(task)
}

/// run: the command, unless a signal came just before it.
fn start_command(plan: &Plan, signals: &Signals) -> Result<Child, Exit> {
    while let Some(signal) = signals.take() {
        if signal == Signal::CHLD {
            reaper::reap(None);
        } else if signal.asks_to_terminate() {
            info!(%signal, "asked to end before the command was started");
            return Err(Exit::Interrupted(signal));
        }
    }
    let name = plan.run.argv.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    Child::start(&plan.run).map_err(|error| match error {
        SpawnError::Exec(Errno::ENOENT) => {
            say(&format!("cannot run {name:?}: it, or the interpreter it names, was not found"));
            Exit::NotFound
        }
        SpawnError::Exec(errno) => {
            say(&format!("cannot run {name:?}: {}", errno.desc()));
            Exit::NotExecutable
        }
        SpawnError::Fork(errno) => failed(&format!("cannot start a process: {}", errno.desc())),
    })
}

/// run, from the command's start on, and what follows.
fn run_and_after(known: &Known, child: Child, signals: &Signals) -> Exit {
    let ran =
        child.wait(&known.plan.run, signals, |child| kept::start_afresh::<(Known, Child)>(&(known, child)));
    // A sidecar that was asked to quit waits for nobody: others wait for it.
    let exit = if ran.asked_to_quit { Exit::Done } else { Exit::Child(ran.end) };
    teardown_and_exit(known, exit, Some(ran), signals)
}

/// teardown, and the closing line.
#[inline(never)] // as above
fn teardown_and_exit(known: &Known, exit: Exit, ran: Option<RunReport>, signals: &Signals) -> Exit {
    let Known { plan, access, pod, own, gate_took } = known;
    let asked_to_quit = ran.is_some_and(|ran| ran.asked_to_quit);
    let facts = Facts {
        access: access.as_ref(),
        pod: pod.as_ref().filter(|_| !asked_to_quit),
        own: own.as_deref(),
        before: match exit {
            Exit::Interrupted(_) | Exit::PodDeleted => Before::Interrupted,
            other => Before::Exiting(other.code()),
        },
        terminated: ran.and_then(|ran| ran.terminated),
    };
    let down = Instant::now();
    let ends = guarded(|| teardown::teardown(plan, &facts, signals)).or_else(|| {
        // At least the requests, without what waits for an answer.
        let facts = Facts { before: Before::Interrupted, ..facts };
        guarded(|| teardown::teardown(plan, &facts, signals))
    });
    // Zombies of the last moment.
    reaper::reap(None);
    info!(
        code = exit.code(),
        gate = show(*gate_took),
        run = show(ran.map(|ran| ran.took).unwrap_or_default()),
        teardown = show(down.elapsed()),
        sidecars = ends.unwrap_or_default(),
        "done"
    );
    exit
}

/// A file of an earlier run of this container would stop the sidecars before
/// the command has run (see `run/quit_file.rs`).
fn remove_stale_shutdown_files(plan: &Plan) {
    for action in &plan.teardown.actions {
        if let Action::File(path) = action
            && std::fs::remove_file(path).is_ok()
        {
            info!(file = %path.display(), "removed the shutdown file of an earlier run");
        }
    }
}

fn warn_of_unstoppable(plan: &Plan, gate: &GateReport) {
    let (Some(pod), Some(own)) = (&gate.pod, &gate.own) else { return };
    let names = teardown::unstoppable(plan, pod, own);
    if !names.is_empty() {
        warn!(
            sidecars = names.join(", "),
            "nothing will tell these to stop: give a --shutdown-* or --kill option, run them under proa --quit-file, \
             make them native sidecars, or leave them out with --ignore-container"
        );
    }
}

fn gate_failed(why: &str) -> GateReport {
    GateReport { end: GateEnd::Failed(why.to_owned()), pod: None, own: None }
}

/// Logs why `proa` cannot go on, where operators look for it.
fn say(why: &str) {
    error!("{why}");
    telemetry::leave_termination_message(&format!("proa: {why}"));
}

fn failed(why: &str) -> Exit {
    say(why);
    Exit::Failed
}

/// The same, where logging may not have begun.
fn failed_without_a_log(why: &str) -> Exit {
    stdio::write_stderr(format!("proa: {why}\n").as_bytes());
    telemetry::leave_termination_message(&format!("proa: {why}"));
    Exit::Failed
}

/// One line, whatever `RUST_LOG` says: the user is looking at it.
fn usage(line: &str) -> Exit {
    stdio::write_stderr(format!("proa: {line}\n").as_bytes());
    Exit::Usage
}
