//! Surroundings that no program likes.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::{Gid, Uid, chroot, pipe2, setgroups, setresgid, setresuid};

use crate::case::{Case, NotHere, SCRATCH};
use crate::cgroup::Cgroup;
use crate::matrix::Behaviour;
use crate::output::until;
use crate::programs::{Family, Program};
use crate::running::End;
use crate::server::Server;
use crate::start::Start;
use crate::{proc, seccomp, sys};

pub const ROWS: &[Behaviour] = &[
    Behaviour::both("started with SIGCHLD ignored", sigchld_ignored),
    Behaviour::both("started with all signals blocked", all_blocked),
    Behaviour::init("started with 0, 1, 2 closed in each combination; the child finds the same", closed),
    Behaviour::init("an empty chroot: no /proc, /dev, /etc, /tmp, no library", empty_root),
    Behaviour::init("a root that is read-only", read_only),
    Behaviour::init("a user without a passwd entry (12345)", odd_user),
    Behaviour::init("no capabilities", no_capabilities),
    Behaviour::init("no_new_privs and a filter like RuntimeDefault", filtered),
    Behaviour::init("all of these at once", all_at_once),
    Behaviour::init("16 descriptors at most (NOFILE)", few_descriptors),
    Behaviour::init("16 descriptors at most, with probes and stop requests", few_descriptors_and_actions)
        .ours(),
    Behaviour::init("memory limit of 16 MiB", little_memory),
    Behaviour::init("memory limit of 16 MiB, with probes and stop requests", little_memory_and_actions)
        .ours(),
    Behaviour::init("fork refused (NPROC): an error of its own, at once", no_fork),
    Behaviour::init("stderr closed", stderr_closed),
    Behaviour::init("stderr on a full disk (/dev/full)", stderr_full),
    Behaviour::init("stderr a full pipe that nobody reads", stderr_unread),
    Behaviour::init("stderr a pipe whose reader has gone", stderr_gone),
    Behaviour::init("stderr a full pipe, and chatty", stderr_unread_chatty),
];

/// Becomes a user that nobody knows, for good.
pub fn become_user(id: u32) -> Result<()> {
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    Ok(setresuid(user, user, user)?)
}

/// A pipe that takes nothing more: the reading end, which keeps it open, and
/// the writing end, which blocks.
pub fn full_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    while nix::unistd::write(&writer, &[b'x'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok((reader, writer))
}

/// It still does its work: keeps a code, forwards SIGTERM, and hears of the
/// child's end.
fn works<'c, 'p: 'c>(case: &'c Case<'p>, prepare: impl Fn(&mut Start<'c, 'p>) -> Result<()>) -> Result<()> {
    let mut start = case.start(&["exit", "7"]);
    prepare(&mut start)?;
    start.go()?.must_exit(7)?;
    let mut start = case.start(&["wait"]);
    prepare(&mut start)?;
    let mut run = start.go()?;
    run.expect("ready")?;
    run.terminate(128 + libc::SIGTERM)
}

/// The same with a step before the program starts.
fn works_after(case: &Case<'_>, step: fn() -> Result<()>) -> Result<()> {
    works(case, |start| {
        start.step(step);
        Ok(())
    })
}

/// The same, with the files where every user reaches them.
fn works_moved(case: &Case<'_>, step: fn() -> Result<()>) -> Result<()> {
    let mut own = case.program.clone();
    works_after(&case.moved(&mut own)?, step)
}

fn sigchld_ignored(case: &Case<'_>) -> Result<()> {
    works_after(case, || {
        sys::dispose(libc::SIGCHLD, true);
        Ok(())
    })
}

fn all_blocked(case: &Case<'_>) -> Result<()> {
    works_after(case, || {
        sys::block(true);
        Ok(())
    })
}

fn closed(case: &Case<'_>) -> Result<()> {
    for combination in 1..8 {
        let is_closed = |number: &i32| combination & (1 << number) != 0;
        let gone: Vec<_> = (0..=2).filter(is_closed).collect();
        let mut start = case.start(&["wait"]);
        for number in &gone {
            start.descriptor(*number, None);
        }
        let mut run = start.go()?;
        let child = run.child().with_context(|| format!("{gone:?} closed"))?;
        // It sleeps once it has said what it can say.
        ensure!(until(|| proc::state(child) == 'S'), "{gone:?} closed: the child does not run");
        let wanted: Vec<_> = (0..=2).filter(|number| !is_closed(number)).collect();
        let found = proc::descriptors(child);
        ensure!(found == wanted, "{gone:?} closed: the child has {found:?}");
        run.terminate(128 + libc::SIGTERM).with_context(|| format!("{gone:?} closed"))?;
    }
    Ok(())
}

/// The case moved to the scratch folder, which becomes the whole world.
fn empty<'p>(case: &Case<'p>, own: &'p mut Program) -> Result<Case<'p>> {
    if !case.program.is_static {
        return Err(NotHere("a dynamic program").into());
    }
    case.moved(own)?;
    own.path = Path::new("/bin").join(own.name);
    Ok(Case::new(own, case.place, Path::new("/bin/child")))
}

fn enter_scratch() -> Result<()> {
    chroot(SCRATCH)?;
    Ok(std::env::set_current_dir("/")?)
}

fn empty_root(case: &Case<'_>) -> Result<()> {
    let mut own = case.program.clone();
    let case = empty(case, &mut own)?;
    works(&case, |start| {
        start.no_proc().step(enter_scratch);
        Ok(())
    })
}

fn read_only(case: &Case<'_>) -> Result<()> {
    works_after(case, || {
        sys::mount("none", "/", "none", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)?;
        sys::mount("none", SCRATCH, "none", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)?;
        ensure!(fs::write("/here", "").is_err(), "the root is not read-only");
        Ok(())
    })
}

fn odd_user(case: &Case<'_>) -> Result<()> {
    works_moved(case, || become_user(12_345))
}

fn no_capabilities(case: &Case<'_>) -> Result<()> {
    works_moved(case, sys::drop_capabilities)
}

fn filtered(case: &Case<'_>) -> Result<()> {
    works_moved(case, seccomp::install)
}

fn all_at_once(case: &Case<'_>) -> Result<()> {
    let mut own = case.program.clone();
    let case = empty(case, &mut own)?;
    works(&case, |start| {
        start.no_proc().descriptor(0, None).descriptor(2, None).step(|| {
            enter_scratch()?;
            sys::mount("none", "/", "none", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)?;
            sys::dispose(libc::SIGCHLD, true);
            sys::block(true);
            sys::limit(libc::RLIMIT_NOFILE, 16)?;
            become_user(12_345)?;
            sys::drop_capabilities().or_else(|_| anyhow::Ok(()))?;
            seccomp::install()
        });
        Ok(())
    })
}

fn few_descriptors(case: &Case<'_>) -> Result<()> {
    works_after(case, || sys::limit(libc::RLIMIT_NOFILE, 16))
}

/// Both kinds of probe before, and two stop requests after the child.
fn works_with_actions(case: &Case<'_>, step: impl Fn() -> Result<()> + 'static) -> Result<()> {
    let server = Server::new()?;
    let address = format!("127.0.0.1:{}", server.port);
    let urls = ["ready", "post", "get"].map(|path| format!("http://{address}/{path}"));
    let mut start = case.start(&["exit", "7"]);
    start.options(&["--ready-tcp", &address, "--ready-http-get", &urls[0]]);
    start.options(&["--shutdown-http-post", &urls[1], "--shutdown-http-get", &urls[2]]);
    let mut run = start.step(step).go()?;
    let mut asked = Vec::new();
    while let Some(head) = server.answer_one(&run, "200 OK")? {
        asked.push(head.split_whitespace().nth(1).unwrap_or_default().to_owned());
    }
    run.must_exit(7)?;
    asked.sort();
    asked.dedup();
    ensure!(asked == ["/get", "/post", "/ready"], "only asked for {asked:?}");
    Ok(())
}

fn few_descriptors_and_actions(case: &Case<'_>) -> Result<()> {
    works_with_actions(case, || sys::limit(libc::RLIMIT_NOFILE, 16))
}

fn little_memory(case: &Case<'_>) -> Result<()> {
    let group = Cgroup::new(case.program.name, 16 << 20)?;
    works(case, |start| {
        let procs = group.procs();
        start.step(move || Ok(fs::write(&procs, "0")?));
        Ok(())
    })
}

fn little_memory_and_actions(case: &Case<'_>) -> Result<()> {
    let group = Cgroup::new("proa-with-actions", 16 << 20)?;
    let procs = group.procs();
    works_with_actions(case, move || Ok(fs::write(&procs, "0")?))?;
    case.note.replace(group.most().map_or_else(String::new, |most| format!("pass, most {} kB", most >> 10)));
    Ok(())
}

fn no_fork(case: &Case<'_>) -> Result<()> {
    let mut own = case.program.clone();
    let case = case.moved(&mut own)?;
    // A user of its own, since processes are counted by user.
    let user = 40_000 + case.program.name.bytes().map(u32::from).sum::<u32>();
    let mut start = case.start(&["exit", "0"]);
    start.step(move || {
        become_user(user)?;
        sys::limit(libc::RLIMIT_NPROC, 1)
    });
    let end = start.go()?.end()?;
    let End::Code(code) = end else { anyhow::bail!("{end}") };
    ensure!(code != 0, "exits 0 without a child");
    ensure!(!case.program.is_proa() || code == 125, "{end}, not 125");
    Ok(())
}

fn stderr_closed(case: &Case<'_>) -> Result<()> {
    works(case, |start| {
        start.descriptor(2, None);
        Ok(())
    })
}

fn stderr_full(case: &Case<'_>) -> Result<()> {
    works(case, |start| {
        start.descriptor(2, Some(File::options().write(true).open("/dev/full")?.into()));
        Ok(())
    })
}

fn stderr_unread(case: &Case<'_>) -> Result<()> {
    let (_reader, writer) = full_pipe()?;
    works(case, |start| {
        start.descriptor(2, Some(writer.try_clone()?));
        Ok(())
    })
}

fn stderr_gone(case: &Case<'_>) -> Result<()> {
    works(case, |start| {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        drop(reader);
        start.descriptor(2, Some(writer));
        Ok(())
    })
}

fn stderr_unread_chatty(case: &Case<'_>) -> Result<()> {
    let (_reader, writer) = full_pipe()?;
    works(case, |start| {
        start.environment(&["RUST_LOG=trace", "TINI_VERBOSITY=3"].map(std::ffi::OsStr::new));
        start.descriptor(2, Some(writer.try_clone()?));
        if case.program.family == Family::DumbInit {
            start.options(&["-v"]);
        }
        Ok(())
    })
}
