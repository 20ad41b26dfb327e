//! Tells what the process was started with, as one JSON object. It asks the
//! kernel, not `/proc`, wherever it can: there may be no `/proc`.

use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;

use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, fstat, umask};
use nix::unistd::{getcwd, getgid, getpgrp, getpid, getppid, getsid, getuid, tcgetpgrp};
use serde_json::{Value, json};

/// Prints it.
pub fn print() {
    let mask = umask(Mode::empty());
    let stdin = std::io::stdin();
    println!(
        "{}",
        json!({
            "pid": getpid().as_raw(), "ppid": getppid().as_raw(), "group": getpgrp().as_raw(),
            "session": getsid(None).unwrap().as_raw(),
            "foreground": tcgetpgrp(&stdin).ok().map(nix::unistd::Pid::as_raw),
            "uid": getuid().as_raw(), "gid": getgid().as_raw(),
            "blocked": blocked(), "ignored": ignored(),
            "descriptors": descriptors(), "nofile": getrlimit(Resource::RLIMIT_NOFILE).unwrap().0,
            "umask": mask.bits(), "directory": getcwd().ok().map(|path| path.display().to_string()),
            "nice": nice(), "death_signal": death_signal(),
            "args": std::env::args_os().map(hex).collect::<Vec<_>>(),
            "environment": std::env::vars_os().map(|(name, value)| json!([hex(name), hex(value)])).collect::<Value>(),
        })
    );
}

fn hex(text: OsString) -> String {
    text.into_vec().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The numbers of the blocked signals, 32 and 33 included.
#[expect(unsafe_code, reason = "the C library's call hides signals 32 and 33")]
fn blocked() -> Vec<u32> {
    let mut mask = 0_u64;
    // SAFETY: the kernel writes 8 bytes to `mask`, and reads nothing.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0_usize, &raw mut mask, 8_usize) };
    (1..=64).filter(|number| mask & (1 << (number - 1)) != 0).collect()
}

/// The numbers of the signals that are ignored.
#[expect(unsafe_code, reason = "the C library's call hides signals 32 and 33")]
fn ignored() -> Vec<i32> {
    let ignores = |number: &i32| {
        let mut action = [0_u64; 4];
        // SAFETY: the kernel's sigaction is at most 32 bytes; it reads nothing.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, *number, 0_usize, action.as_mut_ptr(), 8_usize) };
        action[0] == libc::SIG_IGN as u64
    };
    (1..=64).filter(ignores).collect()
}

#[expect(unsafe_code, reason = "asking about a descriptor that may not be open")]
fn descriptors() -> Vec<i32> {
    let limit = i32::try_from(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0.min(4096)).unwrap();
    let open = |number: &i32| {
        // SAFETY: only asked about, and given back at once.
        fstat(unsafe { BorrowedFd::borrow_raw(*number) }).is_ok()
    };
    (0..limit).filter(open).collect()
}

#[expect(unsafe_code, reason = "getpriority has no safe form")]
fn nice() -> i32 {
    // SAFETY: integers only.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn death_signal() -> Option<i32> {
    nix::sys::prctl::get_pdeathsig().ok().flatten().map(|signal| signal as i32)
}
