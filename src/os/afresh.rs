//! A fresh start of this program in the process that it already is.
//!
//! `execve(2)` of our own executable keeps the PID, the children, the blocked
//! signals and those that wait, and drops all memory: what the gate dirtied
//! would otherwise stay as long as the command runs, since an allocator gives
//! back only whole pages that nobody uses.

use std::ffi::{CStr, CString, c_char};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, RawFd};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl, readlink};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::stat::stat;
use nix::unistd::{Whence, getpid, lseek};

use super::args;

#[expect(unsafe_code, reason = "the libc crate lacks it")]
unsafe extern "C" {
    /// The environment as the C library keeps it (`environ(7)`).
    static environ: *const *const c_char;
}

/// Where the kernel shows the file that this process runs (`proc_pid_exe(5)`).
const OURSELVES: &CStr = c"/proc/self/exe";

/// Starts this program afresh, with the same arguments and environment; the
/// fresh one finds `state` by [`left`], told by `variable`. Returns only where
/// that cannot be done: nothing has changed then.
///
/// # Errors
/// Why not.
pub fn start_afresh(variable: &str, state: &[u8]) -> Result<std::convert::Infallible> {
    is_what_runs()?;
    let name = prctl::get_name().unwrap_or_default();
    let mut file = File::from(memfd_create(c"proa", MFdFlags::empty()).context("memfd_create")?);
    file.write_all(name.as_bytes_with_nul()).and_then(|()| file.write_all(state)).context("memfd")?;
    lseek(&file, 0, Whence::SeekSet).context("memfd")?;
    let told = CString::new(format!("{variable}={}:{}", getpid(), file.as_raw_fd()))?;
    bail!("execve: {}", exec(&told))
}

/// Whether starting what the kernel calls our executable would start this
/// very program: not where it is an emulator (which shows our name, but its
/// own file) or a dynamic linker that was given us as an argument.
fn is_what_runs() -> Result<()> {
    let named = readlink(OURSELVES).context("who we are")?;
    let (shown, named) = (stat(OURSELVES)?, stat(named.as_os_str()).context("our executable is gone")?);
    ensure!(
        (shown.st_dev, shown.st_ino) == (named.st_dev, named.st_ino),
        "another executable is in our place"
    );
    let line = fs::read("/proc/self/cmdline")?;
    let given = line.split(|byte| *byte == 0).count() - 1;
    ensure!(given == args::as_given().1, "started by another program's hand");
    Ok(())
}

/// `told` comes first: of two variables of one name that is the one that counts
/// (`getenv(3)`).
#[expect(unsafe_code, reason = "environ and argv are C arrays, handed on as they are")]
fn exec(told: &CString) -> Errno {
    let mut environment = vec![told.as_ptr()];
    // SAFETY: an array of strings that a null pointer ends; nobody changes the
    // environment of this program.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            environment.push(*entry);
            entry = entry.add(1);
        }
    }
    environment.push(std::ptr::null());
    // SAFETY: three NUL-terminated things that outlive the call.
    unsafe { libc::execve(OURSELVES.as_ptr(), args::as_given().0, environment.as_ptr()) };
    Errno::last()
}

/// What [`start_afresh`] has left, told by its variable's value; None where
/// that was not meant for this process.
///
/// # Errors
/// Where it was, and there is nothing.
pub fn left(told: &str) -> Option<Result<Vec<u8>>> {
    let (pid, descriptor) = told.split_once(':')?;
    (pid.parse() == Ok(getpid().as_raw())).then(|| take(descriptor))
}

#[expect(unsafe_code, reason = "a descriptor that comes by its number")]
fn take(descriptor: &str) -> Result<Vec<u8>> {
    let number = RawFd::try_from(descriptor.parse::<u32>()?)?;
    // SAFETY: only asked what it is.
    fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_GET_SEALS).context("no memfd")?;
    // SAFETY: the program that we were has left it open for us alone.
    let mut file = unsafe { File::from_raw_fd(number) };
    let mut state = Vec::new();
    file.read_to_end(&mut state)?;
    let end = state.iter().position(|byte| *byte == 0).context("no name")?;
    let rest = state.split_off(end + 1);
    // The kernel calls a process by what it was started as: `exe`.
    prctl::set_name(&CString::from_vec_with_nul(state)?)?;
    Ok(rest)
}
