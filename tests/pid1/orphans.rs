//! Processes that nobody waits for.

use std::ffi::CString;
use std::fs;

use anyhow::{Result, ensure};
use nix::libc;

use crate::case::{Case, SCRATCH};
use crate::matrix::Behaviour;
use crate::output::until;
use crate::proc;
use crate::running::Running;
use crate::server::Server;

pub const ROWS: &[Behaviour] = &[
    Behaviour::init("10000 orphans while the child runs leave no zombie", in_run),
    Behaviour::init("10000 orphans in the gate leave no zombie", in_gate).ours(),
    Behaviour::init("10000 orphans in teardown leave no zombie", in_teardown).ours(),
    Behaviour::plain("beside a pause process as PID 1, orphans of the child are reaped", beside_pause),
    Behaviour::both("the child's end is not lost among the ends of others", merged),
];

const MANY: &str = "10000";

fn no_zombies(run: &Running) -> Result<()> {
    let zombies = || proc::children(run.pid).into_iter().filter(|pid| proc::state(*pid) == 'Z').count();
    ensure!(until(|| zombies() == 0), "{} zombies", zombies());
    Ok(())
}

fn in_run(case: &Case<'_>) -> Result<()> {
    let mut run = case.start(&["orphans-then-wait", MANY]).go()?;
    run.expect("ready")?;
    no_zombies(&run)?;
    run.terminate(128 + libc::SIGTERM)?;
    let mut run = case.start(&["orphans", "100"]).go()?;
    run.must_exit(0)
}

/// Orphans of a process that is not the wrapper's, as of a probe that the
/// kubelet runs in the container.
fn orphans_of_another(case: &Case<'_>, run: &Running) -> Result<()> {
    let words = [crate::case::c_string(case.child.as_os_str()), c"orphans".into(), CString::new(MANY)?];
    run.enter(&words)?;
    no_zombies(run)
}

fn in_gate(case: &Case<'_>) -> Result<()> {
    let ready = format!("{SCRATCH}/ready");
    let mut start = case.start(&["exit", "7"]);
    let mut run = start.options(&["--ready-file", &ready]).go()?;
    orphans_of_another(case, &run)?;
    fs::write(ready, "now")?;
    run.must_exit(7)
}

fn in_teardown(case: &Case<'_>) -> Result<()> {
    let mut server = Server::new()?;
    let url = format!("http://127.0.0.1:{}/quit", server.port);
    let mut start = case.start(&["exit", "7"]);
    let mut run = start
        .options(&["--shutdown-http-post", &url, "--http-timeout", "60s", "--shutdown-timeout", "60s"])
        .go()?;
    server.take_request(&run)?;
    orphans_of_another(case, &run)?;
    ensure!(!run.has_ended(), "gives up the teardown");
    run.terminate(7)
}

fn beside_pause(case: &Case<'_>) -> Result<()> {
    let mut run = case.start(&["orphans-then-wait", "200"]).go()?;
    run.expect("ready")?;
    // This cell is PID 1 here, and reaps nobody: what it gets stays.
    let mine = || proc::children(nix::unistd::getpid()).len() - 1;
    let children = || proc::children(run.pid).len();
    until(|| children() == 1);
    ensure!(mine() == 0, "{} zombies for PID 1", mine());
    ensure!(children() == 1, "{} zombies", children() - 1);
    run.terminate(128 + libc::SIGTERM)
}

fn merged(case: &Case<'_>) -> Result<()> {
    let times = case.times(200, 50);
    for time in 0..times {
        let code = i32::try_from(time % 200 + 1)?;
        let mut run = case.start(&["orphans-that-end-with-it", "40", &code.to_string()]).go()?;
        run.must_exit(code)?;
    }
    case.note.replace(format!("pass, {times} times"));
    Ok(())
}
