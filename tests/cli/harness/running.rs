//! A run of the wrapper that has been started, and one that has ended.

use std::cell::OnceCell;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus};
use std::time::{Duration, Instant};

use super::lines::Lines;
use super::{DEADLINE, eventually, pid1, process};

/// A wrapper that runs. It is killed when the test lets go of it.
#[derive(Debug)]
pub struct Running {
    process: Child,
    binary: PathBuf,
    pid1: bool,
    pid: OnceCell<u32>,
    started: Instant,
    /// What it and its child print.
    pub stdout: Lines,
    /// What it logs, and its child complains.
    pub stderr: Lines,
}

/// How a run has ended.
#[derive(Debug)]
pub struct Done {
    /// As `wait(2)` says it.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// When each of its lines came.
    pub stdout_times: Vec<Instant>,
    /// All of standard error.
    pub stderr: String,
    /// When each of its lines came.
    pub stderr_times: Vec<Instant>,
    /// How long it took.
    pub elapsed: Duration,
    /// When it ended.
    pub at: Instant,
}

impl Running {
    pub fn new(
        process: Child,
        binary: PathBuf,
        pid1: bool,
        started: Instant,
        [stdout, stderr]: [Option<Lines>; 2],
    ) -> Self {
        let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
        Self { process, binary, pid1, pid: OnceCell::new(), started, stdout, stderr }
    }

    /// The wrapper's PID, as seen from here.
    pub fn pid(&self) -> u32 {
        let started = self.process.id();
        *self.pid.get_or_init(|| if self.pid1 { pid1::wrapper_of(started, &self.binary) } else { started })
    }

    /// The PID of the command, as seen from here, once it runs.
    pub fn child(&self) -> u32 {
        let wrapper = self.pid();
        eventually("a child of the wrapper", || {
            let (pid, _) = *process::children(wrapper).iter().find(|(_, state)| *state != 'Z')?;
            let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            (exe != self.binary).then_some(pid)
        })
    }

    /// The writing end of its standard input, which was `Stdio::piped`.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.process.stdin.take().unwrap()
    }

    /// Sends a signal to the wrapper itself.
    pub fn signal(&self, number: i32) {
        assert!(process::kill(self.pid(), number), "the wrapper is gone:\n{}", self.stderr.text());
    }

    /// Waits until the wrapper reads its signals: from then on, a signal finds
    /// it awake even as PID 1.
    pub fn wait_until_deaf_to_nothing(&self) {
        let pid = self.pid();
        eventually("a wrapper that looks after its signals", || {
            let term = 1 << (nix::libc::SIGTERM - 1);
            let heard = process::signal_set(pid, "SigBlk") | process::signal_set(pid, "SigCgt");
            (heard & term != 0).then_some(())
        });
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and for the end of its streams.
    pub fn wait(mut self) -> Done {
        let waiting = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            let text = if waiting.elapsed() < DEADLINE { None } else { Some(self.stderr.text()) };
            assert!(text.is_none(), "it runs on after {DEADLINE:?}:\n{}", text.unwrap_or_default());
            std::thread::sleep(Duration::from_millis(1));
        };
        let at = Instant::now();
        self.stdout.settle();
        self.stderr.settle();
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        let (stdout_times, stderr_times) = (self.stdout.times(), self.stderr.times());
        Done { status, stdout, stdout_times, stderr, stderr_times, elapsed: at - self.started, at }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }
}

impl Done {
    /// The exit code; None where it died of a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Demands this exit code.
    #[track_caller]
    pub fn assert_code(self, code: i32) -> Self {
        let signal = self.status.signal();
        assert_eq!(
            self.code(),
            Some(code),
            "signal: {signal:?}, stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Demands each of these parts in standard error.
    #[track_caller]
    pub fn assert_stderr<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in:\n{}", self.stderr);
        }
        self
    }

    /// Demands an end within these bounds.
    #[track_caller]
    pub fn assert_took(self, bounds: std::ops::Range<Duration>) -> Self {
        assert!(bounds.contains(&self.elapsed), "took {:?}, not {bounds:?}:\n{}", self.elapsed, self.stderr);
        self
    }
}
