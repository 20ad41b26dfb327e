//! The builder of a run of the wrapper: what it is given, and how it is
//! started.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::lines::Lines;
use super::pty::Terminal;
use super::{Api, Done, Running, binaries, pid1};

/// A run of the wrapper under construction.
///
/// ```ignore
/// Proa::new().api(&api).args(["--startup-timeout", "5s"]).child("exit 7").run().assert_code(7);
/// ```
#[derive(Debug)]
pub struct Proa {
    binary: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    command: Vec<OsString>,
    /// What is to be started first, each with the rest as its arguments.
    before: Vec<OsString>,
    pid1: bool,
    stdin: Stdio,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

impl Proa {
    /// A run without options and command, with nothing but `PATH` in its
    /// environment, and every log line that there is.
    pub fn new() -> Self {
        let kept = ["PATH", "LLVM_PROFILE_FILE"].into_iter();
        let env = kept.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        Self {
            binary: binaries::proa(),
            args: Vec::new(),
            env: env.collect(),
            command: Vec::new(),
            before: Vec::new(),
            pid1: false,
            stdin: Stdio::null(),
            stdout: None,
            stderr: None,
        }
        .env("RUST_LOG", "proa=debug")
    }

    /// A run without the API.
    pub fn without_api() -> Self {
        Self::new().args(["--no-api"])
    }

    /// Runs in the Pod of this API server.
    pub fn api(self, api: &Api) -> Self {
        api.environment().into_iter().fold(self, |run, (name, value)| run.env(name, value))
    }

    /// Adds options.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a variable; an earlier one of that name is forgotten.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name.as_ref());
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts another copy of the binary.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = path.into();
        self
    }

    /// Runs this command.
    pub fn command<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.command = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Runs a mode of `tests/children/child.rs`, its arguments separated by
    /// spaces.
    pub fn child(self, mode: &str) -> Self {
        let program = OsString::from(binaries::child());
        self.command([program].into_iter().chain(mode.split(' ').map(OsString::from)))
    }

    /// Runs a shell script.
    pub fn sh(self, script: &str) -> Self {
        self.command(["sh", "-c", script])
    }

    /// Runs as PID 1 of an own namespace (see [`pid1::prefix`], which asks
    /// whether that is possible).
    pub fn pid1(mut self) -> Self {
        self.pid1 = true;
        self
    }

    /// Has the wrapper started by a shell that does this first.
    pub fn after_shell(mut self, script: &str) -> Self {
        self.before.extend(["sh", "-c", &format!("{script}\nexec \"$@\""), "sh"].map(OsString::from));
        self
    }

    /// Has the wrapper started by `child launch` with these options: with
    /// signals ignored or blocked, descriptors closed or opened.
    pub fn after_launch(mut self, options: &str) -> Self {
        self.before.push(binaries::child().into());
        self.before.push("launch".into());
        self.before.extend(options.split(' ').map(OsString::from));
        self.before.push("--".into());
        self
    }

    /// Has the wrapper started by another program, which takes the wrapper's
    /// command line as its last arguments.
    pub fn after<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.before.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Sets standard input, which is `/dev/null` otherwise.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Sets standard output, which is recorded otherwise.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Sets standard error, which is recorded otherwise.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Runs on a new terminal of its own, as with `docker run -it`.
    pub fn on_terminal(self) -> (Self, Terminal) {
        let (terminal, end) = Terminal::open();
        let copy = |end: &OwnedFd| end.try_clone().unwrap();
        let run = self.stdin(copy(&end)).stdout(copy(&end)).stderr(copy(&end));
        (run.after(["setsid", "--ctty"]), terminal)
    }

    /// The whole command line.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if self.pid1 {
            let prefix = pid1::prefix("").expect("ask pid1::prefix first");
            words.extend(prefix.iter().map(OsString::from));
            words.push("--".into());
        }
        words.extend(self.before.iter().cloned());
        words.push(self.binary.clone().into());
        words.extend(self.args.iter().cloned());
        if !self.command.is_empty() {
            words.push("--".into());
            words.extend(self.command.iter().cloned());
        }
        words
    }

    /// Starts it.
    pub fn spawn(self) -> Running {
        let words = self.words();
        let (program, arguments) = words.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.env).stdin(self.stdin);
        command.stdout(self.stdout.unwrap_or_else(Stdio::piped));
        command.stderr(self.stderr.unwrap_or_else(Stdio::piped));
        let started = Instant::now();
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stdout = process.stdout.take().map(Lines::read);
        let stderr = process.stderr.take().map(Lines::read);
        let binary = std::fs::canonicalize(&self.binary).unwrap_or(self.binary);
        Running::new(process, binary, self.pid1, started, [stdout, stderr])
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Done {
        self.spawn().wait()
    }
}
