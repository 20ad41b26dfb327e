//! Probes run from here: those of `--ready-*`, and the sidecars' own.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use hyper::Method;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::pace::pace;
use super::verdict::Outcome;
use crate::http::{self, Ask, Sender};
use crate::plan::ReadyProbe;
use crate::plan::url::{Address, HttpUrl};
use crate::pod::probe::{ProbeKind, ProbeSpec};
use crate::pod::{Container, PodView, Readiness, State};
use crate::sidecars;

/// One attempt is cut after this.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Something that can be asked again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    Http { url: HttpUrl, headers: Vec<(String, String)>, verify_tls: bool, redirect_passes: bool },
    Tcp(Address),
    File(std::path::PathBuf),
}

impl Question {
    /// What a `--ready-*` option asks.
    pub fn of_option(probe: &ReadyProbe) -> Self {
        match probe {
            ReadyProbe::Http(url) => {
                Self::Http { url: url.clone(), headers: Vec::new(), verify_tls: true, redirect_passes: false }
            }
            ReadyProbe::Tcp(address) => Self::Tcp(address.clone()),
            ReadyProbe::File(path) => Self::File(path.clone()),
        }
    }

    /// What the kubelet would ask for this probe, at this address.
    fn of_probe(spec: &ProbeSpec, address: Address) -> Self {
        match &spec.kind {
            ProbeKind::Tcp => Self::Tcp(address),
            ProbeKind::Http { https, target, headers } => Self::Http {
                url: HttpUrl { https: *https, address, target: target.clone(), credentials: None },
                headers: headers.clone(),
                verify_tls: false,
                redirect_passes: true,
            },
        }
    }

    /// Asks once.
    async fn ask(&self, sender: &mut Sender) -> Result<(), String> {
        match self {
            Self::Http { url, headers, redirect_passes, .. } => {
                let ask = Ask { method: Method::GET, url, headers };
                let last = if *redirect_passes { 399 } else { 299 };
                match sender.send(&ask, ATTEMPT).await {
                    Ok(status) if (200..=last).contains(&status) => Ok(()),
                    Ok(status) => Err(format!("answered {status}")),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Tcp(address) => {
                http::connect_once(address, ATTEMPT).await.map_err(|error| error.to_string())
            }
            Self::File(path) => file_is_there(path),
        }
    }

    /// In a few words: `GET http://localhost:1/r`.
    pub fn describe(&self) -> String {
        match self {
            Self::Http { url, .. } => format!("GET {url}"),
            Self::Tcp(address) => format!("TCP connection to {address}"),
            Self::File(path) => format!("file {}", path.display()),
        }
    }
}

fn file_is_there(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 || !file.is_file() => Ok(()),
        Ok(_) => Err("is empty".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a probe task tells the gate.
#[derive(Debug)]
pub enum Finding {
    /// The `--ready-*` option of this index.
    Option { index: usize, failure: Option<String> },
    /// A sidecar's own probe.
    Sidecar { name: String, outcome: Outcome },
}

/// Asks until it has passed `successes` times in a row; a failure is told
/// when it is another one than before.
async fn until_passed(question: Question, successes: u32, tell: impl Fn(bool, Option<String>) -> bool) {
    let start = Instant::now();
    let (mut in_a_row, mut attempt, mut last) = (0, 0, None);
    let mut sender = Sender::of_probe(matches!(question, Question::Http { verify_tls: true, .. }));
    loop {
        match question.ask(&mut sender).await {
            Ok(()) => {
                in_a_row += 1;
                if in_a_row >= successes {
                    tell(true, None);
                    return;
                }
            }
            Err(failure) => {
                in_a_row = 0;
                let failure = Some(failure);
                if failure != last {
                    let words = failure.as_ref().map(|why| format!("{}: {why}", question.describe()));
                    if !tell(false, words) {
                        return;
                    }
                    last = failure;
                }
            }
        }
        sleep(pace(attempt, start.elapsed())).await;
        attempt = attempt.saturating_add(1);
    }
}

/// Starts the probe of a `--ready-*` option.
pub fn start_option(index: usize, probe: &ReadyProbe, findings: mpsc::UnboundedSender<Finding>) {
    let tell = move |passed: bool, failure: Option<String>| {
        let failure = if passed { None } else { failure };
        findings.send(Finding::Option { index, failure }).is_ok()
    };
    tokio::spawn(until_passed(Question::of_option(probe), 1, tell));
}

/// The running own probes, each for one start of one container.
pub struct OwnProbes {
    findings: mpsc::UnboundedSender<Finding>,
    know_sidecars: bool,
    running: Vec<(Key, JoinHandle<()>)>,
}

/// What a probe depends on; another key is another probe.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    id: String,
    question: Question,
}

impl OwnProbes {
    /// None run yet.
    pub fn new(findings: mpsc::UnboundedSender<Finding>, know_sidecars: bool) -> Self {
        Self { findings, know_sidecars, running: Vec::new() }
    }

    /// Probes those sidecars that this state of the Pod says can be probed,
    /// and no others.
    pub fn follow(&mut self, pod: &PodView, own: &str, ignored: &[String]) {
        let wanted: Vec<_> =
            pod.sidecars(own, ignored).filter_map(|sidecar| self.wanted(pod, sidecar)).collect();
        self.running.retain(|(key, task)| {
            let stays = wanted.iter().any(|(other, ..)| other == key);
            if !stays {
                task.abort();
            }
            stays
        });
        for (key, delay, successes) in wanted {
            if !self.running.iter().any(|(other, _)| *other == key) {
                let task = self.start(key.clone(), delay, successes);
                self.running.push((key, task));
            }
        }
    }

    /// The probe of a sidecar that runs, has started and is not ready yet.
    fn wanted(&self, pod: &PodView, sidecar: &Container) -> Option<(Key, Duration, u32)> {
        let status = sidecar.status.as_ref()?;
        let State::Running { since } = status.state else { return None };
        if status.ready || status.started == Some(false) {
            return None;
        }
        let row = sidecars::known(sidecar).filter(|_| self.know_sidecars);
        let (question, delay, successes) = match (row.and_then(|row| row.ready.as_ref()), &sidecar.readiness)
        {
            (Some((port, path)), _) => {
                let address = Address { host: "127.0.0.1".to_owned(), port: port.of(sidecar) };
                let target = (*path).to_owned();
                let url = HttpUrl { https: false, address, target, credentials: None };
                let question =
                    Question::Http { url, headers: Vec::new(), verify_tls: false, redirect_passes: true };
                (question, Duration::ZERO, 1)
            }
            (None, Readiness::Probe(spec)) => {
                let question = Question::of_probe(spec, spec.address(pod.ip)?);
                (question, left_of(spec.initial_delay, since), spec.successes)
            }
            _ => return None,
        };
        Some((Key { name: sidecar.name.clone(), id: status.id.clone(), question }, delay, successes))
    }

    fn start(&self, key: Key, delay: Duration, successes: u32) -> JoinHandle<()> {
        let findings = self.findings.clone();
        tokio::spawn(async move {
            sleep(delay).await;
            let Key { name, id, question } = key;
            let tell = move |passed, failure| {
                let outcome = Outcome { id: id.clone(), passed, failure };
                findings.send(Finding::Sidecar { name: name.clone(), outcome }).is_ok()
            };
            until_passed(question, successes, tell).await;
        })
    }
}

/// What is left of a delay that began at `since`. A clock that was set makes
/// it neither negative nor longer than it is.
fn left_of(delay: Duration, since: Option<SystemTime>) -> Duration {
    let passed = since.and_then(|since| SystemTime::now().duration_since(since).ok());
    delay.saturating_sub(passed.unwrap_or_default())
}
