//! Running cells: each in a process of its own, which is PID 1 of its own PID
//! namespace with its own mounts, so that nothing it starts outlives it and a
//! program that hangs disturbs nobody.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, pipe2};

use crate::case::{Case, NotHere, Place, SCRATCH, end_all};
use crate::matrix::{Behaviour, Verdict};
use crate::output::{be_patient, readable};
use crate::programs::Program;
use crate::sys;

/// No cell takes so long; the slowest tries something a thousand times.
const LONGEST: Duration = Duration::from_secs(150);
/// Cells at a time: most of a cell's time is waiting.
const AT_ONCE: usize = 4;

/// What a cell is about.
pub struct Task<'a> {
    pub behaviour: &'a Behaviour,
    pub place: Place,
    pub program: &'a Program,
}

/// What came out of it, and the end of the program's stderr after a fault.
#[derive(Clone, Debug)]
pub struct Answer {
    pub verdict: Verdict,
    pub detail: String,
}

struct Worker {
    index: usize,
    pid: Pid,
    report: File,
    text: Vec<u8>,
    end: Instant,
}

/// Runs all; the answers are in the order of the tasks.
pub fn run_all(tasks: &[Task<'_>], child: &Path) -> Result<Vec<Answer>> {
    let mut answers = vec![None; tasks.len()];
    let mut waiting = tasks.iter().enumerate();
    let mut workers: Vec<Worker> = Vec::new();
    loop {
        while workers.len() < AT_ONCE
            && let Some((index, task)) = waiting.next()
        {
            workers.push(start(index, task, child)?);
        }
        if workers.is_empty() {
            break;
        }
        let next = workers.iter().map(|worker| worker.end).min().unwrap_or_else(Instant::now);
        readable(&workers.iter().map(|worker| &worker.report as _).collect::<Vec<_>>(), next);
        let mut still = Vec::new();
        for mut worker in workers {
            if worker.is_done()? {
                let index = worker.index;
                answers[index] = Some(worker.answer()?);
            } else {
                still.push(worker);
            }
        }
        workers = still;
    }
    Ok(answers.into_iter().flatten().collect())
}

fn start(index: usize, task: &Task<'_>, child: &Path) -> Result<Worker> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    let Some(pid) = sys::fork_into(libc::CLONE_NEWPID | libc::CLONE_NEWNS)
        .context("needs root, for namespaces of its own")?
    else {
        drop(read);
        work(task, child, write)
    };
    Ok(Worker { index, pid, report: read.into(), text: Vec::new(), end: Instant::now() + LONGEST })
}

impl Worker {
    fn is_done(&mut self) -> Result<bool> {
        if readable(&[&self.report], Instant::now()) {
            let mut piece = [0; 4096];
            let length = self.report.read(&mut piece)?;
            self.text.extend(&piece[..length]);
            return Ok(length == 0);
        }
        Ok(Instant::now() > self.end)
    }

    fn answer(self) -> Result<Answer> {
        sys::send(self.pid, libc::SIGKILL).ok();
        sys::reap(self.pid)?;
        let text = String::from_utf8_lossy(&self.text);
        let mut parts = text.splitn(3, '\0');
        let (kind, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().to_owned());
        let detail = parts.next().unwrap_or_default().to_owned();
        let verdict = match kind {
            "pass" => Verdict::Pass(what),
            "fault" => Verdict::Fault(what),
            "not here" => Verdict::NotHere(what),
            "broken" => Verdict::Broken(what),
            _ => Verdict::Broken("the cell gave no answer".to_owned()),
        };
        Ok(Answer { verdict, detail })
    }
}

/// The cell's process.
fn work(task: &Task<'_>, child: &Path, report: OwnedFd) -> ! {
    if task.program.is_proa() {
        be_patient();
    }
    let case = Case::new(task.program, task.place, child);
    let result = enclose().context("BUG: no own surroundings").and_then(|()| (task.behaviour.run)(&case));
    let (kind, what) = match &result {
        Ok(()) => ("pass", case.note.take()),
        Err(error) => match error.downcast_ref::<NotHere>() {
            Some(why) => ("not here", why.to_string()),
            None if format!("{error:#}").contains("BUG: ") => ("broken", format!("{error:#}")),
            None => ("fault", format!("{error:#}")),
        },
    };
    let detail = case.stderr.take().filter(|_| kind == "fault" || kind == "broken").map(read_tail);
    drop(write!(File::from(report), "{kind}\0{what}\0{}", detail.unwrap_or_default()));
    end_all();
    sys::leave(0)
}

/// Own mounts that nobody else sees, a /proc of this namespace, a place to
/// write to, and no stdin or stdout.
fn enclose() -> Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    sys::mount("none", "/", "none", libc::MS_REC | libc::MS_PRIVATE)?;
    sys::mount("proc", "/proc", "proc", 0)?;
    sys::mount("scratch", SCRATCH, "tmpfs", 0)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    if std::env::var_os("PID1_STDERR").is_none() {
        dup2_stderr(&null)?;
    }
    Ok(())
}

fn read_tail(stderr: OwnedFd) -> String {
    use std::os::unix::fs::FileExt;
    let file = File::from(stderr);
    let mut text = vec![0; 1 << 16];
    let length = file.read_at(&mut text, 0).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
