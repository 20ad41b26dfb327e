//! Bugs of our own: a panic in one phase must cost neither the command's exit
//! code nor the sidecars' end.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a phase; None if it panicked, which its hook has logged.
pub fn guarded<T>(phase: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(phase)).ok()
}

/// Panics, once, where `PROA_TEST_PANIC` names this place, so that tests can
/// show what a panic there does. Nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn inject(_place: &str) {}

/// As above.
#[cfg(debug_assertions)]
pub fn inject(place: &str) {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::env::{Environment, ProcessEnvironment, TEST_PANIC};

    static DONE: AtomicBool = AtomicBool::new(false);
    let wanted = ProcessEnvironment.get(TEST_PANIC).is_some_and(|wanted| wanted == *place);
    assert!(!wanted || DONE.swap(true, Ordering::Relaxed), "asked for by {TEST_PANIC}");
}
