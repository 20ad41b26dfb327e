//! Waiting for a file to appear: `inotify(7)` on its folder.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A descriptor that becomes readable when something happens in a folder.
#[derive(Debug)]
pub struct FolderWatch(Inotify);

impl FolderWatch {
    /// Watches the folder that holds `file`. None where inotify does not
    /// reach (no such folder yet, no descriptor left, a foreign file system):
    /// the caller polls anyway.
    pub fn around(file: &Path) -> Option<Self> {
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
        let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
        inotify.add_watch(folder, events).ok()?;
        Some(Self(inotify))
    }

    /// Forgets the events so far; the caller looks at the file itself.
    #[inline(never)] // 4 kB of stack that a run without a quit file must not have
    pub fn drain(&self) {
        while self.0.read_events().is_ok_and(|events| !events.is_empty()) {}
    }
}

impl AsFd for FolderWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
