//! The programs that are measured, and how each is started.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::sethostname;

use crate::harness::{Api, TempDir};

/// One contestant.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: &'static str,
    path: PathBuf,
    /// Options before the command.
    options: &'static [&'static str],
    /// Waits for the Pod's sidecars by the API.
    pub gates: bool,
}

/// Everything that is here. `PROA_PEER` is the binary of `cargo install proa
/// --version 0.1.3 --locked`, `PROA_PEER_TUNED` one with our profile and
/// `+crt-static`; the rest are Debian's packages.
pub fn all() -> Vec<Program> {
    let own = crate::harness::binaries::proa();
    let named = |variable, otherwise| {
        PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| OsString::from(otherwise)))
    };
    let old = |name, path| Program { name, path, options: &["--"], gates: true };
    let on_path = |name: &'static str, options| {
        let path = PathBuf::from(name);
        Program { name, path, options, gates: false }
    };
    let programs = [
        Program::own("proa", own),
        old("proa 0.1.3", named("PROA_PEER", "target/peers/bin/proa")),
        old("proa 0.1.3, tuned", named("PROA_PEER_TUNED", "target/peers-tuned/bin/proa")),
        on_path("tini", &["-s", "--"]),
        on_path("tini-static", &["-s", "--"]),
        on_path("dumb-init", &[]),
        on_path("catatonit", &["--"]),
    ];
    let is_here = |program: &Program| {
        let mut trial = Command::new(&program.path);
        trial.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        let here = trial.status().is_ok();
        if !here {
            eprintln!("not here, left out: {} ({})", program.name, program.path.display());
        }
        here
    };
    programs.into_iter().filter(is_here).collect()
}

impl Program {
    /// This program, however it was built.
    pub fn own(name: &'static str, path: PathBuf) -> Self {
        Self { name, path, options: &["--"], gates: true }
    }

    /// Whether it is 0.1.3, which does nothing without an API.
    pub fn is_old(&self) -> bool {
        self.name.starts_with("proa 0.1.3")
    }

    /// The size of its file.
    pub fn bytes(&self) -> u64 {
        let found = Command::new("sh").args(["-c", "command -v \"$0\""]).arg(&self.path).output();
        let path = String::from_utf8(found.map(|found| found.stdout).unwrap_or_default()).unwrap_or_default();
        std::fs::metadata(path.trim()).map(|file| file.len()).unwrap_or_default()
    }

    /// Around `command`, without the API as far as the program can.
    pub fn alone(&self, command: &[&str]) -> Command {
        let mut run = Command::new(&self.path);
        if self.gates && !self.is_old() {
            run.arg("--no-api");
        }
        run.args(self.options).args(command).env("RUST_LOG", "off").stdin(Stdio::null());
        run.stdout(Stdio::piped()).stderr(Stdio::null());
        run
    }

    /// Around `command` in the Pod of `api`, reached at `port`, with a stop
    /// request to `url` at teardown.
    pub fn in_pod(&self, api: &Api, port: u16, home: &TempDir, url: &str, command: &[&str]) -> Command {
        let mut run = Command::new(&self.path);
        // 0.1.3 knows its Pod by the host name, and the API by a kubeconfig.
        on_host(&mut run, "job-7x2kq");
        run.arg(format!("--shutdown-http-post={url}")).args(self.options).args(command);
        run.envs(api.environment()).env("KUBERNETES_SERVICE_PORT", port.to_string()).env("RUST_LOG", "off");
        let account = api.account().display();
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: {account}/ca.crt}}}}]\n\
             users: [{{name: u, user: {{tokenFile: {account}/token}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u, namespace: work}}}}]\n"
        );
        home.write("kubeconfig", &config);
        run.env("KUBECONFIG", home.path().join("kubeconfig"));
        run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        run
    }
}

/// Has `run` see this host name, by two system calls before it starts, so that
/// no helper's time is measured with it.
#[expect(unsafe_code, reason = "what happens between fork and exec is the caller's to answer for")]
fn on_host(run: &mut Command, name: &'static str) {
    let rename = move || {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        Ok(sethostname(name)?)
    };
    // SAFETY: nothing but two system calls; nothing is allocated.
    unsafe { run.pre_exec(rename) };
}
