//! On a terminal, as with `docker run -it`.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use nix::libc;
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{Pid, write};

use crate::case::{Case, SCRATCH};
use crate::matrix::Behaviour;
use crate::output::{Output, until};
use crate::programs::Reach;
use crate::running::Running;
use crate::server::Server;
use crate::{proc, sys};

pub const ROWS: &[Behaviour] = &[
    Behaviour::both("terminal: the child is in the foreground", foreground),
    Behaviour::both("terminal: Ctrl-C reaches the child exactly once", ctrl_c),
    Behaviour::init("terminal: Ctrl-\\ reaches the child exactly once", ctrl_backslash),
    Behaviour::init("terminal: a new size reaches the child exactly once", resize),
    Behaviour::init("terminal: Ctrl-Z, fg and Ctrl-C in a shell below it", shell),
    Behaviour::both("terminal: Ctrl-Z with a plain child does not stop the wrapper", ctrl_z),
    Behaviour::init("terminal: hanging up ends the child and the wrapper", hang_up),
    Behaviour::plain("terminal: started in the background, it leaves the foreground alone", background),
    Behaviour::init("terminal: Ctrl-C in the gate is 130", ctrl_c_in_gate).ours(),
    Behaviour::init("terminal: Ctrl-C in teardown ends the waiting", ctrl_c_in_teardown).ours(),
    Behaviour::init("terminal: the same after a command that was not found", ctrl_c_after_nothing).ours(),
];

const CTRL_C: &[u8] = b"\x03";
const CTRL_BACKSLASH: &[u8] = b"\x1c";
const CTRL_Z: &[u8] = b"\x1a";

/// Both ends; what is typed is not echoed.
fn open() -> Result<(Output, OwnedFd)> {
    let pty = openpty(None, None)?;
    let mut mode = tcgetattr(&pty.slave)?;
    mode.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &mode)?;
    Ok((Output::new(pty.master), pty.slave))
}

/// The program around the child in this mode, on a terminal of its own.
fn start(case: &Case<'_>, mode: &[&str], options: &[&str]) -> Result<Running> {
    let (screen, slave) = open()?;
    let mut run = case.start(mode).options(options).terminal(&slave)?.go()?;
    run.out = screen;
    Ok(run)
}

fn press(run: &Running, keys: &[u8]) -> Result<()> {
    write(run.out.descriptor(), keys)?;
    Ok(())
}

/// The process group in the foreground of a process's terminal.
fn foreground_of(pid: Pid) -> Option<Pid> {
    proc::stat(pid).get(5)?.parse().ok().map(Pid::from_raw)
}

fn foreground(case: &Case<'_>) -> Result<()> {
    let mut run = start(case, &["wait"], &[])?;
    run.expect("ready")?;
    let child = run.child()?;
    let group = foreground_of(child);
    let own = proc::stat(child).get(2).and_then(|group| group.parse().ok()).map(Pid::from_raw);
    ensure!(group == own, "the foreground is {group:?}, the child's group {own:?}");
    run.terminate(128 + libc::SIGTERM)
}

/// Does something that sends the child `number`, and counts how often it comes.
fn exactly_once(case: &Case<'_>, number: i32, act: impl Fn(&Running, u16) -> Result<()>) -> Result<()> {
    /// Told after all of those: numbers come in order.
    const LAST: i32 = 60;
    let mut run = start(case, &["tell-signals"], &[])?;
    run.expect("ready")?;
    for time in 0..20 {
        act(&run, time)?;
        run.expect(&format!("got {number};"))?;
        let child = run.child()?;
        run.settle()?;
        sys::send(child, LAST)?;
        let more = run.out.until(&format!("got {LAST};"))?;
        ensure!(!more.contains("got"), "comes twice");
        ensure!(!run.has_ended(), "ends the wrapper");
    }
    run.terminate(0)
}

fn ctrl_c(case: &Case<'_>) -> Result<()> {
    exactly_once(case, libc::SIGINT, |run, _| press(run, CTRL_C))
}

fn ctrl_backslash(case: &Case<'_>) -> Result<()> {
    exactly_once(case, libc::SIGQUIT, |run, _| press(run, CTRL_BACKSLASH))
}

fn resize(case: &Case<'_>) -> Result<()> {
    exactly_once(case, libc::SIGWINCH, |run, time| sys::resize(run.out.descriptor(), 30 + time, 100))
}

fn ctrl_z(case: &Case<'_>) -> Result<()> {
    let mut run = start(case, &["wait"], &[])?;
    run.expect("ready")?;
    press(&run, CTRL_Z)?;
    let child = run.child()?;
    // In a session of its own the kernel lets nobody be stopped: no shell
    // there could continue it (credentials(7), orphaned groups).
    until(|| proc::state(child) == 'T' || proc::state(run.pid) == 'T');
    ensure!(proc::state(run.pid) != 'T', "the wrapper is stopped");
    run.signal(libc::SIGCONT)?;
    run.terminate(128 + libc::SIGTERM)
}

fn shell(case: &Case<'_>) -> Result<()> {
    let (screen, slave) = open()?;
    let words = ["/bin/sh".into(), "-i".into()];
    let mut start = case.start_command(Reach::Default, &words);
    let mut run = start.terminal(&slave)?.go()?;
    drop(slave);
    run.out = screen;
    press(&run, format!("{} wait\n", case.child.display()).as_bytes())?;
    run.expect("ready").context("a command in the shell")?;
    let command = *proc::children(run.child()?).first().context("BUG: the shell has no child")?;
    press(&run, CTRL_Z)?;
    run.expect("Stopped").context("Ctrl-Z")?;
    press(&run, b"echo back$((40+2))\n")?;
    run.expect("back42").context("the shell after Ctrl-Z")?;
    press(&run, b"fg\n")?;
    ensure!(until(|| proc::state(command) == 'S'), "fg does not continue it");
    ensure!(until(|| foreground_of(command) == Some(command)), "fg leaves it in the background");
    press(&run, CTRL_C)?;
    press(&run, b"echo \"code $?\"\n")?;
    run.expect("code 130").context("Ctrl-C after fg")?;
    press(&run, b"exit 9\n")?;
    run.must_exit(9)
}

fn hang_up(case: &Case<'_>) -> Result<()> {
    let (screen, slave) = open()?;
    let mut run = case.start(&["wait"]).terminal(&slave)?.go()?;
    drop(slave);
    let nothing = std::mem::replace(&mut run.out, screen);
    run.expect("ready")?;
    drop(std::mem::replace(&mut run.out, nothing));
    run.must_exit(128 + libc::SIGHUP)
}

/// A command line for a shell.
fn quoted(case: &Case<'_>) -> String {
    let mut words = vec![case.program.path.display().to_string()];
    words.extend(case.program.options(Reach::Default, false).into_iter().map(str::to_owned));
    words.extend(["--".to_owned(), case.child.display().to_string(), "wait".to_owned()]);
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

fn background(case: &Case<'_>) -> Result<()> {
    let (screen, slave) = open()?;
    let words: [OsString; 2] = ["/bin/sh".into(), "-i".into()];
    let mut start = case.start_bare(&words);
    let mut run = start.terminal(&slave)?.go()?;
    drop(slave);
    run.out = screen;
    press(&run, format!("{} &\n", quoted(case)).as_bytes())?;
    run.expect("ready")?;
    let group = foreground_of(run.pid);
    ensure!(group == Some(run.pid), "it takes the terminal");
    press(&run, b"echo still$((40+2))\n")?;
    run.expect("still42").context("the shell")
}

fn ctrl_c_in_gate(case: &Case<'_>) -> Result<()> {
    let ready = format!("{SCRATCH}/ready");
    let mut run = start(case, &["exit", "7"], &["--ready-file", &ready])?;
    ensure!(until(|| proc::set(run.pid, "SigBlk") & 2 != 0), "does not listen");
    press(&run, CTRL_C)?;
    run.must_exit(130)
}

fn ctrl_c_in_teardown(case: &Case<'_>) -> Result<()> {
    interrupted_teardown(case, &[case.child.clone().into(), "exit".into(), "7".into()], 7)
}

fn ctrl_c_after_nothing(case: &Case<'_>) -> Result<()> {
    interrupted_teardown(case, &["/no/such/command".into()], 127)
}

fn interrupted_teardown(case: &Case<'_>, command: &[OsString], code: i32) -> Result<()> {
    let server = Server::new()?;
    let url = format!("http://127.0.0.1:{}/quit", server.port);
    let (screen, slave) = open()?;
    let mut start = case.start_command(Reach::Default, command);
    let mut run = start.options(&["--shutdown-http-post", &url]).terminal(&slave)?.go()?;
    run.out = screen;
    server.answer_one(&run, "503 Later")?.context("ends without a request")?;
    press(&run, CTRL_C)?;
    let tries = 1 + server.answer_all(&run, "503 Later")?;
    ensure!(tries < 6, "does not end the waiting");
    run.must_exit(code)
}
