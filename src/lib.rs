//! `proa`: the entrypoint of the main container of a Pod that must end.
//!
//! ```text
//!  Args ──plan──▶ Plan ──┬─ gate ─────▶ GateEnd    Open | Interrupted | Deleted | Failed(why)
//!  env ───┘              ├─ run ──────▶ RunReport  Exited(code) | Signaled(signal), or SpawnError
//!  files ─┘              └─ teardown ─▶ what was asked and who has ended; never an error
//!                                │
//!                          exit::Exit ──▶ 0..=255
//!  signals: one stream, opened before everything else, lent to each phase in turn
//! ```
//!
//! Decisions are pure functions (`gate::verdict`, `teardown::decide`,
//! `teardown::retry`, `teardown::waiting`, `pod::restart`, …); thin shells
//! around them fetch and act. Only `flow` knows all phases, only `os` holds
//! `unsafe`.

mod args;
mod env;
mod exit;
mod fault;
mod flow;
mod gate;
#[expect(missing_docs, reason = "outside it is for the tests alone")]
mod http;
mod install;
#[doc(hidden)]
pub mod internals;
mod kept;
pub mod os;
mod plan;
#[expect(missing_docs, reason = "outside it is for the tests alone")]
mod pod;
mod run;
mod runtime;
mod sidecars;
mod teardown;
mod telemetry;

pub use flow::main;

/// What `--version` says: the version, and the commit where it is known.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("BUILT_FROM"));
/// How requests name their sender.
const USER_AGENT: &str = concat!("proa/", env!("CARGO_PKG_VERSION"));
