//! Teardown: lets the sidecars go. Never an error: what goes wrong is said,
//! and the exit code stays what it is.

mod action;
mod by_name;
pub mod decide;
mod retry;
mod waiting;

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use crate::fault::inject;
use crate::http::Begun;
use crate::os::signals::{AsyncSignals, Signals};
use crate::plan::Plan;
use crate::pod::PodView;
use crate::pod::access::Access;
use crate::pod::source::{self, Update};
use crate::runtime;
use action::{Bounds, Item, Progress};
use decide::{Before, HURRY, Mode};
use waiting::Waiting;

pub use action::unstoppable;

/// A sidecar that runs on for so long after its stop request was answered is
/// told again.
const REPEAT: Duration = Duration::from_secs(5);
/// The requests get this head start before the API client's set-up, which
/// would keep the only thread busy for a millisecond.
const HEAD_START: Duration = Duration::from_millis(3);

/// What teardown needs to know of the phases before it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub access: Option<&'a Access>,
    /// The last state that the gate saw.
    pub pod: Option<&'a PodView>,
    /// Our own container.
    pub own: Option<&'a str>,
    pub before: Before,
    /// How long ago the Pod's grace period began, if it did.
    pub terminated: Option<Duration>,
}

/// Tells the sidecars to stop and waits for them, as far as is right now.
/// Returns how they ended, for the closing line.
#[inline(never)] // its frame must not stay while the command runs
pub fn teardown(plan: &Plan, facts: &Facts<'_>, signals: &Signals) -> String {
    let mode = decide::mode(&plan.teardown, facts.before, facts.pod, facts.own);
    if mode == Mode::Leave {
        info!("the kubelet will start this container again in this Pod, so the sidecars stay");
        return String::new();
    }
    let items = action::items(plan, facts.pod, facts.own, mode == Mode::ExplicitOnly);
    // At once: all that follows takes longer than this.
    let begun: Vec<_> = items.iter().map(Item::begin).collect();
    let seen = facts.pod.zip(facts.own).filter(|_| mode == Mode::Full && facts.access.is_some());
    let waiting = seen.map(|(pod, own)| Waiting::new(pod, own, &plan.ignored, SystemTime::now()));
    if items.is_empty() && waiting.as_ref().is_none_or(|waiting| waiting.pending().is_empty()) {
        return String::new();
    }
    let budget = decide::budget(&plan.teardown, facts.pod, facts.terminated);
    let deadline = Instant::now() + if mode == Mode::TellOnce { budget.min(HURRY) } else { budget };
    let (ended, all_ended) = watch::channel(false);
    let bounds =
        Bounds { attempt: plan.teardown.http_timeout, deadline, once: mode == Mode::TellOnce, all_ended };
    let mut teardown = Teardown { access: facts.access, items, waiting, bounds, ended, first: 0, open: 0 };
    if let Err(error) = runtime::block_on(teardown.run(begun, signals)) {
        warn!(%error, "no teardown");
    }
    teardown.waiting.map(|waiting| waiting.ends()).unwrap_or_default()
}

struct Teardown<'a> {
    access: Option<&'a Access>,
    items: Vec<Item>,
    /// Whom we wait for; None where nothing can tell of their end.
    waiting: Option<Waiting>,
    bounds: Bounds,
    ended: watch::Sender<bool>,
    /// Items whose first attempt is not over.
    first: usize,
    /// Items that are not finished.
    open: usize,
}

impl Teardown<'_> {
    async fn run(&mut self, begun: Vec<Option<Begun>>, signals: &Signals) {
        let signals = match signals.in_runtime() {
            Ok(signals) => signals,
            Err(error) => {
                warn!(%error, "no teardown");
                return;
            }
        };
        let (progress, mut reports) = mpsc::unbounded_channel();
        for (item, begun) in self.items.clone().into_iter().zip(begun) {
            self.start(item, begun, &progress);
        }
        let mut updates = None;
        let mut follow_at = Some(Instant::now() + HEAD_START);
        let mut repeat_at = Instant::now() + REPEAT;
        let mut hurry = self.bounds.once;
        self.publish();
        inject("teardown");
        while !self.is_over(hurry) {
            tokio::select! {
                () = terminated(&signals) => {
                    info!("asked to end: waiting for nobody any more");
                    hurry = true;
                    self.bounds.deadline = self.bounds.deadline.min(Instant::now() + HURRY);
                }
                Some(report) = reports.recv() => match report {
                    Progress::First => self.first = self.first.saturating_sub(1),
                    Progress::Finished => self.open = self.open.saturating_sub(1),
                },
                update = next(&mut updates) => match update {
                    Some(Update::State(pod)) => hurry |= self.note(&pod, &progress),
                    Some(Update::Failing(_)) => {}
                    Some(Update::Gone) => hurry = true,
                    Some(Update::Refused(why)) => {
                        warn!("cannot see the sidecars end: {why}");
                        self.waiting = None;
                        updates = None;
                    }
                    None => self.waiting = None,
                },
                () = at(follow_at) => {
                    follow_at = None;
                    updates = self.follow();
                }
                () = sleep_until(repeat_at.into()), if self.waits() => {
                    repeat_at += REPEAT;
                    self.tell_again(&progress);
                }
                () = sleep_until(self.bounds.deadline.into()) => break,
            }
            if follow_at.is_some() && self.first == 0 {
                follow_at = Some(Instant::now());
            }
            self.publish();
        }
        if let Some(waiting) = self.waiting.as_ref().filter(|waiting| !hurry && !waiting.pending().is_empty())
        {
            warn!(sidecars = waiting.pending().join(", "), "still running at the deadline");
        }
    }

    fn start(&mut self, item: Item, begun: Option<Begun>, progress: &mpsc::UnboundedSender<Progress>) {
        self.first += 1;
        self.open += 1;
        item.start(begun, self.bounds.clone(), progress.clone());
    }

    fn waits(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.pending().is_empty())
    }

    /// Lets the items know when nobody is left to be told.
    fn publish(&self) {
        let all = self.waiting.as_ref().is_some_and(|waiting| waiting.pending().is_empty());
        self.ended.send_if_modified(|ended| std::mem::replace(ended, all) != all);
    }

    fn is_over(&self, hurry: bool) -> bool {
        let enough = match &self.waiting {
            _ if hurry => true,
            Some(waiting) => waiting.pending().is_empty(),
            None => self.open == 0,
        };
        self.first == 0 && enough
    }

    /// Begins to follow the Pod, where there is somebody to wait for.
    fn follow(&mut self) -> Option<mpsc::Receiver<Update>> {
        let access = self.access.filter(|_| self.waits())?;
        match access.client() {
            Ok(client) => Some(source::follow(client, access.name.clone())),
            Err(error) => {
                warn!("cannot see the sidecars end: {error:#}");
                self.waiting = None;
                None
            }
        }
    }

    /// Takes note of a state; true where the Pod is being deleted, so that
    /// nobody is waited for.
    fn note(&mut self, pod: &PodView, progress: &mpsc::UnboundedSender<Progress>) -> bool {
        let Some(waiting) = &mut self.waiting else { return false };
        debug!(version = pod.resource_version, "new state of the Pod");
        let news = waiting.note(pod);
        for (container, code) in &news.ended {
            info!(container, code, "sidecar ended");
        }
        for warning in &news.warnings {
            warn!("{warning}");
        }
        self.tell(&news.restarted, progress);
        if news.deleting {
            info!("the Pod is being deleted: the kubelet stops the sidecars");
            self.bounds.deadline = self.bounds.deadline.min(Instant::now() + HURRY);
        }
        news.deleting
    }

    /// Sends the stop requests of these sidecars once more, and those that
    /// could be anybody's; false where there are none (signals and files go
    /// out once).
    fn tell(&mut self, names: &[String], progress: &mpsc::UnboundedSender<Progress>) -> bool {
        let is_for = |item: &&Item| item.sidecar.as_ref().is_none_or(|sidecar| names.contains(sidecar));
        let requests = self.items.iter().filter(|item| item.is_request()).filter(is_for);
        let requests: Vec<_> = requests.filter(|_| !names.is_empty()).cloned().collect();
        let any = !requests.is_empty();
        for item in requests {
            self.start(item, None, progress);
        }
        any
    }

    /// Answered is not stopped: a request that came too early may be lost.
    fn tell_again(&mut self, progress: &mpsc::UnboundedSender<Progress>) {
        let pending = self.waiting.as_ref().map(|waiting| waiting.pending().to_vec()).unwrap_or_default();
        if self.open == 0 && self.tell(&pending, progress) {
            info!(sidecars = pending.join(", "), "still running, telling them again");
        }
    }
}

async fn terminated(signals: &AsyncSignals<'_>) {
    while !signals.next().await.asks_to_terminate() {}
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

async fn next(updates: &mut Option<mpsc::Receiver<Update>>) -> Option<Update> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}
