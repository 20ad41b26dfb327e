//! The argument vector as the kernel handed it over.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// What C's `main` was given.
static GIVEN: AtomicPtr<*const c_char> = AtomicPtr::new(null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Copies `argv` of C's `main` into owned strings; the bytes need not be UTF-8.
///
/// # Safety
/// `argv` must hold `argc` pointers to NUL-terminated strings, as C's `main`
/// receives them, and stay what they are.
#[expect(unsafe_code, reason = "argv is a C array; std fills args_os() only where it runs its own main")]
pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    GIVEN.store(argv.cast_mut(), Ordering::Relaxed);
    let count = usize::try_from(argc).unwrap_or(0);
    COUNT.store(count, Ordering::Relaxed);
    (0..count)
        .map(|index| {
            // SAFETY: the caller promises `argc` valid pointers.
            let pointer = unsafe { *argv.add(index) };
            // SAFETY: the caller promises NUL-terminated strings.
            let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
            OsString::from_vec(bytes.to_vec())
        })
        .collect()
}

/// The vector itself, ended by a null pointer, and how many it holds; null
/// before [`from_main`].
pub fn as_given() -> (*const *const c_char, usize) {
    (GIVEN.load(Ordering::Relaxed), COUNT.load(Ordering::Relaxed))
}
