//! Modes that have to do with signals. They are read with `sigwait`, not by
//! handlers, so each one that the kernel delivers is seen.

use std::io::Write;
use std::process::{Command, exit};

use nix::libc;
use nix::sys::signal::Signal;

/// Blocks every signal that can be blocked. The kernel's call, because the C
/// library's hides 32 and 33 (`signal(7)`).
#[expect(unsafe_code, reason = "real-time signals are beyond the safe calls")]
pub fn block_all() {
    let all = u64::MAX;
    // SAFETY: the kernel reads 8 bytes of `all`; there is no old set to write.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, 0_usize, 8_usize) };
}

/// The next signal and how it was sent; waits for it.
#[expect(unsafe_code, reason = "real-time signals are beyond the safe calls")]
fn next() -> i32 {
    let all = u64::MAX;
    loop {
        // SAFETY: the kernel reads 8 bytes of `all`; information and timeout are null.
        let number =
            unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const all, 0_usize, 0_usize, 8_usize) };
        if number > 0 {
            return i32::try_from(number).unwrap();
        }
    }
}

/// Sets a disposition to ignore; SIGKILL and SIGSTOP refuse.
#[expect(unsafe_code, reason = "signal(2) has no safe form")]
pub fn set_ignored(number: i32) {
    // SAFETY: SIG_IGN is a valid disposition, and no handler is involved.
    unsafe { libc::signal(number, libc::SIG_IGN) };
}

/// Sends a signal to itself, by number.
#[expect(unsafe_code, reason = "kill(2) by number has no safe form")]
pub fn kill_own(number: i32) {
    // SAFETY: two integers; no memory is touched.
    unsafe { libc::kill(libc::getpid(), number) };
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

/// Waits with every disposition as it was given.
pub fn wait() {
    say("ready");
    sleep_for_ever();
}

/// Sleeps until a signal ends the process.
pub fn sleep_for_ever() -> ! {
    loop {
        nix::unistd::pause();
    }
}

/// Ignores these signals, and waits.
pub fn ignore(numbers: &[&str]) {
    for number in numbers {
        set_ignored(number.parse().unwrap());
    }
    wait();
}

/// Waits for this signal and exits with this code; others are swallowed.
pub fn exit_on(number: i32, code: i32) {
    block_all();
    say("ready");
    while next() != number {}
    exit(code);
}

/// Prints each signal's number as it comes; SIGTERM is the last.
pub fn tell() {
    // A test that fails leaves nobody behind.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    block_all();
    say("ready");
    loop {
        let number = next();
        say(&format!("got {number};"));
        if number == libc::SIGTERM {
            exit(0);
        }
    }
}

/// Counts signals, and prints the counts at SIGTERM.
pub fn count() {
    block_all();
    say("ready");
    let mut counts = [0_u32; 65];
    loop {
        let number = next();
        counts[usize::try_from(number).unwrap()] += 1;
        if number == libc::SIGTERM {
            let seen = (0..).zip(counts).filter(|(_, count)| *count > 0);
            seen.for_each(|(number, count)| say(&format!("{number}: {count}")));
            exit(0);
        }
    }
}

/// Starts itself in another mode below, and waits, deaf to SIGUSR1 and
/// SIGTERM, until that has ended.
pub fn with_grandchild(mode: &[&str]) {
    // Before the other one says ready. It inherits this, but what is blocked
    // is kept for sigwait even where it is ignored.
    set_ignored(libc::SIGUSR1);
    set_ignored(libc::SIGTERM);
    let own = std::env::current_exe().unwrap();
    let mut below = Command::new(own).args(mode).spawn().unwrap();
    let status = below.wait().unwrap();
    exit(status.code().unwrap_or(98));
}
