//! One cell of the matrix: a program, how it is started, and its runs.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use nix::libc;

use crate::output::{patience, until};
use crate::programs::{Program, Reach};
use crate::start::Start;
use crate::sys;

/// Where everything may be written; only this cell sees it.
pub const SCRATCH: &str = "/mnt";

/// As what the program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As PID 1 of a PID namespace, as in a container.
    Init,
    /// As any process.
    Plain,
}

/// What cannot be shown for this program or on this machine, and why.
#[derive(Debug)]
pub struct NotHere(pub &'static str);

impl std::fmt::Display for NotHere {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for NotHere {}

/// A cell.
pub struct Case<'a> {
    pub program: &'a Program,
    pub place: Place,
    pub child: PathBuf,
    /// Said in the cell instead of `pass`.
    pub note: RefCell<String>,
    /// The last run's stderr.
    pub stderr: RefCell<Option<OwnedFd>>,
    random: Cell<u64>,
}

impl<'a> Case<'a> {
    pub fn new(program: &'a Program, place: Place, child: &Path) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            program,
            place,
            child: child.to_owned(),
            note: RefCell::default(),
            stderr: RefCell::default(),
            random: Cell::new(u64::from(now.subsec_nanos()) | 1),
        }
    }

    pub fn is_init(&self) -> bool {
        self.place == Place::Init
    }

    /// How often something rare is tried: proa must show it, the others only
    /// take part.
    pub fn times(&self, proa: u32, others: u32) -> u32 {
        if self.program.is_proa() { proa } else { others }
    }

    /// A time below `most` (xorshift, Marsaglia 2003).
    pub fn random(&self, most: Duration) -> Duration {
        let mut number = self.random.get();
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        self.random.set(number);
        most.mul_f64(f64::from(u32::try_from(number >> 32).unwrap_or_default()) / f64::from(u32::MAX))
    }

    /// The program around the child in this mode.
    pub fn start(&self, mode: &[&str]) -> Start<'_, 'a> {
        self.start_with(Reach::Default, mode)
    }

    pub fn start_with(&self, reach: Reach, mode: &[&str]) -> Start<'_, 'a> {
        let mut words = vec![self.child.as_os_str().to_owned()];
        words.extend(mode.iter().map(OsString::from));
        self.start_command(reach, &words)
    }

    /// The program around any command.
    pub fn start_command(&self, reach: Reach, command: &[OsString]) -> Start<'_, 'a> {
        let mut start = Start::new(self, &[self.program.path.clone().into_os_string()]);
        start.options(&self.program.options(reach, self.is_init()));
        start.words(&["--".into()]);
        start.words(command);
        start
    }

    /// The command as it would run without the program.
    pub fn start_bare(&self, command: &[OsString]) -> Start<'_, 'a> {
        Start::new(self, command)
    }

    /// The same cell with the program and the child copied to [`SCRATCH`],
    /// where any user reaches them.
    pub fn moved(&self, program: &'a mut Program) -> Result<Self> {
        let bin = Path::new(SCRATCH).join("bin");
        fs::create_dir_all(&bin)?;
        let (wrapper, child) = (bin.join(self.program.name), bin.join("child"));
        fs::copy(&self.program.path, &wrapper)?;
        fs::copy(&self.child, &child)?;
        program.path = wrapper;
        Ok(Case::new(program, self.place, &child))
    }
}

/// Fails unless every process that this cell started is gone.
pub fn nobody_is_left() -> Result<()> {
    let gone = until(|| sys::reap_any().is_none());
    ensure!(gone, "leaves the child behind");
    Ok(())
}

/// Ends all that this cell started. A cell is PID 1 of its own namespace, so
/// nobody else is reached.
pub fn end_all() {
    assert!(nix::unistd::getpid().as_raw() == 1, "a cell has its own PID namespace");
    sys::send(nix::unistd::Pid::from_raw(-1), libc::SIGKILL).ok();
    until(|| sys::reap_any().is_none());
}

/// Bytes as C takes them.
pub fn c_string(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).expect("no NUL in an argument")
}

/// What is said of a program that does not end in time.
pub fn hanging() -> String {
    format!("hangs ({} s)", patience().as_secs())
}
