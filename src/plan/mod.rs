//! Arguments + environment + files -> one checked [`Plan`]. All mistakes in
//! what the user said surface here, before anything is waited for; nothing
//! later reads the command line or the environment.

pub mod duration;
pub mod url;

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::env::{Environment, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, POD_NAME, POD_NAMESPACE};
use crate::os::signals::Signal;
use crate::telemetry::LogFormat;
use url::{Address, HttpUrl};

/// Where the kubelet mounts the service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Everything that a run needs to know. What only matters before the command
/// runs is not carried over to a fresh start (see `kept.rs`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What the user said about who we are.
    #[serde(skip)]
    pub identity: IdentityPlan,
    /// When the command may start.
    #[serde(skip)]
    pub gate: GatePlan,
    /// What runs, and how.
    pub run: RunPlan,
    /// How the sidecars end.
    pub teardown: TeardownPlan,
    /// `--no-api` was not given.
    pub use_api: bool,
    /// `--sidecars auto`: known sidecars are treated as their documentation says.
    pub know_sidecars: bool,
    /// Secrets that known sidecars want in a header: variable and value.
    pub secrets: Vec<(String, String)>,
    /// Containers that neither the gate nor teardown looks at.
    pub ignored: Vec<String>,
    /// `--log-format`.
    pub log_format: LogFormat,
}

/// Sources for names and the API server, in the user's words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdentityPlan {
    /// `--pod`.
    pub pod: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--container`.
    pub container: Option<String>,
    /// `POD_NAME`.
    pub pod_variable: Option<String>,
    /// `POD_NAMESPACE`.
    pub namespace_variable: Option<String>,
    /// Holds `token`, `namespace` and `ca.crt`.
    pub service_account: PathBuf,
    /// The API server's host and port, as the kubelet says them.
    pub server: Option<(String, String)>,
}

/// The gate's part.
#[derive(Clone, Debug, Default)]
pub struct GatePlan {
    /// Probes that the user asked for.
    pub probes: Vec<ReadyProbe>,
    /// `--probe-sidecars auto`.
    pub probe_sidecars: bool,
    /// None waits for ever.
    pub timeout: Option<Duration>,
}

/// A `--ready-*` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyProbe {
    /// Ready when it answers 2xx.
    Http(HttpUrl),
    /// Ready when it accepts a connection.
    Tcp(Address),
    /// Ready when it exists and is not empty.
    File(PathBuf),
}

/// The command's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunPlan {
    /// Command and arguments, byte for byte.
    #[serde(skip)]
    pub argv: Vec<CString>,
    /// `--signal-group`.
    pub signal_group: bool,
    /// `--quit-file`.
    pub quit_file: Option<PathBuf>,
    /// How long the child has after the quit file's SIGTERM.
    pub quit_grace: Duration,
}

/// Teardown's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TeardownPlan {
    /// What the user asked for, in the order of the options.
    pub actions: Vec<Action>,
    /// `--shutdown-timeout`; None: the Pod's grace period.
    pub timeout: Option<Duration>,
    /// One attempt of a stop request.
    pub http_timeout: Duration,
    /// `--stop-sidecars always`.
    pub always: bool,
}

/// One thing to do at teardown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Send a request without a body.
    Http(Method, HttpUrl),
    /// Create this empty file.
    File(PathBuf),
    /// Signal the processes of this executable name.
    Kill(OsString, Signal),
    /// SIGTERM to everybody who is not us, ours or PID 1.
    KillAll,
}

/// The method of a stop request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// GET.
    Get,
    /// POST, with `Content-Length: 0`.
    Post,
}

/// What one invocation of `proa` is for.
#[derive(Clone, Debug)]
pub enum Task {
    /// Gate, run, teardown.
    Wrap(Box<Plan>),
    /// `--install-to PATH`.
    Install(PathBuf),
}

/// A mistake on the command line or in an option's variable: one line that
/// names the option, the value and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

type Checked<T> = Result<T, UsageError>;

fn mistake<T>(option: &str, value: &OsStr, expected: &str) -> Checked<T> {
    // A URL's credentials must not get into a log by way of its error.
    let text = value.to_string_lossy();
    let shown = text.rsplit_once('@').map_or(text.to_string(), |(_, rest)| format!("…@{rest}"));
    Err(UsageError(format!("--{option}: {shown:?} is not valid: expected {expected}")))
}

/// Reads `--log-format`, needed before the rest can be complained about.
///
/// # Errors
/// [`UsageError`] where it is neither `text` nor `json`.
pub fn log_format(args: &Args) -> Checked<LogFormat> {
    #[cfg(feature = "json")]
    let json = LogFormat::Json;
    #[cfg(not(feature = "json"))]
    let json = match args.log_format.as_deref() {
        Some(format) if format == "json" => {
            return mistake("log-format", format, "text: this build lacks the feature `json`");
        }
        _ => LogFormat::Text,
    };
    choice("log-format", args.log_format.as_deref(), [("text", LogFormat::Text), ("json", json)])
}

/// Checks everything that was typed.
///
/// # Errors
/// [`UsageError`] for the first value that makes no sense.
pub fn plan(args: &Args, env: &impl Environment) -> Checked<Task> {
    let actions = actions(args)?;
    let auto_off = [("auto", true), ("off", false)];
    let shutdown_timeout = optional_duration("shutdown-timeout", args.shutdown_timeout.as_deref())?;
    let http_timeout = optional_duration("http-timeout", args.http_timeout.as_deref())?;
    if http_timeout == Some(Duration::ZERO) {
        return mistake("http-timeout", OsStr::new("0"), "more than no time, such as 5s");
    }
    let startup = optional_duration("startup-timeout", args.startup_timeout.as_deref())?;
    let startup = startup.unwrap_or(Duration::from_mins(10));
    let gate = GatePlan {
        probes: ready_probes(args)?,
        probe_sidecars: choice("probe-sidecars", args.probe_sidecars.as_deref(), auto_off)?,
        timeout: (startup > Duration::ZERO).then_some(startup),
    };
    let identity = identity(args, env)?;
    let ignored = args.ignore_container.iter().map(|name| label("ignore-container", name));
    let ignored = ignored.collect::<Checked<_>>()?;
    let know_sidecars = choice("sidecars", args.sidecars.as_deref(), auto_off)?;
    let stop_choices = [("auto", false), ("always", true)];
    let always = choice("stop-sidecars", args.stop_sidecars.as_deref(), stop_choices)?;
    if let Some(path) = &args.install_to {
        return Ok(Task::Install(self::path("install-to", path)?));
    }
    let run = RunPlan {
        argv: argv(&args.command)?,
        signal_group: args.signal_group,
        quit_file: args.quit_file.as_ref().map(|file| path("quit-file", file)).transpose()?,
        quit_grace: shutdown_timeout.unwrap_or(DEFAULT_GRACE),
    };
    Ok(Task::Wrap(Box::new(Plan {
        identity,
        gate,
        run,
        teardown: TeardownPlan {
            actions,
            timeout: shutdown_timeout,
            http_timeout: http_timeout.unwrap_or(Duration::from_secs(5)),
            always,
        },
        use_api: !args.no_api,
        know_sidecars,
        secrets: secrets(env),
        ignored,
        log_format: log_format(args)?,
    })))
}

/// The kubelet's default grace period (`terminationGracePeriodSeconds`).
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

fn secrets(env: &impl Environment) -> Vec<(String, String)> {
    let variables = crate::sidecars::TABLE.iter().filter_map(|row| row.header).map(|(_, variable)| variable);
    variables.filter_map(|variable| Some((variable.to_owned(), env.text(variable)?))).collect()
}

fn actions(args: &Args) -> Checked<Vec<Action>> {
    let mut actions = Vec::new();
    for (option, method, urls) in [
        ("shutdown-http-get", Method::Get, &args.shutdown_http_get),
        ("shutdown-http-post", Method::Post, &args.shutdown_http_post),
    ] {
        for text in urls {
            actions.push(Action::Http(method, http_url(option, text)?));
        }
    }
    for text in &args.shutdown_file {
        actions.push(Action::File(path("shutdown-file", text)?));
    }
    for text in &args.kill {
        actions.push(kill(text)?);
    }
    if args.kill_all {
        needs_kill("kill-all", OsStr::new("true"))?;
        actions.push(Action::KillAll);
    }
    Ok(actions)
}

fn kill(text: &OsStr) -> Checked<Action> {
    needs_kill("kill", text)?;
    let expected = "NAME or NAME:SIGNAL with a signal of `kill -l` or a number from 1 to 64";
    let bytes = text.as_bytes();
    let (name, signal) = match bytes.iter().rposition(|byte| *byte == b':') {
        Some(colon) => {
            let (name, signal) = bytes.split_at(colon);
            let signal = String::from_utf8_lossy(signal.get(1..).unwrap_or_default()).into_owned();
            (name, Signal::parse(&signal))
        }
        None => (bytes, Some(Signal::TERM)),
    };
    match signal {
        Some(signal) if !name.is_empty() && !name.contains(&b'/') => {
            Ok(Action::Kill(OsString::from_vec(name.to_vec()), signal))
        }
        _ => mistake("kill", text, expected),
    }
}

fn needs_kill(option: &str, value: &OsStr) -> Checked<()> {
    if cfg!(feature = "kill") {
        Ok(())
    } else {
        mistake(option, value, "a build with the feature `kill`, which this one lacks")
    }
}

fn ready_probes(args: &Args) -> Checked<Vec<ReadyProbe>> {
    let mut probes = Vec::new();
    for text in &args.ready_http_get {
        probes.push(ReadyProbe::Http(http_url("ready-http-get", text)?));
    }
    for text in &args.ready_tcp {
        let address = text.to_str().and_then(Address::parse);
        let address = address.map_or_else(|| mistake("ready-tcp", text, url::EXPECTED_ADDRESS), Ok)?;
        probes.push(ReadyProbe::Tcp(address));
    }
    for text in &args.ready_file {
        probes.push(ReadyProbe::File(path("ready-file", text)?));
    }
    Ok(probes)
}

fn identity(args: &Args, env: &impl Environment) -> Checked<IdentityPlan> {
    let optional =
        |option, value: &Option<OsString>| value.as_ref().map(|text| label(option, text)).transpose();
    let server = env.text(KUBERNETES_SERVICE_HOST).map(|host| {
        let port = env.text(KUBERNETES_SERVICE_PORT).unwrap_or_else(|| "443".to_owned());
        (host, port)
    });
    let service_account = match &args.service_account_dir {
        Some(folder) => path("service-account-dir", folder)?,
        None => PathBuf::from(SERVICE_ACCOUNT),
    };
    Ok(IdentityPlan {
        pod: optional("pod", &args.pod)?,
        namespace: optional("namespace", &args.namespace)?,
        container: optional("container", &args.container)?,
        pod_variable: env.text(POD_NAME),
        namespace_variable: env.text(POD_NAMESPACE),
        service_account,
        server,
    })
}

fn argv(command: &[OsString]) -> Checked<Vec<CString>> {
    if command.is_empty() {
        return Err(UsageError("no COMMAND: expected proa [OPTIONS] [--] COMMAND [ARG]...".to_owned()));
    }
    // The kernel hands arguments over NUL-terminated; one with a NUL cannot be.
    let strings = command.iter().map(|argument| CString::new(argument.as_bytes()));
    strings.collect::<Result<_, _>>().map_err(|_| UsageError("COMMAND holds a NUL byte".to_owned()))
}

fn http_url(option: &str, text: &OsStr) -> Checked<HttpUrl> {
    text.to_str().and_then(HttpUrl::parse).map_or_else(|| mistake(option, text, url::EXPECTED), Ok)
}

fn optional_duration(option: &str, text: Option<&OsStr>) -> Checked<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    match text.to_str().and_then(duration::parse) {
        Some(duration) => Ok(Some(duration)),
        None => mistake(option, text, duration::EXPECTED),
    }
}

fn path(option: &str, text: &OsStr) -> Checked<PathBuf> {
    if text.is_empty() { mistake(option, text, "a path") } else { Ok(PathBuf::from(text)) }
}

fn label(option: &str, text: &OsStr) -> Checked<String> {
    match text.to_str() {
        Some(name) if is_name(name) => Ok(name.to_owned()),
        _ => mistake(option, text, "a Kubernetes name: lower-case letters, digits, '-' and '.'"),
    }
}

/// A Pod's, namespace's or container's name (RFC 1123, as Kubernetes reads
/// it): it becomes part of an API path, where `..` would lead elsewhere.
pub fn is_name(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let ends =
            part.bytes().next().is_some_and(alphanumeric) && part.bytes().last().is_some_and(alphanumeric);
        ends && part.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// The first choice is the default.
fn choice<T: Copy>(option: &str, text: Option<&OsStr>, choices: [(&str, T); 2]) -> Checked<T> {
    let [first, second] = choices;
    let Some(text) = text else { return Ok(first.1) };
    let found = choices.iter().find(|(name, _)| text == OsStr::new(name));
    found.map_or_else(
        || mistake(option, text, &format!("{} or {}", first.0, second.0)),
        |(_, value)| Ok(*value),
    )
}
