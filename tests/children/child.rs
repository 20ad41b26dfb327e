//! Small bad children, each a mode of this one program: it ignores SIGTERM,
//! leaves orphans, tells what it was started with, and so on.
//!
//! A mode says `ready` on standard output when it is what its name promises,
//! so that a test never has to guess how long that takes.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::exit,
    clippy::indexing_slicing,
    reason = "a test's child may stop, and has no outside"
)]
// Rust's own main would open closed descriptors and ignore SIGPIPE first, and
// so hide what the wrapper has handed down.
#![no_main]

mod describe;
mod launch;
mod orphans;
mod signals;

use std::process::exit;

use nix::libc;
use nix::sys::signal::{Signal, raise};

/// The C library's entry.
#[expect(unsafe_code, reason = "the one name that the C library calls")]
// SAFETY: no other function of this program has this name.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exit", code] => exit(code.parse().unwrap()),
        ["die", number] => die(number.parse().unwrap()),
        ["wait"] => signals::wait(),
        ["ignore", numbers @ ..] => signals::ignore(numbers),
        ["on", number, "exit", code] => signals::exit_on(number.parse().unwrap(), code.parse().unwrap()),
        ["tell-signals"] => signals::tell(),
        ["count-signals"] => signals::count(),
        ["grandchild", rest @ ..] => signals::with_grandchild(rest),
        ["describe", ..] => describe::print(),
        ["orphans", count] => orphans::leave(count.parse().unwrap(), true),
        ["orphans-then-wait", count] => orphans::leave(count.parse().unwrap(), false),
        ["orphans-that-end-with-it", count, code] => {
            orphans::leave_ending(count.parse().unwrap(), code.parse().unwrap());
        }
        ["stray"] => orphans::leave_stray(),
        ["launch", rest @ ..] => launch::launch(rest),
        _ => {
            println!("no such mode: {words:?}");
            exit(99);
        }
    }
    0
}

/// Dies of this signal, without a core file.
fn die(number: i32) {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0).unwrap();
    match Signal::try_from(number) {
        Ok(signal) => raise(signal).unwrap(),
        Err(_) => signals::kill_own(number),
    }
    exit(libc::EXIT_FAILURE);
}
