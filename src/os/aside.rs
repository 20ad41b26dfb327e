//! A place of their own for the phases before the command, so that what they
//! dirty is gone while the command runs, which may be days: their stack, and
//! the small chunks that the C library's allocator keeps for a thread
//! (`tcache`, 25 kB by then; only the end of the thread empties it, and each
//! chunk holds a page).

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Barrier;

use nix::libc;

use super::signals::set_mask;

/// Room for the gate; only the pages that it touches count.
const STACK: usize = 2 * 1024 * 1024;
/// Below the stack: nobody's, so that an overflow is a fault and no corruption.
const GUARD: usize = 64 * 1024;
/// Signals 32 and 33, as bits of a mask.
const C_LIBRARY_S: u64 = 0b11 << 31;

/// What the new thread is given: what to run there, and who waits to hear
/// that it blocks all signals.
struct Start<'a> {
    run: &'a mut (dyn FnMut() + Send),
    blocks: &'a Barrier,
}

/// Runs `work` on a thread and a stack that are gone when it returns; on the
/// caller's where the kernel refuses these. None if it panicked.
///
/// Blocks every signal in the caller and for `work`. Must be the first thing
/// that a program does: the C library, while it makes its first thread,
/// listens to 32 and 33, which it keeps for itself.
pub fn aside<F: FnOnce() -> T + Send, T: Send>(work: F) -> Option<T> {
    let (mut todo, mut done) = (Some(work), None);
    let mut run = || {
        if let Some(work) = todo.take() {
            // A panic is logged by its hook.
            done = catch_unwind(AssertUnwindSafe(work)).ok();
        }
    };
    set_mask(!C_LIBRARY_S);
    on_a_thread(&mut run);
    set_mask(u64::MAX);
    // Nothing is left to do unless there was no thread.
    run();
    done
}

extern "C" fn enter(start: *mut c_void) -> *mut c_void {
    set_mask(u64::MAX);
    #[expect(unsafe_code, reason = "the argument of a C thread is untyped")]
    // SAFETY: `on_a_thread` passes its `Start`, and waits for our end.
    let start = unsafe { &mut *start.cast::<Start<'_>>() };
    start.blocks.wait();
    (start.run)();
    null_mut()
}

/// The standard library's threads will not do: the C library keeps their
/// stacks for the next one.
#[expect(unsafe_code, reason = "pthread_create(3) on a mapping of ours")]
fn on_a_thread(run: &mut (dyn FnMut() + Send)) {
    let blocks = Barrier::new(2);
    let mut start = Start { run, blocks: &blocks };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping; no memory of ours is touched.
    let mapping = unsafe { libc::mmap(null_mut(), GUARD + STACK, libc::PROT_NONE, flags, -1, 0) };
    if mapping == libc::MAP_FAILED {
        return;
    }
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the stack is the upper part of our mapping, and is unmapped only
    // after the thread has ended. `start` outlives it too: we wait in here.
    // Each call is given what the one before has filled in.
    unsafe {
        // One heap for both threads: a second one would stay, and cost more than is won.
        #[cfg(target_env = "gnu")]
        libc::mallopt(libc::M_ARENA_MAX, 1);
        let stack = mapping.byte_add(GUARD);
        let writable = libc::mprotect(stack, STACK, libc::PROT_READ | libc::PROT_WRITE) == 0;
        if writable && libc::pthread_attr_init(attributes.as_mut_ptr()) == 0 {
            let (start, thread) = ((&raw mut start).cast(), thread.as_mut_ptr());
            if libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack, STACK) == 0
                && libc::pthread_create(thread, attributes.as_ptr(), enter, start) == 0
            {
                // Not before the new thread blocks 32: pending, it would end us there.
                blocks.wait();
                set_mask(u64::MAX);
                libc::pthread_join(*thread, null_mut());
            }
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        libc::munmap(mapping, GUARD + STACK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_comes_back() {
        let borrowed = String::from("here");
        assert_eq!(aside(|| borrowed.clone() + " and there"), Some("here and there".to_owned()));
    }

    #[test]
    fn a_panic_stays_there() {
        let nothing: Vec<u8> = Vec::new();
        assert_eq!(aside(|| nothing.iter().map(|_| 1).reduce(|a, _| a).unwrap()), None);
    }
}
