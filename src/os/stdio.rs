//! Standard descriptors: closed ones are held, and writing to stderr never
//! blocks, so that a log reader who went away cannot stop PID 1.

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

/// What a pipe takes in one piece without blocking once `poll(2)` says that
/// it takes anything (`PIPE_BUF`, `pipe(7)`).
const PIECE: usize = 4096;

/// The descriptor numbers 0, 1 and 2, whoever opened them.
#[expect(unsafe_code, reason = "the numbers 0-2 have no owner in Rust")]
fn standard(number: i32) -> BorrowedFd<'static> {
    // SAFETY: `hold_closed` has made sure that 0-2 are open, and nothing here
    // ever closes them.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    standard(0)
}

fn stderr() -> BorrowedFd<'static> {
    standard(2)
}

/// Puts a placeholder where 0, 1 or 2 is closed, so that no socket or file of
/// ours gets that number and is taken for stderr. An `O_PATH` descriptor
/// answers reads and writes with EBADF, as a closed one does, and it is
/// close-on-exec: the child finds the number closed, as we did.
pub fn hold_closed() {
    for number in 0..=2 {
        if fcntl(standard(number), FcntlArg::F_GETFD) == Err(Errno::EBADF)
            && let Ok(placeholder) = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        {
            // The lowest free number was taken, which is this one.
            let _number = placeholder.into_raw_fd();
        }
    }
}

/// Writes what stderr takes at once and drops the rest: a closed, full or
/// unread stderr costs log lines, never time.
pub fn write_stderr(bytes: &[u8]) {
    for piece in bytes.chunks(PIECE) {
        if write_piece(piece).is_err() {
            return;
        }
    }
}

/// `RWF_NOWAIT` is exact (no window in which somebody else fills the pipe),
/// but older kernels and most file systems refuse it; those are asked by
/// `poll(2)` first.
fn write_piece(piece: &[u8]) -> io::Result<()> {
    match write_without_waiting(piece) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {}
        other => return other.map(drop).map_err(io::Error::from),
    }
    let mut ready = [PollFd::new(stderr(), PollFlags::POLLOUT)];
    if poll(&mut ready, PollTimeout::ZERO)? == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    nix::unistd::write(stderr(), piece).map(drop).map_err(io::Error::from)
}

#[expect(unsafe_code, reason = "nix has no pwritev2 with flags")]
fn write_without_waiting(piece: &[u8]) -> Result<usize, Errno> {
    let vector = nix::libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
    // SAFETY: the vector describes `piece`, which outlives the call, and the
    // kernel only reads from it. Offset -1 means the file's own position.
    let written = unsafe { nix::libc::pwritev2(2, &raw const vector, 1, -1, nix::libc::RWF_NOWAIT) };
    Errno::result(written).map(isize::unsigned_abs)
}

/// Writes all of an answer (`--help`) to standard output, as far as it takes it.
pub fn write_stdout(mut bytes: &[u8]) {
    while let Ok(written @ 1..) = nix::unistd::write(standard(1), bytes) {
        bytes = bytes.get(written..).unwrap_or_default();
    }
}
