//! Giving memory back for the long wait for the child: the heap's free pages,
//! the stack that was needed before, and the executable's own clean pages,
//! which come back from the page cache when they are needed.

use std::os::fd::RawFd;

use nix::libc;

/// Address and length of a mapping.
type Range = (usize, usize);

/// Segments of an executable that are looked at; ours has two that count.
const MOST: usize = 8;

/// Deeper than any phase needs. The kernel puts nothing so close below a stack
/// (`mmap_base`: 128 MiB at least).
const STACK: usize = 1024 * 1024;

/// More than our own frame and those of the calls from it need below the
/// variable that they are measured from.
const FRAME: usize = 1024;

/// Gives back what can be spared, then sleeps until `descriptor` is readable.
///
/// One function does both, by one C function, so that nothing but their two
/// pages (with the kernel's fault-around: 64 kB each) comes back to sleep.
#[expect(unsafe_code, reason = "madvise on our own image; nothing safe does that")]
#[inline(never)]
pub fn sleep_small(descriptor: RawFd) {
    let mut polled = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    #[cfg(target_env = "gnu")]
    // SAFETY: takes an integer; frees only what the allocator owns and nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
    let page = page_size();
    for (address, length) in clean_segments().into_iter().filter(|(_, length)| *length > 0) {
        // SAFETY: MADV_DONTNEED on a private, unwritten file mapping loses
        // nothing: the next access reads the same bytes from the file.
        unsafe { libc::syscall(libc::SYS_madvise, address, length, libc::MADV_DONTNEED) };
    }
    let unused = ((&raw const polled).addr() - FRAME) / page * page;
    // SAFETY: nothing lives in the stack below the innermost frame.
    unsafe { libc::syscall(libc::SYS_madvise, unused - STACK, STACK, libc::MADV_DONTNEED) };
    // SAFETY: `polled` is one record; null is no timeout and no mask.
    unsafe { libc::syscall(libc::SYS_ppoll, &raw mut polled, 1_usize, 0_usize, 0_usize, 0_usize) };
}

/// The read-only parts of the executable (and, in a dynamic build, of each
/// library).
#[expect(unsafe_code, reason = "dl_iterate_phdr is a C interface")]
fn clean_segments() -> [Range; MOST] {
    let mut found = [(0, 0); MOST];
    // SAFETY: the callback matches the declared type and keeps no pointer;
    // `found` outlives the call.
    unsafe {
        libc::dl_iterate_phdr(Some(note_clean), (&raw mut found).cast());
    }
    found
}

fn page_size() -> usize {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(4096)
}

#[expect(unsafe_code, reason = "reads the program headers that the loader describes")]
unsafe extern "C" fn note_clean(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    found: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `clean_segments` passes its array.
    let found = unsafe { &mut *found.cast::<[Range; MOST]>() };
    // SAFETY: the loader passes a valid description for the time of the call.
    let object = unsafe { &*object };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: dlpi_phdr points to dlpi_phnum program headers.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    for header in headers {
        // Writable segments hold relocated data that no file could bring back.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = object.dlpi_addr.wrapping_add(header.p_vaddr);
        let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(header.p_filesz)) else {
            continue;
        };
        let first = start / page_size() * page_size();
        if let Some(free) = found.iter_mut().find(|(_, length)| *length == 0) {
            *free = (first, (start + length - first) / page_size() * page_size());
        }
    }
    0
}
