//! A terminal whose keyboard and screen the test holds.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;

use super::lines::Lines;

/// The test's end of a terminal.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
    /// Everything that was written to the terminal.
    pub screen: Lines,
}

impl Terminal {
    /// A terminal of 24 x 80, and the end of it that a program gets.
    pub fn open() -> (Self, OwnedFd) {
        // openpty(3) leaves both ends open in whatever is started meanwhile.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = open(ptsname_r(&master).unwrap().as_str(), flags, Mode::empty()).unwrap();
        let keyboard = File::from(OwnedFd::from(master));
        let screen = Lines::read(keyboard.try_clone().unwrap());
        let terminal = Self { keyboard, screen };
        terminal.resize(24, 80);
        (terminal, slave)
    }

    /// Types these bytes; `\x03` is Ctrl-C, `\x1a` is Ctrl-Z.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes the size, which the kernel tells the foreground group.
    #[expect(unsafe_code, reason = "ioctl_tty(2) has no safe form")]
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCSWINSZ reads one winsize, which `size` is.
        let done = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(done, 0);
    }
}
