//! Readers of foreign text under generated input, and under the corpus that
//! the fuzzers of `fuzz` start from and add to.
//!
//! The seed is fixed, so that a change is judged by its own faults; more of it:
//! `PROPTEST_RNG_SEED=7 PROPTEST_CASES=20000 cargo test --test properties`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test may stop and read the environment"
)]

mod checks;
mod command_line;
mod corpus;
mod foreign;
mod pod;

use proptest::test_runner::{Config, RngSeed};

/// `cases` of them, or as many as `PROPTEST_CASES` says.
fn config(cases: u32) -> Config {
    let given = Config::default();
    let asked = |name: &str| std::env::var_os(name).is_some();
    Config {
        cases: if asked("PROPTEST_CASES") { given.cases } else { cases },
        rng_seed: if asked("PROPTEST_RNG_SEED") { given.rng_seed } else { RngSeed::Fixed(1) },
        // What was found belongs into the corpus, for the fuzzers too.
        failure_persistence: None,
        ..given
    }
}
