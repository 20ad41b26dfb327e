//! What the program costs while the child runs.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::libc;
use nix::unistd::Pid;

use crate::case::{Case, NotHere, Place, SCRATCH};
use crate::matrix::Behaviour;
use crate::output::{readable, until};
use crate::running::Running;
use crate::{proc, programs};

pub const ROWS: &[Behaviour] = &[
    Behaviour::init("threads while the child runs (budget 1)", threads),
    Behaviour::init("descriptors of its own while the child runs (budget 1)", descriptors),
    Behaviour::init("memory while the child runs, kB (budget 0.7 of tini-static's)", memory),
    Behaviour::init("anonymous memory while the child runs, kB", anonymous),
    Behaviour::init("wake-ups in 10 s while the child runs (budget 0)", wake_ups),
    Behaviour::init("the same budgets after a gate with probes, with stop requests to come", after_a_gate)
        .ours(),
];

/// A part of tini-static's memory, in hundredths.
const BUDGET: u64 = 70;
const IDLE: Duration = Duration::from_secs(10);

/// The program around a child that waits, once it has come to rest.
fn at_rest(case: &Case<'_>) -> Result<Running> {
    at_rest_with(case, &[])
}

fn at_rest_with(case: &Case<'_>, options: &[&str]) -> Result<Running> {
    if case.program.is_proa() && !case.program.is_static {
        return Err(NotHere("not the static build").into());
    }
    let mut run = case.start(&["wait"]).options(options).go()?;
    run.expect("ready")?;
    rest(run.pid)?;
    Ok(run)
}

/// Waits until it has not run for a second.
fn rest(pid: Pid) -> Result<()> {
    let mut seen = (0, Instant::now());
    let quiet = || {
        let now = switches(pid);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        // tini wakes up each second by itself.
        seen.1.elapsed() > Duration::from_millis(900)
    };
    ensure!(until(quiet), "never rests");
    Ok(())
}

fn switches(pid: Pid) -> u64 {
    proc::number(pid, "voluntary_ctxt_switches")
}

fn threads(case: &Case<'_>) -> Result<()> {
    let mut run = at_rest(case)?;
    let threads = proc::number(run.pid, "Threads");
    ensure!(threads == 1, "{threads}");
    run.terminate(128 + libc::SIGTERM)?;
    case.note.replace(threads.to_string());
    Ok(())
}

fn descriptors(case: &Case<'_>) -> Result<()> {
    let mut run = at_rest(case)?;
    let own = proc::descriptors(run.pid).into_iter().filter(|number| *number > 2).count();
    ensure!(own <= 1, "{own}");
    run.terminate(128 + libc::SIGTERM)?;
    case.note.replace(own.to_string());
    Ok(())
}

/// Memory in kB, and the part of tini-static's memory that this is.
fn memory_of(case: &Case<'_>, run: &mut Running) -> Result<(u64, String)> {
    let own = proc::memory(run.pid, "Rss");
    run.terminate(128 + libc::SIGTERM)?;
    let all = programs::all(Some(case.program.path.clone()))?;
    let tini = all.iter().find(|program| program.name == "tini-static").context("BUG: no tini-static")?;
    let beside = Case::new(tini, Place::Init, &case.child);
    let reference = proc::memory(at_rest(&beside)?.pid, "Rss");
    let hundredths = own * 100 / reference.max(1);
    Ok((hundredths, format!("{own} ({}.{:02})", hundredths / 100, hundredths % 100)))
}

fn memory(case: &Case<'_>) -> Result<()> {
    let (hundredths, text) = memory_of(case, &mut at_rest(case)?)?;
    ensure!(!case.program.is_proa() || hundredths <= BUDGET, "{text}");
    case.note.replace(text);
    Ok(())
}

fn anonymous(case: &Case<'_>) -> Result<()> {
    let mut run = at_rest(case)?;
    case.note.replace(proc::memory(run.pid, "Anonymous").to_string());
    run.terminate(128 + libc::SIGTERM)
}

fn wake_ups(case: &Case<'_>) -> Result<()> {
    let mut run = at_rest(case)?;
    let before = switches(run.pid);
    ensure!(!readable(&[run.watch()], Instant::now() + IDLE), "ends by itself");
    let woken = switches(run.pid) - before;
    ensure!(woken == 0, "{woken}");
    run.terminate(128 + libc::SIGTERM)?;
    case.note.replace(woken.to_string());
    Ok(())
}

fn after_a_gate(case: &Case<'_>) -> Result<()> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let address = server.local_addr()?.to_string();
    let url = format!("http://{address}/quit");
    fs::write(format!("{SCRATCH}/ready"), "now")?;
    let ready = format!("{SCRATCH}/ready");
    let options = ["--ready-tcp", &address, "--ready-file", &ready, "--shutdown-http-post", &url];
    let mut run = at_rest_with(case, &options)?;
    drop(server);
    let child = proc::descriptors(run.child()?);
    ensure!(child == [0, 1, 2], "the child has {child:?}");
    let (threads, own) = (proc::number(run.pid, "Threads"), proc::descriptors(run.pid).len() - 3);
    ensure!((threads, own) == (1, 1), "{threads} threads, {own} descriptors");
    let before = switches(run.pid);
    ensure!(!readable(&[run.watch()], Instant::now() + IDLE), "ends by itself");
    ensure!(switches(run.pid) == before, "wakes up");
    let (hundredths, text) = memory_of(case, &mut run)?;
    ensure!(hundredths <= BUDGET, "{text}");
    case.note.replace(text);
    Ok(())
}
