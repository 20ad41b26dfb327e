//! A place of their own for the phases before the command, so that what they
//! dirty is gone while the command runs, which may be days: their stack, and
//! the small chunks that the C library's allocator keeps for a thread
//! (`tcache`, 25 kB by then; only the end of the thread empties it, and each
//! chunk holds a page).

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use nix::libc;

/// Room for the gate; only the pages that it touches count.
const STACK: usize = 2 * 1024 * 1024;
/// Below the stack: nobody's, so that an overflow is a fault and no corruption.
const GUARD: usize = 64 * 1024;

struct Work<F, T> {
    todo: Option<F>,
    done: Option<T>,
}

impl<F: FnOnce() -> T, T> Work<F, T> {
    /// A panic is logged by its hook; here it only leaves nothing done.
    fn run(&mut self) {
        if let Some(todo) = self.todo.take() {
            self.done = catch_unwind(AssertUnwindSafe(todo)).ok();
        }
    }
}

/// Runs `work` on a thread and a stack that are gone when it returns; on the
/// caller's where the kernel refuses these. None if it panicked.
pub fn aside<F: FnOnce() -> T + Send, T: Send>(work: F) -> Option<T> {
    let mut work = Work { todo: Some(work), done: None };
    on_a_thread(enter::<F, T>, (&raw mut work).cast());
    // Nothing is left to do unless there was no thread.
    work.run();
    work.done
}

extern "C" fn enter<F: FnOnce() -> T, T>(work: *mut c_void) -> *mut c_void {
    // The C library lets a new thread hear its own signal 32.
    super::signals::set_mask(u64::MAX);
    #[expect(unsafe_code, reason = "the argument of a C thread is untyped")]
    // SAFETY: `aside` passes its `Work` of these types, and waits for us.
    let work = unsafe { &mut *work.cast::<Work<F, T>>() };
    work.run();
    null_mut()
}

/// The standard library's threads will not do: the C library keeps their
/// stacks for the next one.
#[expect(unsafe_code, reason = "pthread_create(3) on a mapping of ours")]
fn on_a_thread(enter: extern "C" fn(*mut c_void) -> *mut c_void, argument: *mut c_void) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping; no memory of ours is touched.
    let mapping = unsafe { libc::mmap(null_mut(), GUARD + STACK, libc::PROT_NONE, flags, -1, 0) };
    if mapping == libc::MAP_FAILED {
        return;
    }
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the stack is the upper part of our mapping, and is unmapped only
    // after the thread has ended. `argument` outlives it too: the caller waits
    // in here. Each call is given what the one before has filled in.
    unsafe {
        // One heap for both threads: a second one would stay, and cost more than is won.
        #[cfg(target_env = "gnu")]
        libc::mallopt(libc::M_ARENA_MAX, 1);
        let stack = mapping.byte_add(GUARD);
        let ready = libc::mprotect(stack, STACK, libc::PROT_READ | libc::PROT_WRITE) == 0
            && libc::pthread_attr_init(attributes.as_mut_ptr()) == 0;
        if ready {
            if libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack, STACK) == 0
                && libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), enter, argument) == 0
            {
                libc::pthread_join(thread.assume_init(), null_mut());
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
