//! What is kept while the command runs, which may be days: `proa` starts
//! itself afresh with that alone, and so drops whatever the phases before
//! have dirtied (see [`crate::os::afresh`]).

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::env::{Environment, LEFT};
use crate::os::afresh;

/// Starts `proa` afresh with `known`, which [`left`] gives back there. Returns
/// where that cannot be had: everything goes on with the memory that it has.
#[inline(never)] // its frame must not stay
pub fn start_afresh<Owned: DeserializeOwned>(known: &impl Serialize) {
    let Err(error) = packed::<Owned>(known).and_then(|state| afresh::start_afresh(LEFT, &state));
    debug!("not started afresh: {error:#}");
}

/// What an earlier start has left for this one; None where this is the first.
///
/// # Errors
/// Where something was left and cannot be read: the command must not be
/// started a second time.
#[inline(never)] // its frame must not stay while the command runs
pub fn left<Owned: DeserializeOwned>(env: &impl Environment) -> Option<Result<Owned>> {
    let state = afresh::left(&env.text(LEFT)?)?;
    Some(state.and_then(|state| unpacked(&state)))
}

fn packed<Owned: DeserializeOwned>(known: &impl Serialize) -> Result<Vec<u8>> {
    // A path that is no UTF-8 has no place in JSON.
    let state = serde_json::to_vec(known).context("cannot be written down")?;
    // The fresh start has no other source: what it could not read is not left.
    unpacked::<Owned>(&state).map(|_| state)
}

fn unpacked<Owned: DeserializeOwned>(state: &[u8]) -> Result<Owned> {
    serde_json::from_slice(state).context("cannot be read again")
}
