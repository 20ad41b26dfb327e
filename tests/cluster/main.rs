//! proa on the real one-node cluster of this folder: `cargo test --test cluster`.
//!
//! The cluster must be up (`tests/cluster/up.sh`); the images with proa in them are made anew
//! first. Each test has a namespace of its own, waits for what the API server says, never for a
//! time, and prints its Pods, logs and events when it fails.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::let_underscore_must_use,
    reason = "a test may stop and talk, and has no child but kubectl"
)]

mod api;
mod chain;
mod examples;
mod exits;
mod gate;
mod identity;
mod known;
mod kube;
mod main_job;
mod manifest;
mod mesh;
mod restarts;
mod story;
mod teardown;
