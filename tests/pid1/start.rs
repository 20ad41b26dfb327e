//! Starting a program in the surroundings that a behaviour asks for.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result, ensure};
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{execve, pipe2, setsid};

use crate::case::{Case, c_string};
use crate::output::Output;
use crate::running::Running;
use crate::sys;

type Step = Box<dyn Fn() -> Result<()>>;

/// A start in preparation.
pub struct Start<'c, 'p> {
    case: &'c Case<'p>,
    words: Vec<CString>,
    environment: Vec<CString>,
    /// Number in the new process, and what it is here; None is closed.
    descriptors: Vec<(RawFd, Option<OwnedFd>)>,
    steps: Vec<Step>,
    /// Whether /proc shows the new namespace.
    has_proc: bool,
}

impl<'c, 'p> Start<'c, 'p> {
    pub fn new(case: &'c Case<'p>, words: &[OsString]) -> Self {
        let environment = vec![c"PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
        let words = words.iter().map(|word| c_string(word)).collect();
        Self { case, words, environment, descriptors: Vec::new(), steps: Vec::new(), has_proc: true }
    }

    pub fn words(&mut self, words: &[OsString]) {
        self.words.extend(words.iter().map(|word| c_string(word)));
    }

    /// Options for the program itself, after those it has.
    pub fn options(&mut self, options: &[&str]) -> &mut Self {
        let at = self.words.iter().position(|word| word.as_bytes() == b"--").unwrap_or(self.words.len());
        self.words.splice(at..at, options.iter().map(|option| c_string(OsStr::new(option))));
        self
    }

    /// The whole environment; PATH alone otherwise.
    pub fn environment(&mut self, variables: &[&OsStr]) -> &mut Self {
        self.environment = variables.iter().map(|variable| c_string(variable)).collect();
        self
    }

    /// What a descriptor of the new process is; None closes it. stdin is
    /// /dev/null, stdout is read, stderr is kept unless they are named here.
    pub fn descriptor(&mut self, number: RawFd, is: Option<OwnedFd>) -> &mut Self {
        self.descriptors.push((number, is));
        self
    }

    /// Something to do in the new process before it becomes the program.
    pub fn step(&mut self, step: impl Fn() -> Result<()> + 'static) -> &mut Self {
        self.steps.push(Box::new(step));
        self
    }

    /// On this terminal, as `docker run -it` does it.
    pub fn terminal(&mut self, slave: &OwnedFd) -> Result<&mut Self> {
        for number in 0..=2 {
            self.descriptor(number, Some(slave.try_clone()?));
        }
        Ok(self.step(sys::take_terminal))
    }

    /// Without a /proc.
    pub fn no_proc(&mut self) -> &mut Self {
        self.has_proc = false;
        self
    }

    /// Starts it, and returns once it has become the program.
    pub fn go(&mut self) -> Result<Running> {
        let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC)?;
        let stderr = memfd_create(c"stderr", MFdFlags::MFD_CLOEXEC)?;
        *self.case.stderr.borrow_mut() = Some(stderr.try_clone()?);
        let defaults = [(0, OwnedFd::from(File::open("/dev/null")?)), (1, write_end), (2, stderr)]
            .map(|(to, is)| (to, Some(is)));
        for (number, is) in defaults {
            if !self.descriptors.iter().any(|(named, _)| *named == number) {
                self.descriptors.push((number, is));
            }
        }
        let (mut report, trouble) = pipe2(OFlag::O_CLOEXEC).map(|(read, write)| (File::from(read), write))?;
        let namespaces = if self.case.is_init() { libc::CLONE_NEWPID | libc::CLONE_NEWNS } else { 0 };
        let Some(pid) = sys::fork_into(namespaces)? else { self.become_it(&trouble) };
        drop(trouble);
        self.descriptors.clear();
        let running = Running::new(pid, Output::new(read_end))?;
        let mut text = String::new();
        report.read_to_string(&mut text)?;
        ensure!(text.is_empty(), "BUG: cannot start: {text}");
        Ok(running)
    }

    /// The new process.
    fn become_it(&self, trouble: &OwnedFd) -> ! {
        let wanted: Vec<_> =
            self.descriptors.iter().filter_map(|(to, is)| Some((*to, is.as_ref()?.as_raw_fd()))).collect();
        let Ok(trouble) = sys::place(&wanted, trouble.as_raw_fd()) else { sys::leave(99) };
        let error = self.prepare_and_exec().unwrap_err();
        drop(write!(File::from(trouble), "{error:#}"));
        sys::leave(99)
    }

    fn prepare_and_exec(&self) -> Result<std::convert::Infallible> {
        setsid()?;
        if self.case.is_init() && self.has_proc {
            sys::mount("proc", "/proc", "proc", 0).context("/proc")?;
        }
        (1..=64).for_each(|signal| sys::dispose(signal, false));
        sys::block(false);
        for step in &self.steps {
            step()?;
        }
        let first = self.words.first().context("no command")?;
        Ok(execve(first, &self.words, &self.environment)?)
    }
}
