//! The gate: may the command start? Waits until every sidecar is ready and
//! every `--ready-*` probe has passed.

mod pace;
mod probes;
pub mod verdict;

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{interval_at, sleep};
use tracing::{debug, info};

use crate::fault::inject;
use crate::os::signals::{Signal, Signals};
use crate::plan::Plan;
use crate::plan::duration::show;
use crate::pod::access::Access;
use crate::pod::source::{self, Update};
use crate::pod::{PodView, Readiness};
use crate::runtime;
use probes::{Finding, OwnProbes};
use verdict::{Probed, Verdict, in_words, verdict};

/// How often the user hears what is waited for.
const REPORT: Duration = Duration::from_secs(30);

/// How the gate ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateEnd {
    /// The command may start.
    Open,
    /// This signal asked us to end.
    Interrupted(Signal),
    /// The Pod is being deleted, or gone.
    Deleted,
    /// It will not open; words for the user.
    Failed(String),
}

/// The end, and what is known of the Pod by then.
#[derive(Clone, Debug)]
pub struct GateReport {
    pub end: GateEnd,
    /// The last state seen.
    pub pod: Option<PodView>,
    /// Our own container's name.
    pub own: Option<String>,
}

/// Waits until the gate opens or never will.
pub fn wait(plan: &Plan, access: Option<&Access>, signals: &Signals) -> GateReport {
    let mut gate = Gate::new(plan, access);
    let end = if access.is_none() && plan.gate.probes.is_empty() {
        GateEnd::Open
    } else {
        let waited = runtime::block_on(gate.wait(signals));
        waited.unwrap_or_else(|error| GateEnd::Failed(format!("cannot start the gate: {error}")))
    };
    GateReport { end, pod: gate.pod, own: gate.own }
}

struct Gate<'a> {
    plan: &'a Plan,
    access: Option<&'a Access>,
    pod: Option<PodView>,
    own: Option<String>,
    /// Why the API server cannot be read at present.
    api_failure: Option<String>,
    probed: Probed,
    /// Why each `--ready-*` probe has not passed; None once it has.
    options: Vec<Option<String>>,
}

impl<'a> Gate<'a> {
    fn new(plan: &'a Plan, access: Option<&'a Access>) -> Self {
        let described = plan.gate.probes.iter().map(|probe| {
            let question = probes::Question::of_option(probe);
            Some(format!("{}: no answer yet", question.describe()))
        });
        Self {
            plan,
            access,
            pod: None,
            own: None,
            api_failure: None,
            probed: Probed::new(),
            options: described.collect(),
        }
    }

    async fn wait(&mut self, signals: &Signals) -> GateEnd {
        inject("gate");
        let start = Instant::now();
        let signals = match signals.in_runtime() {
            Ok(signals) => signals,
            Err(error) => return GateEnd::Failed(format!("cannot receive signals: {error}")),
        };
        let (found, mut findings) = mpsc::unbounded_channel();
        for (index, probe) in self.plan.gate.probes.iter().enumerate() {
            probes::start_option(index, probe, found.clone());
        }
        let mut own_probes = OwnProbes::new(found, self.plan.know_sidecars);
        let mut updates = match self.access.map(|access| Ok((access.client()?, access.name.clone()))) {
            Some(Ok::<_, anyhow::Error>((client, name))) => Some(source::follow(client, name)),
            Some(Err(error)) => return GateEnd::Failed(format!("{error:#}")),
            None => None,
        };
        let timeout = self.plan.gate.timeout;
        let mut reports = interval_at((start + REPORT).into(), REPORT);
        let end = async {
            match timeout {
                Some(timeout) => sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if signal.asks_to_terminate() {
                        return GateEnd::Interrupted(signal);
                    }
                }
                Some(finding) = findings.recv() => self.note(finding),
                update = next(&mut updates) => {
                    if let Err(end) = self.take(update) {
                        return end;
                    }
                    if let (Some(pod), Some(own), true) = (&self.pod, &self.own, self.plan.gate.probe_sidecars) {
                        own_probes.follow(pod, own, &self.plan.ignored);
                    }
                }
                () = &mut end => {
                    let waited = show(timeout.unwrap_or_default());
                    return GateEnd::Failed(format!("not ready after {waited}: {}", self.blockers()));
                }
                _ = reports.tick() => {
                    info!(waited = show(start.elapsed()), "waiting: {}", self.blockers());
                }
            }
            match self.judge() {
                Verdict::Open => return GateEnd::Open,
                Verdict::Waiting(_) => {}
                Verdict::Hopeless(why) => return GateEnd::Failed(why),
                Verdict::Deleted => return GateEnd::Deleted,
            }
        }
    }

    /// Takes note of news from the API.
    fn take(&mut self, update: Option<Update>) -> Result<(), GateEnd> {
        match update {
            Some(Update::State(pod)) => {
                if self.own.is_none() {
                    self.own = Some(self.introduce(&pod)?);
                }
                debug!(version = pod.resource_version, "new state of the Pod");
                self.pod = Some(*pod);
                self.api_failure = None;
                Ok(())
            }
            Some(Update::Failing(why)) => {
                self.api_failure = Some(why);
                Ok(())
            }
            Some(Update::Gone) => Err(GateEnd::Deleted),
            Some(Update::Refused(why)) => Err(GateEnd::Failed(why)),
            None => Err(GateEnd::Failed("the watch on the Pod ended by a bug of proa".to_owned())),
        }
    }

    /// Says once who we are and whom we wait for; returns our container's name.
    fn introduce(&self, pod: &PodView) -> Result<String, GateEnd> {
        let Some(access) = self.access else { return Ok(String::new()) };
        let own = access.own_container(pod).map_err(|error| GateEnd::Failed(format!("{error:#}")))?;
        let name = &access.name;
        debug!(
            pod = name.pod.name,
            pod_from = name.pod.from,
            namespace = name.namespace.name,
            namespace_from = name.namespace.from,
            container = own.name,
            container_from = own.from,
            "who we are"
        );
        let sidecars: Vec<_> = pod.sidecars(&own.name, &self.plan.ignored).collect();
        let names: Vec<_> = sidecars.iter().map(|sidecar| sidecar.name.as_str()).collect();
        info!(
            pod = format!("{}/{}", name.namespace.name, name.pod.name),
            container = own.name,
            sidecars = names.join(", "),
            "waiting for the sidecars"
        );
        let unprobed = sidecars.iter().filter(|sidecar| sidecar.readiness == Readiness::Unprobed);
        let unprobed: Vec<_> = unprobed.map(|sidecar| sidecar.name.as_str()).collect();
        if !unprobed.is_empty() {
            info!(
                sidecars = unprobed.join(", "),
                "without a readinessProbe these count as ready once they run"
            );
        }
        Ok(own.name)
    }

    fn note(&mut self, finding: Finding) {
        match finding {
            Finding::Option { index, failure } => {
                if let Some(option) = self.options.get_mut(index) {
                    *option = failure;
                }
            }
            Finding::Sidecar { name, outcome } => {
                debug!(container = name, passed = outcome.passed, failure = outcome.failure, "own probe");
                self.probed.insert(name, outcome);
            }
        }
    }

    fn judge(&self) -> Verdict {
        let mut waiting: Vec<_> = self.options.iter().flatten().cloned().collect();
        if self.access.is_some() {
            let (Some(pod), Some(own)) = (&self.pod, &self.own) else {
                let why = self.api_failure.as_deref().unwrap_or("no answer yet");
                waiting.push(format!("the state of the Pod from the API server: {why}"));
                return Verdict::Waiting(waiting);
            };
            match verdict(pod, own, &self.plan.ignored, &self.probed) {
                Verdict::Open => {}
                Verdict::Waiting(more) => {
                    waiting.extend(more);
                    waiting.extend(
                        self.api_failure.as_ref().map(|why| format!("the API server cannot be read: {why}")),
                    );
                }
                end => return end,
            }
        }
        if waiting.is_empty() { Verdict::Open } else { Verdict::Waiting(waiting) }
    }

    fn blockers(&self) -> String {
        match self.judge() {
            Verdict::Waiting(blockers) => in_words(&blockers),
            _ => String::new(),
        }
    }
}

/// The next news; never, without the API.
async fn next(updates: &mut Option<mpsc::Receiver<Update>>) -> Option<Update> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}
