//! The story: args -> plan -> gate -> run -> teardown -> exit. The only file
//! that knows all phases.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tracing::{error, info, warn};

use crate::args::{self, Stop};
use crate::env::{Environment, ProcessEnvironment};
use crate::exit::Exit;
use crate::fault::guarded;
use crate::gate::{self, GateEnd, GateReport};
use crate::install;
use crate::os::aside::aside;
use crate::os::signals::{Signal, Signals};
use crate::os::spawn::SpawnError;
use crate::os::{become_subreaper, reaper, stdio};
use crate::plan::duration::show;
use crate::plan::{self, Action, Plan, Task};
use crate::pod::access::Access;
use crate::run::{self, RunReport};
use crate::teardown::decide::Before;
use crate::teardown::{self, Facts};
use crate::telemetry;

/// Runs the whole program; the answer is its exit code.
pub fn main(argv: Vec<OsString>) -> u8 {
    match aside(|| until_the_command(argv, &ProcessEnvironment)) {
        Some(Ok(begun)) => command_and_after(&begun).code(),
        Some(Err(exit)) => exit.code(),
        None => failed("there is a bug before the gate").code(),
    }
}

/// How far things have come when the gate has ended.
struct Begun {
    signals: Signals,
    plan: Box<Plan>,
    /// None without the API.
    access: Option<Access>,
    gate: GateReport,
    gate_took: Duration,
}

/// args, plan and gate. The answer is an exit where it ends with them.
#[inline(never)] // its frame must not stay while the command runs
fn until_the_command(argv: Vec<OsString>, env: &impl Environment) -> Result<Box<Begun>, Exit> {
    stdio::hold_closed();
    let signals =
        Signals::block_all().map_err(|error| failed(&format!("cannot receive signals: {error}")))?;
    become_subreaper();
    let plan = match prepare(argv, env)? {
        Task::Wrap(plan) => plan,
        Task::Install(path) => {
            return Err(match install::install(&path) {
                Ok(()) => Exit::Done,
                Err(error) => failed(&format!("{error:#}")),
            });
        }
    };
    let begin = Instant::now();
    remove_stale_shutdown_files(&plan);
    let (access, gate) = match guarded(|| Access::find(&plan)) {
        Some(Ok(access)) => {
            let report = guarded(|| gate::wait(&plan, access.as_ref(), &signals));
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
    Ok(Box::new(Begun { signals, plan, access, gate, gate_took }))
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

/// run and teardown.
fn command_and_after(begun: &Begun) -> Exit {
    let Begun { signals, plan, access, gate, gate_took } = begun;
    let gate_took = *gate_took;
    let begin = Instant::now();
    let (exit, ran) = match &gate.end {
        GateEnd::Open => run_command(plan, signals),
        GateEnd::Interrupted(signal) => {
            info!(%signal, "asked to end before the command was started");
            (Exit::Interrupted(*signal), None)
        }
        GateEnd::Deleted => {
            info!("the Pod is being deleted, not starting the command");
            (Exit::PodDeleted, None)
        }
        GateEnd::Failed(why) => (failed(why), None),
    };
    let run_took = begin.elapsed();
    // A sidecar that was asked to quit waits for nobody: others wait for it.
    let asked_to_quit = ran.is_some_and(|ran| ran.asked_to_quit);
    let exit = if asked_to_quit { Exit::Done } else { exit };
    let facts = Facts {
        access: access.as_ref(),
        pod: gate.pod.as_ref().filter(|_| !asked_to_quit),
        own: gate.own.as_deref(),
        before: match exit {
            Exit::Interrupted(_) | Exit::PodDeleted => Before::Interrupted,
            other => Before::Exiting(other.code()),
        },
        terminated: ran.and_then(|ran| ran.terminated_at).map(|time| time.elapsed()),
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
        gate = show(gate_took),
        run = show(run_took),
        teardown = show(down.elapsed()),
        sidecars = ends.unwrap_or_default(),
        "done"
    );
    exit
}

/// run: the command, unless a signal came just before it.
fn run_command(plan: &Plan, signals: &Signals) -> (Exit, Option<RunReport>) {
    while let Some(signal) = signals.take() {
        if signal == Signal::CHLD {
            reaper::reap(None);
        } else if signal.asks_to_terminate() {
            info!(%signal, "asked to end before the command was started");
            return (Exit::Interrupted(signal), None);
        }
    }
    let name = plan.run.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match run::run(&plan.run, signals) {
        Ok(report) => (Exit::Child(report.end), Some(report)),
        Err(SpawnError::Exec(Errno::ENOENT)) => {
            say(&format!("cannot run {name:?}: it, or the interpreter it names, was not found"));
            (Exit::NotFound, None)
        }
        Err(SpawnError::Exec(errno)) => {
            say(&format!("cannot run {name:?}: {}", errno.desc()));
            (Exit::NotExecutable, None)
        }
        Err(SpawnError::Fork(errno)) => (failed(&format!("cannot start a process: {}", errno.desc())), None),
    }
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

/// One line, whatever `RUST_LOG` says: the user is looking at it.
fn usage(line: &str) -> Exit {
    stdio::write_stderr(format!("proa: {line}\n").as_bytes());
    Exit::Usage
}
