//! What the tests are made of: one builder that starts the real binary
//! ([`Proa`]), a fake kube-apiserver over TLS ([`Api`]), Pod documents
//! ([`pods`]), fake sidecars ([`Sidecar`]), a terminal ([`pty`]), and what
//! `/proc` says about a process ([`process`]).
//!
//! Nothing here sleeps for a fixed time: each wait is for an event, and has
//! the same generous [`DEADLINE`].

pub mod apiserver;
pub mod binaries;
pub mod clock;
pub mod http;
pub mod lines;
pub mod pid1;
pub mod pods;
pub mod proa;
pub mod process;
pub mod pty;
pub mod running;
pub mod sidecar;
pub mod temp;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use apiserver::{Api, Fault, Verb};
pub use pods::{Container, Pod};
pub use proa::Proa;
pub use running::{Done, Running};
pub use sidecar::{Answer, Sidecar};
pub use temp::TempDir;

/// No wait of a test is longer; the machine may be busy with something else.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// Asks `condition` again and again until it says something.
///
/// For what cannot be waited for: `/proc`, files, another process's state.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets time pass in which something must not happen: there is no event to
/// wait for then.
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}

/// Says that a test cannot be run on this machine. With `PROA_TEST_ALL=1`
/// (as in CI) that is a failure: there everything must run.
pub fn not_run_here(test: &str, reason: &str) {
    use std::io::Write;

    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    assert!(
        std::env::var_os("PROA_TEST_ALL").is_none_or(|value| value != "1"),
        "{test} must run here, but {reason}"
    );
    if SAID.lock().unwrap().insert(test.to_owned()) {
        // Not println, which the test runner swallows.
        drop(writeln!(std::io::stderr(), "NOT RUN HERE: {test}: {reason}"));
    }
}
