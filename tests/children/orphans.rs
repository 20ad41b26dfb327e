//! Modes that leave processes behind.

use std::process::exit;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

/// Leaves so many orphans, each of which ends at once, then ends or waits.
#[expect(unsafe_code, reason = "fork(2)")]
pub fn leave(count: u32, then_end: bool) {
    for _ in 0..count {
        // SAFETY: this program has one thread, and both sides only fork and exit.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => drop(waitpid(child, None)),
            ForkResult::Child => {
                // SAFETY: as above. The middle one goes, so the lower one is an orphan.
                let below = unsafe { fork() };
                exit(i32::from(below.is_err()));
            }
        }
    }
    println!("ready");
    if !then_end {
        super::signals::sleep_for_ever();
    }
}

/// Leaves one process that ignores SIGTERM and runs on; prints its PID.
#[expect(unsafe_code, reason = "fork(2)")]
pub fn leave_stray() {
    // SAFETY: one thread; the new process sets a disposition and sleeps.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => println!("stray {child}"),
        ForkResult::Child => {
            super::signals::set_ignored(nix::libc::SIGTERM);
            super::signals::sleep_for_ever();
        }
    }
}

/// Leaves so many orphans that end in the same moment as this process, which
/// exits with this code.
#[expect(unsafe_code, reason = "fork(2)")]
pub fn leave_ending(count: u32, code: i32) {
    let (below, own) = std::io::pipe().unwrap();
    for _ in 0..count {
        // SAFETY: as above; the lower one waits for the pipe's last writer to go.
        if let ForkResult::Child = unsafe { fork() }.unwrap() {
            // SAFETY: as above.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                drop(own);
                std::io::copy(&mut { below }, &mut std::io::sink()).unwrap();
            }
            exit(0);
        }
    }
    drop(own);
    exit(code);
}
