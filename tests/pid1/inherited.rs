//! What the child gets: what the wrapper was given, and nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use anyhow::{Result, ensure};
use nix::libc;
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

use crate::case::{Case, SCRATCH};
use crate::matrix::Behaviour;
use crate::programs::Reach;
use crate::running::Running;
use crate::signals::name;
use crate::start::Start;
use crate::{proc, sys};

pub const ROWS: &[Behaviour] = &[
    Behaviour::init("descriptors that were inherited reach the child, and no other does", descriptors),
    Behaviour::init("the child's signals: none blocked, none ignored", signals),
    Behaviour::init("the same, though it was started with signals ignored", signals_after_ignored),
    Behaviour::init("the same, though it was started with signals blocked", signals_after_blocked),
    Behaviour::init(
        "directory, umask, limits, niceness, ids and capabilities as without a wrapper",
        surroundings,
    ),
    Behaviour::init("arguments byte by byte, argv[0] as written", arguments),
    Behaviour::init("environment byte by byte", environment),
    Behaviour::both("the child leads a process group of its own", own_group),
];

/// Starts it around a child that waits, and returns both.
fn waiting(start: &mut Start<'_, '_>) -> Result<(Running, Pid)> {
    let mut run = start.go()?;
    run.expect("ready")?;
    let child = run.child()?;
    Ok((run, child))
}

fn descriptors(case: &Case<'_>) -> Result<()> {
    let mut start = case.start(&["wait"]);
    for number in [3, 7, 20] {
        start.descriptor(number, Some(OwnedFd::from(File::open("/etc/hosts")?)));
    }
    let (_run, child) = waiting(&mut start)?;
    let found = proc::descriptors(child);
    ensure!(found == [0, 1, 2, 3, 7, 20], "{found:?}");
    for number in [3, 7, 20] {
        let target = fs::read_link(format!("/proc/{child}/fd/{number}"))?;
        ensure!(target == Path::new("/etc/hosts"), "{number} is {}", target.display());
    }
    Ok(())
}

fn named(set: u64) -> String {
    let numbers = (1..=64).filter(|number| set & (1 << (number - 1)) != 0);
    let names: Vec<_> = numbers.map(name).collect();
    match &names[..] {
        [first, .., last] if names.len() > 6 => format!("{first} to {last} ({} of them)", names.len()),
        _ => names.join(" "),
    }
}

fn signals_are_default(start: &mut Start<'_, '_>) -> Result<()> {
    let (_run, child) = waiting(start)?;
    let blocked = proc::set(child, "SigBlk");
    ensure!(blocked == 0, "blocked: {}", named(blocked));
    let ignored = proc::set(child, "SigIgn");
    ensure!(ignored == 0, "ignored: {}", named(ignored));
    Ok(())
}

fn signals(case: &Case<'_>) -> Result<()> {
    signals_are_default(&mut case.start(&["wait"]))
}

fn signals_after_ignored(case: &Case<'_>) -> Result<()> {
    let mut start = case.start(&["wait"]);
    start.step(|| {
        // SIGCHLD has a row of its own: see the hostile surroundings.
        (1..=64).filter(|number| *number != libc::SIGCHLD).for_each(|number| sys::dispose(number, true));
        Ok(())
    });
    signals_are_default(&mut start)
}

fn signals_after_blocked(case: &Case<'_>) -> Result<()> {
    let mut start = case.start(&["wait"]);
    start.step(|| {
        sys::block(true);
        Ok(())
    });
    signals_are_default(&mut start)
}

/// All that is not about signals or memory.
fn facts(pid: Pid) -> BTreeMap<String, String> {
    const STATUS: &[&str] = &[
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Cpus_allowed",
        "Threads",
    ];
    let mut facts = proc::status(pid);
    facts.retain(|key, _| STATUS.contains(&key.as_str()));
    for file in ["limits", "oom_score_adj", "personality", "coredump_filter", "timerslack_ns"] {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        facts.insert(file.to_owned(), text);
    }
    for link in ["cwd", "root"] {
        let target = fs::read_link(format!("/proc/{pid}/{link}")).unwrap_or_default();
        facts.insert(link.to_owned(), target.display().to_string());
    }
    facts.insert("nice".to_owned(), proc::stat(pid).get(16).cloned().unwrap_or_default());
    facts
}

fn surroundings(case: &Case<'_>) -> Result<()> {
    let prepare = || {
        std::env::set_current_dir("/usr/share")?;
        umask(Mode::from_bits_truncate(0o137));
        for (resource, value) in [
            (libc::RLIMIT_NOFILE, 123),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_STACK, 1 << 21),
            (libc::RLIMIT_NPROC, 4321),
            (libc::RLIMIT_SIGPENDING, 321),
            (libc::RLIMIT_MEMLOCK, 65_536),
        ] {
            sys::limit(resource, value)?;
        }
        fs::write("/proc/self/oom_score_adj", "123")?;
        sys::nice(5)
    };
    let bare = [case.child.clone().into_os_string(), "wait".into()];
    let mut alone = case.start_bare(&bare);
    let mut alone = alone.step(prepare).go()?;
    alone.expect("ready")?;
    let wanted = facts(alone.pid);
    let (_run, child) = waiting(case.start(&["wait"]).step(prepare))?;
    let found = facts(child);
    let different: Vec<_> = wanted.keys().filter(|key| wanted.get(*key) != found.get(*key)).collect();
    ensure!(different.is_empty(), "different: {different:?}");
    ensure!(found.get("cwd").is_some_and(|cwd| cwd == "/usr/share"), "BUG: {found:?}");
    Ok(())
}

/// Bytes that are no UTF-8, spaces, line ends, nothing at all, and what looks
/// like an option of the wrapper.
fn odd_words() -> Vec<OsString> {
    let all: Vec<u8> = (1..=255).collect();
    let words = [&all[..], b"", b" ", b"--", b"-g", b"--no-api", b"a\nb", b"\xff\xfe=\xc3"];
    words.into_iter().map(|word| OsString::from_vec(word.to_owned())).collect()
}

fn joined(words: &[OsString]) -> Vec<u8> {
    words.iter().flat_map(|word| word.as_bytes().iter().copied().chain([0])).collect()
}

fn arguments(case: &Case<'_>) -> Result<()> {
    // Found in PATH, so argv[0] is the name alone.
    std::os::unix::fs::symlink(&case.child, format!("{SCRATCH}/odd name"))?;
    let path = OsString::from(format!("PATH={SCRATCH}"));
    let script: Vec<OsString> = vec!["odd name".into(), "describe".into()];
    let words = [script, odd_words()].concat();
    let mut start = case.start_command(Reach::Default, &words);
    // It cannot end before it was looked at: nobody reads its output.
    let (_reader, full) = crate::hostile::full_pipe()?;
    start.environment(&[&path]).descriptor(1, Some(full));
    let run = start.go()?;
    let found = proc::command_line(run.child()?);
    ensure!(found == joined(&words), "{}", String::from_utf8_lossy(&found));
    Ok(())
}

fn environment(case: &Case<'_>) -> Result<()> {
    let mut variables: Vec<OsString> = odd_words().into_iter().filter(|word| !word.is_empty()).collect();
    // Twice, empty, ours, and the others'.
    let more = [
        "A=1",
        "A=2",
        "EMPTY=",
        "PATH=/bin",
        "PROA_LOG_FORMAT=text",
        "TINI_VERBOSITY=1",
        "RUST_LOG=info",
        "=x",
    ];
    variables.extend(more.map(OsString::from));
    let shown: Vec<&OsStr> = variables.iter().map(OsString::as_os_str).collect();
    let (_run, child) = waiting(case.start(&["wait"]).environment(&shown))?;
    let found = fs::read(format!("/proc/{child}/environ"))?;
    ensure!(found == joined(&variables), "{}", String::from_utf8_lossy(&found));
    Ok(())
}

fn own_group(case: &Case<'_>) -> Result<()> {
    let (run, child) = waiting(&mut case.start(&["wait"]))?;
    let group = proc::stat(child).get(2).cloned().unwrap_or_default();
    ensure!(group == child.to_string(), "the group of {group}, not of {child}; the wrapper is {}", run.pid);
    Ok(())
}
