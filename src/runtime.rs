//! A phase's own short-lived runtime: nothing of it is left when the phase
//! has ended.

use std::future::Future;
use std::io;

/// Runs `phase` on the calling thread and drops all that it started.
///
/// # Errors
/// Where the kernel refuses the runtime's descriptors.
pub fn block_on<T>(phase: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let end = runtime.block_on(phase);
    // Waits for nobody: a name look-up that hangs must not keep the phase.
    runtime.shutdown_background();
    Ok(end)
}
