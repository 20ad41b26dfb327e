//! Giving memory back before the long wait for the child.

use nix::libc;

/// Returns the heap's free pages and the executable's own clean pages (text
/// and constants) to the kernel. What is still needed comes back from the
/// page cache by itself; what the gate and its TLS used does not.
#[expect(unsafe_code, reason = "malloc_trim and dl_iterate_phdr are C interfaces")]
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes an integer; frees only what the allocator owns and nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the callback matches the declared type and keeps no pointer.
    unsafe {
        libc::dl_iterate_phdr(Some(drop_clean_pages), std::ptr::null_mut());
    }
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4096)
}

/// Called for the executable first, then (in a dynamic build) for each
/// library; all of them may go.
#[expect(unsafe_code, reason = "reads the program headers that the loader describes")]
unsafe extern "C" fn drop_clean_pages(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
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
        let page = page_size();
        let (Ok(first), Ok(end)) =
            (usize::try_from(start / page * page), usize::try_from((start + header.p_filesz) / page * page))
        else {
            continue;
        };
        let place = std::ptr::without_provenance_mut::<libc::c_void>(first);
        // SAFETY: MADV_DONTNEED on a private, unwritten file mapping loses
        // nothing: the next access reads the same bytes from the file.
        unsafe { libc::madvise(place, end.saturating_sub(first), libc::MADV_DONTNEED) };
    }
    0
}
