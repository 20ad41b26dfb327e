//! The in-pod binary: a door to [`proa::main`].
//!
//! C's `main` instead of Rust's: the standard library's start-up would put
//! /dev/null on closed standard descriptors, which the child must find
//! closed, and would ignore SIGPIPE.

#![no_main]

use std::ffi::{c_char, c_int};

/// Called by the C library.
///
/// # Safety
/// Only the C library knows `argc` and `argv`.
#[expect(unsafe_code, reason = "the symbol that the C library starts")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: argc and argv are what the C library hands to main.
    let argv = unsafe { proa::os::args::from_main(argc, argv) };
    proa::main(argv).into()
}
