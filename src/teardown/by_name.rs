//! Signals to processes found in `/proc` (`--kill`, `--kill-all`): those of
//! other containers too, where the Pod shares one PID namespace.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::getpid;
use tracing::{info, warn};

use crate::os::signals::{Signal, send};

/// Signals every process whose executable's file name is `name`, but PID 1
/// and ourselves.
pub fn kill(name: &OsStr, signal: Signal) {
    let what = format!("{} {signal}", name.display());
    signal_all(&what, signal, |process, _| process.name() == name);
}

/// SIGTERM to every visible process but PID 1, ourselves and our descendants.
pub fn kill_all() {
    signal_all("everybody", Signal::TERM, |process, all| !process.is_ours(all));
}

type Processes = BTreeMap<i32, Process>;

fn signal_all(what: &str, signal: Signal, wanted: impl Fn(&Process, &Processes) -> bool) {
    let all = match processes() {
        Ok(all) => all,
        Err(error) => {
            warn!(what, %error, "cannot look for processes in /proc");
            return;
        }
    };
    let own = getpid().as_raw();
    let mut signalled = Vec::new();
    for process in
        all.values().filter(|process| process.pid != 1 && process.pid != own && wanted(process, &all))
    {
        match send(process.pid, signal) {
            Ok(()) => signalled.push(process.pid),
            Err(error) => warn!(what, pid = process.pid, %error, "cannot signal"),
        }
    }
    if signalled.is_empty() {
        warn!(what, "no process was signalled: is shareProcessNamespace set?");
    } else {
        info!(what, pids = ?signalled, "signalled");
    }
}

#[derive(Clone, Debug)]
struct Process {
    pid: i32,
    parent: i32,
    folder: PathBuf,
    comm: OsString,
}

/// Reads `/proc`; zombies are left out, they hear nothing.
fn processes() -> std::io::Result<Processes> {
    let mut all = Processes::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(process) = pid.and_then(|pid| read(pid, &entry.path())) {
            all.insert(process.pid, process);
        }
    }
    Ok(all)
}

/// `PID (comm) STATE PPID …`; the name may hold anything, parentheses too
/// (`proc_pid_stat(5)`).
fn read(pid: i32, folder: &Path) -> Option<Process> {
    let stat = fs::read(folder.join("stat")).ok()?;
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let comm = OsString::from_vec(stat.get(open + 1..close)?.to_vec());
    let rest = String::from_utf8_lossy(stat.get(close + 1..)?).into_owned();
    let mut fields = rest.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    (state != "Z").then(|| Process { pid, parent, folder: folder.to_owned(), comm })
}

impl Process {
    /// File name of the executable; where that may not be seen, the base name
    /// of `argv[0]`; where there is none, comm.
    fn name(&self) -> OsString {
        if let Ok(executable) = fs::read_link(self.folder.join("exe")) {
            let path = executable.as_os_str().as_bytes();
            let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
            return base_name(path).to_owned();
        }
        let line = fs::read(self.folder.join("cmdline")).unwrap_or_default();
        let argv0 = line.split(|byte| *byte == 0).next().unwrap_or_default();
        if argv0.is_empty() { self.comm.clone() } else { base_name(argv0).to_owned() }
    }

    /// Whether we are among its ancestors.
    fn is_ours(&self, all: &Processes) -> bool {
        let own = getpid().as_raw();
        let mut parent = self.parent;
        // A chain cannot be longer than there are processes.
        for _ in 0..all.len() {
            if parent == own {
                return true;
            }
            match all.get(&parent) {
                Some(process) => parent = process.parent,
                None => return false,
            }
        }
        false
    }
}

fn base_name(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_see_ourselves() {
        let all = processes().unwrap();
        let own = all.get(&getpid().as_raw()).unwrap();
        assert_eq!(own.name(), std::env::current_exe().unwrap().file_name().unwrap());
        assert!(!own.is_ours(&all));
    }

    #[test]
    fn base_names() {
        for (path, name) in
            [("/usr/bin/envoy", "envoy"), ("envoy", "envoy"), ("-sh", "-sh"), ("/", ""), ("", "")]
        {
            assert_eq!(base_name(path.as_bytes()), name);
        }
    }
}
