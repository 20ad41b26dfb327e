//! The argument vector as the kernel handed it over.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;

/// Copies `argv` of C's `main` into owned strings; the bytes need not be UTF-8.
///
/// # Safety
/// `argv` must hold `argc` pointers to NUL-terminated strings, as C's `main`
/// receives them.
#[expect(unsafe_code, reason = "argv is a C array; std fills args_os() only where it runs its own main")]
pub unsafe fn from_main(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    (0..usize::try_from(argc).unwrap_or(0))
        .map(|index| {
            // SAFETY: the caller promises `argc` valid pointers.
            let pointer = unsafe { *argv.add(index) };
            // SAFETY: the caller promises NUL-terminated strings.
            let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
            OsString::from_vec(bytes.to_vec())
        })
        .collect()
}
