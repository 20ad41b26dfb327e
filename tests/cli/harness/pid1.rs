//! The wrapper as PID 1 of a PID namespace of its own, as in a container.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{eventually, not_run_here, process};

/// The program and options that start something as PID 1: as root, or in a
/// user namespace. Err says why that is impossible here.
fn launcher() -> &'static Result<Vec<&'static str>, String> {
    static LAUNCHER: OnceLock<Result<Vec<&str>, String>> = OnceLock::new();
    LAUNCHER.get_or_init(|| {
        let common = ["--pid", "--fork", "--kill-child", "--mount-proc"];
        let as_root = [&["unshare"][..], &common].concat();
        let as_user = [&["unshare", "--user", "--map-root-user"][..], &common].concat();
        let tried = [as_root, as_user].map(|words| (works(&[&words[..], &["true"]].concat()), words));
        let reason = tried.iter().find_map(|(works, _)| works.clone().err()).unwrap_or_default();
        tried.into_iter().find(|(works, _)| works.is_ok()).map(|(_, words)| words).ok_or(reason)
    })
}

fn works(words: &[&str]) -> Result<(), String> {
    let (program, options) = words.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(options).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The words to put before a command line, so that it runs as PID 1; None,
/// and a line about it, where this machine forbids that.
pub fn prefix(test: &str) -> Option<&'static [&'static str]> {
    match launcher() {
        Ok(words) => Some(words),
        Err(reason) => {
            not_run_here(test, &format!("no own PID namespace: {reason}"));
            None
        }
    }
}

/// The words to put before a command line, so that its mounts are its own;
/// None, and a line about it, where this machine forbids that.
pub fn mount_prefix(test: &str) -> Option<&'static [&'static str]> {
    const AS_ROOT: &[&str] = &["unshare", "--mount"];
    const AS_USER: &[&str] = &["unshare", "--user", "--map-root-user", "--mount"];
    let mounts = |words: &[&str]| works(&[words, &["mount", "--bind", "/tmp", "/mnt"]].concat());
    let tried = [AS_ROOT, AS_USER].map(|words| (mounts(words), words));
    let working = tried.iter().find(|(works, _)| works.is_ok()).map(|(_, words)| *words);
    if working.is_none() {
        let reason = tried.into_iter().find_map(|(works, _)| works.err()).unwrap_or_default();
        not_run_here(test, &format!("no own mounts: {reason}"));
    }
    working
}

/// The process that `unshare` became the parent of, seen from here, once it
/// has become the wrapper.
pub fn wrapper_of(unshare: u32, binary: &Path) -> u32 {
    eventually("PID 1 of the namespace", || {
        let (pid, state) = *process::children(unshare).first()?;
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        (state == 'Z' || exe.as_deref() == Some(binary)).then_some(pid)
    })
}
