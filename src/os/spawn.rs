//! Starting the child: one `clone(2)` with `CLONE_VM | CLONE_VFORK`, which is
//! what the C library's `posix_spawn` does too. It is used directly because
//! `posix_spawn` cannot set PR_SET_PDEATHSIG and leaves signals 32 and 33
//! ignored in the child, and because a plain fork costs twice the time.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null_mut;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Pid, getpid};

/// Why there is no child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// `execvp(3)` failed: the command is missing or cannot be executed.
    Exec(Errno),
    /// The kernel refused a new process or its stack.
    Fork(Errno),
}

/// What the new process reads before it becomes the command, and where it
/// leaves its errno when it does not.
struct Setup {
    file: *const c_char,
    argv: *const *const c_char,
    foreground: bool,
    parent: libc::pid_t,
    dies_with_parent: bool,
    errno: c_int,
}

/// Room for the calls of the new process; `execvp` joins an element of PATH
/// (at most PATH_MAX) with a name (at most NAME_MAX) on it.
const STACK: usize = 64 * 1024;

/// Starts `argv[0]`, looked up in `PATH` as `execvp(3)` does; a file without
/// a known format is run by `/bin/sh`, as POSIX asks of `execvp` and as tini
/// does it.
///
/// The child gets an empty signal mask, an own process group (in the
/// foreground of the terminal with `foreground`) and all else as we have it.
/// It dies with us unless we are PID 1, whose end takes everybody anyway.
/// Returns once it runs the command, so a signal sent now finds the command.
///
/// # Errors
/// [`SpawnError`]; nothing is left behind then.
#[expect(unsafe_code, reason = "clone and mmap have no safe form that shares memory until exec")]
pub fn spawn(argv: &[CString], foreground: bool) -> Result<Pid, SpawnError> {
    let mut pointers: Vec<*const c_char> = argv.iter().map(|argument| argument.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let Some(file) = argv.first() else { return Err(SpawnError::Exec(Errno::ENOENT)) };
    let mut setup = Setup {
        file: file.as_ptr(),
        argv: pointers.as_ptr(),
        foreground,
        parent: getpid().as_raw(),
        dies_with_parent: !super::is_init(),
        errno: 0,
    };
    // For a file without a format execvp copies argv to its stack.
    let size = (STACK + size_of_val(pointers.as_slice())).next_multiple_of(4096);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping; no memory of ours is touched.
    let stack = unsafe { libc::mmap(null_mut(), size, protection, flags, -1, 0) };
    if stack == libc::MAP_FAILED {
        return Err(SpawnError::Fork(Errno::last()));
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `stack + size` is the end of the mapping, 16-byte aligned. We
    // are suspended until the new process has left our memory, so `setup`,
    // `pointers` and the stack outlive its use of them. `become_command`
    // allocates nothing and unwinds nowhere.
    let pid = unsafe { libc::clone(become_command, stack.byte_add(size), flags, (&raw mut setup).cast()) };
    let refused = Errno::last();
    // SAFETY: the new process has left this stack (or never was).
    unsafe { libc::munmap(stack, size) };
    if pid < 0 {
        return Err(SpawnError::Fork(refused));
    }
    // SAFETY: `setup` is ours; the new process, which shared it, is gone. The
    // read must not be folded into the initial value.
    match unsafe { (&raw const setup.errno).read_volatile() } {
        0 => Ok(Pid::from_raw(pid)),
        errno => {
            super::reaper::reap(None);
            Err(SpawnError::Exec(Errno::from_raw(errno)))
        }
    }
}

/// The new process, from `clone` to `exec`, on a borrowed stack in memory
/// that it shares with the suspended parent: system calls only.
#[expect(unsafe_code, reason = "between clone and exec there are only raw calls")]
extern "C" fn become_command(argument: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its Setup, which outlives this process's use.
    let setup = unsafe { &mut *argument.cast::<Setup>() };
    // SAFETY: plain system calls on integers; every signal is still blocked,
    // SIGTTOU included, so tcsetpgrp does not stop us.
    unsafe {
        libc::setpgid(0, 0);
        if setup.foreground {
            libc::tcsetpgrp(0, libc::getpid());
        }
        if setup.dies_with_parent {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() != setup.parent {
                libc::_exit(128 + libc::SIGKILL);
            }
        }
    }
    super::signals::set_mask(0);
    // SAFETY: both pointers lead to NUL-terminated data of the parent.
    unsafe {
        libc::execvp(setup.file, setup.argv);
        setup.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}
