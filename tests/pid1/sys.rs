//! The system calls that have no safe form. This program has one thread, so
//! whatever is allowed to a program is allowed to its forks.
#![expect(unsafe_code, reason = "fork, raw descriptors, signals by number, filters")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null;

use anyhow::Result;
use nix::errno::Errno;
use nix::libc::{self, c_int, c_long};
use nix::unistd::Pid;

/// `fork(2)` into new namespaces (`CLONE_NEWPID`, …): None in the new process.
pub fn fork_into(namespaces: c_int) -> Result<Option<Pid>> {
    let flags = c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is fork(2); there is one thread.
    let pid =
        Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) })?;
    Ok((pid != 0).then_some(Pid::from_raw(i32::try_from(pid)?)))
}

/// A descriptor that is readable once the process has ended.
pub fn watch_end(pid: Pid) -> Result<OwnedFd> {
    // SAFETY: integers; the kernel gives a descriptor that nobody else owns.
    let number = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(number)?) })
}

/// `kill(2)`, with any number.
pub fn send(pid: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: integers.
    Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop)
}

/// Reaps `pid` and returns its wait status; nix's own type fails on real-time signals.
pub fn reap(pid: Pid) -> Result<i32> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    Errno::result(unsafe { libc::waitpid(pid.as_raw(), &raw mut status, 0) })?;
    Ok(status)
}

/// Whether a child that has ended waits to be reaped; None without any child.
pub fn reap_any() -> Option<bool> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }) {
        Ok(pid) => Some(pid > 0),
        Err(_) => None,
    }
}

/// Makes the set of open descriptors exactly this: each number with what it
/// is a copy of. `keep` stays open, under a high number, until exec.
pub fn place(wanted: &[(RawFd, RawFd)], keep: RawFd) -> Result<OwnedFd> {
    const HIGH: c_int = 300;
    // SAFETY: plain calls on numbers; nothing in a process about to exec owns them.
    unsafe {
        let keep = Errno::result(libc::fcntl(keep, libc::F_DUPFD_CLOEXEC, HIGH))?;
        let copies: Result<Vec<_>, _> = wanted
            .iter()
            .map(|(_, from)| Errno::result(libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, HIGH)))
            .collect();
        libc::syscall(libc::SYS_close_range, 0, HIGH - 1, 0);
        for ((to, _), from) in wanted.iter().zip(copies?) {
            Errno::result(libc::dup2(from, *to))?;
        }
        Ok(OwnedFd::from_raw_fd(keep))
    }
}

/// Blocks all signals, or none.
pub fn block(all: bool) {
    let mask = if all { u64::MAX } else { 0 };
    // SAFETY: the kernel reads 8 bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0_usize, 8_usize) };
}

/// Sets a disposition to ignore, or to its default. The kernel's call,
/// because the C library's refuses signals 32 and 33.
pub fn dispose(signal: i32, ignore: bool) {
    let action = [if ignore { libc::SIG_IGN } else { libc::SIG_DFL }, 0, 0, 0];
    // SAFETY: the kernel reads at most these 32 bytes; SIGKILL and SIGSTOP are refused.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), 0_usize, 8_usize) };
}

/// Mounts; the strings are NUL-terminated literals.
pub fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong) -> Result<()> {
    let [source, target, kind] = [source, target, kind].map(|text| std::ffi::CString::new(text).unwrap());
    // SAFETY: NUL-terminated strings and no data.
    let done = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, null()) };
    Ok(Errno::result(done).map(drop)?)
}

/// Makes descriptor 0 the controlling terminal.
pub fn take_terminal() -> Result<()> {
    // SAFETY: integers.
    Ok(Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(drop)?)
}

/// Changes a terminal's size, which the kernel tells its foreground group.
pub fn resize(terminal: &impl AsRawFd, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one winsize.
    Ok(Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .map(drop)?)
}

/// Lowers the priority.
pub fn nice(level: i32) -> Result<()> {
    // SAFETY: integers.
    Ok(Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, level) }).map(drop)?)
}

/// Limits a resource that nix has no name for.
pub fn limit(resource: libc::__rlimit_resource_t, value: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the kernel reads one rlimit.
    Ok(Errno::result(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)?)
}

/// Gives up every capability, for good, while staying the user that we are.
pub fn drop_capabilities() -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: integers, and two structs of the sizes that version 3 has.
    unsafe {
        for capability in 0..64 {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        Errno::result(libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()))?;
    }
    Ok(())
}

/// Installs a system call filter; needs `no_new_privs`.
pub fn filter(instructions: &[libc::sock_filter]) -> Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(instructions.len())?,
        filter: instructions.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program; it ends with a return.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    Ok(Errno::result(done).map(drop)?)
}

/// Whether a new mount namespace is refused, which the filter above does.
pub fn unshare_is_refused() -> bool {
    // SAFETY: integers.
    unsafe { libc::unshare(libc::CLONE_NEWNS) == -1 }
}

/// Ends this process without any clean-up of what it shares with its origin.
pub fn leave(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}
