//! The tests that drive the real binary, by phase. They need neither root nor
//! a cluster; what a machine forbids is said, and skipped (see
//! [`harness::not_run_here`]).
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop, and a test crate has no outside"
)]

mod afresh;
mod api_connection;
mod api_faults;
mod args;
mod exit_codes;
mod fakes;
mod fixtures;
mod footprint;
mod gate;
mod harness;
mod hostile;
mod identity;
mod known_sidecars;
mod logs;
mod odd_pods;
mod own_faults;
mod probes;
mod quit_file;
mod readme;
mod reaping;
mod run;
mod signals;
mod teardown;
mod terminal;
mod told_again;
