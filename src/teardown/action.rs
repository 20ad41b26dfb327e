//! The things to do at teardown: which there are, and doing one of them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hyper::Method as HttpMethod;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout_at};
use tracing::{info, warn};

use super::by_name;
use super::retry::{Attempt, Tries};
use crate::http::{self, Ask, Begun, Sender};
use crate::plan::url::{Address, HttpUrl};
use crate::plan::{Action, Method, Plan};
use crate::pod::{Container, PodView};
use crate::sidecars::{self, Known, Stop};

/// An action, and what is known about it.
#[derive(Clone, Debug)]
pub struct Item {
    action: Action,
    /// The sidecar it is for, as far as its port tells.
    pub sidecar: Option<String>,
    row: Option<&'static Known>,
    headers: Vec<(String, String)>,
}

/// Everything to do: the user's actions, and the stop requests of the known
/// sidecars that the user did not name one for.
pub fn items(plan: &Plan, pod: Option<&PodView>, own: Option<&str>, explicit_only: bool) -> Vec<Item> {
    let sidecars = || {
        let own = own.unwrap_or_default();
        pod.into_iter()
            .flat_map(move |pod| pod.sidecars(own, &plan.ignored).filter(|sidecar| !sidecar.native))
    };
    let mut items: Vec<Item> = Vec::new();
    for action in &plan.teardown.actions {
        let port = match action {
            Action::Http(_, url) => Some(url.address.port),
            _ => None,
        };
        let meant = port.and_then(|port| sidecars().find(|sidecar| serves(sidecar, port)));
        items.push(Item {
            action: action.clone(),
            sidecar: meant.map(|sidecar| sidecar.name.clone()),
            row: meant.and_then(sidecars::known),
            headers: Vec::new(),
        });
    }
    if !explicit_only && plan.know_sidecars {
        let known: Vec<_> = sidecars().filter_map(|sidecar| stop_request(plan, sidecar)).collect();
        items.extend(known);
    }
    items
}

/// Sidecars that nothing stops, each with the reason: for a warning before
/// the command starts. An action of the user's may be for anybody.
pub fn unstoppable(plan: &Plan, pod: &PodView, own: &str) -> Vec<String> {
    if !plan.teardown.actions.is_empty() {
        return Vec::new();
    }
    let waited_for =
        pod.sidecars(own, &plan.ignored).filter(|sidecar| super::waiting::is_waited_for(sidecar));
    let silent = waited_for.filter(|sidecar| stop_request(plan, sidecar).is_none());
    silent
        .map(|sidecar| match sidecars::known(sidecar).filter(|_| plan.know_sidecars) {
            Some(row) => format!("{} ({}: {})", sidecar.name, row.title, row.hint),
            None => sidecar.name.clone(),
        })
        .collect()
}

fn stop_request(plan: &Plan, sidecar: &Container) -> Option<Item> {
    let row = sidecars::known(sidecar).filter(|_| plan.know_sidecars)?;
    let Stop::Http { method, port, path } = &row.stop else { return None };
    let address = Address { host: "127.0.0.1".to_owned(), port: port.of(sidecar) };
    let taken = plan.teardown.actions.iter().any(|action| match action {
        Action::Http(_, url) => url.address.port == address.port,
        _ => false,
    });
    if taken || sidecar.ended_for_good().is_some() {
        return None;
    }
    tracing::debug!(sidecar = sidecar.name, known = row.title, source = row.source, "known sidecar");
    let url = HttpUrl { https: false, address, target: (*path).to_owned(), credentials: None };
    let header = row.header.and_then(|(name, variable)| {
        let (_, value) = plan.secrets.iter().find(|(known, _)| *known == variable)?;
        Some((name.to_owned(), value.clone()))
    });
    Some(Item {
        action: Action::Http(*method, url),
        sidecar: Some(sidecar.name.clone()),
        row: Some(row),
        headers: header.into_iter().collect(),
    })
}

/// Whether a request to this port is probably for this container.
fn serves(sidecar: &Container, port: u16) -> bool {
    let known = sidecars::known(sidecar).is_some_and(|row| match &row.stop {
        Stop::Http { port: stop, .. } => stop.of(sidecar) == port,
        _ => false,
    });
    known || sidecar.ports.iter().any(|named| named.port == port)
}

/// What a task that performs an item tells.
#[derive(Debug)]
pub enum Progress {
    /// The first attempt is over, well or not.
    First,
    /// Nothing more will be tried.
    Finished,
}

/// The bounds of an item.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// One attempt.
    pub attempt: Duration,
    /// All of them.
    pub deadline: Instant,
    /// One try is all there is.
    pub once: bool,
    /// Becomes true when every sidecar has ended: no second try then.
    pub all_ended: watch::Receiver<bool>,
}

impl Item {
    /// Whether it can be sent once more: signals and files go out once.
    pub fn is_request(&self) -> bool {
        matches!(self.action, Action::Http(..))
    }

    /// Does what can be done at once, before there is a runtime.
    pub fn begin(&self) -> Option<Begun> {
        match &self.action {
            Action::Http(method, url) => http::begin(&self.ask(*method, url)),
            _ => None,
        }
    }

    /// Performs it, or what is left of it, in a task of its own; tells
    /// [`Progress`], in this order.
    pub fn start(self, begun: Option<Begun>, bounds: Bounds, progress: mpsc::UnboundedSender<Progress>) {
        tokio::spawn(async move {
            let first = Once(Some(progress.clone()));
            self.perform(begun, bounds, first).await;
            drop(progress.send(Progress::Finished));
        });
    }

    async fn perform(&self, begun: Option<Begun>, bounds: Bounds, first: Once) {
        match &self.action {
            Action::Http(method, url) => self.request(&self.ask(*method, url), begun, bounds, first).await,
            Action::File(path) => make_file(path),
            Action::Kill(name, signal) => by_name::kill(name, *signal),
            Action::KillAll => by_name::kill_all(),
        }
    }

    fn ask<'a>(&'a self, method: Method, url: &'a HttpUrl) -> Ask<'a> {
        let method = match method {
            Method::Get => HttpMethod::GET,
            Method::Post => HttpMethod::POST,
        };
        Ask { method, url, headers: &self.headers }
    }

    async fn request(&self, ask: &Ask<'_>, mut begun: Option<Begun>, bounds: Bounds, mut first: Once) {
        let Bounds { attempt, deadline, once, mut all_ended } = bounds;
        let mut sender = Sender::of_stop_request();
        let what = format!("{} {}", ask.method, ask.url);
        let begin = Instant::now();
        let mut tries = Tries::default();
        loop {
            let Ok(answer) = timeout_at(deadline.into(), sender.go_on(begun.take(), ask, attempt)).await
            else {
                warn!(request = what, "no answer before the deadline");
                return;
            };
            first.tell();
            let attempt = Attempt::read(answer);
            let pause = tries.after(&attempt).filter(|_| !once);
            match (&attempt, pause) {
                (Attempt::Done(status), _) => {
                    info!(request = what, status, took = ?begin.elapsed(), sidecar = self.sidecar, "stop request answered");
                    return;
                }
                (_, None) => {
                    self.complain(&what, &attempt);
                    return;
                }
                (_, Some(pause)) => {
                    tracing::debug!(request = what, ?attempt, ?pause, "stop request failed, trying again");
                    tokio::select! {
                        () = sleep(pause) => {}
                        // Nobody is left to be told.
                        Ok(_) = all_ended.wait_for(|ended| *ended) => return,
                    }
                    if Instant::now() >= deadline {
                        self.complain(&what, &attempt);
                        return;
                    }
                }
            }
        }
    }

    fn complain(&self, what: &str, attempt: &Attempt) {
        let (why, hint) = match attempt {
            Attempt::Failed(Some(403..=405), why) => (why, self.row.map(|row| row.hint)),
            Attempt::Again(why) | Attempt::Late(why) | Attempt::Failed(_, why) => (why, None),
            Attempt::Done(_) => return,
        };
        warn!(request = what, sidecar = self.sidecar, hint, "stop request failed: {why}");
    }
}

/// Tells that the first attempt is over: when it is, or when it never will be.
struct Once(Option<mpsc::UnboundedSender<Progress>>);

impl Once {
    fn tell(&mut self) {
        if let Some(progress) = self.0.take() {
            drop(progress.send(Progress::First));
        }
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        self.tell();
    }
}

fn make_file(path: &Path) {
    // O_NONBLOCK: a pipe that nobody reads would keep us here for ever.
    let flags = nix::libc::O_NONBLOCK;
    match OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(path) {
        Ok(_) => info!(file = %path.display(), "shutdown file made"),
        Err(error) => warn!(file = %path.display(), %error, "cannot make the shutdown file"),
    }
}
