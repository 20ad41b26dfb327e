//! The Pod's states, one after the other, whatever the API server does.
//!
//! A `get` says the present state (most Pods are through with that one), a
//! `watch` from there on says each change. What a Role forbids is done
//! without: `list` for `get`, polling for `watch`.

use std::time::{Duration, Instant};

use kube::core::WatchEvent;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::PodView;
use super::client::{ApiClient, ApiError};
use super::identity::PodName;
use super::trouble::{Call, Next, Trouble};

/// Between two looks where watching is forbidden.
const POLL: Duration = Duration::from_secs(1);
/// A Role may be mended while we wait.
const FORBIDDEN: Duration = Duration::from_secs(30);
/// A watch is opened at most five times a second.
const REOPEN: Duration = Duration::from_millis(200);
/// A watch that was open for so long is in order again, even if nothing happened.
const STABLE: Duration = Duration::from_secs(3);

/// News of the Pod.
#[derive(Debug)]
pub enum Update {
    State(Box<PodView>),
    /// The API server cannot be read at present, and why; it is tried again.
    Failing(String),
    /// Deleted: DELETED, or 404 after it was once seen.
    Gone,
    /// The API server refuses to tell; nothing follows. Words for the user.
    Refused(String),
}

/// Follows the Pod in a task of the current runtime, which ends with the
/// receiver. The first state comes as soon as there is one.
pub fn follow(api: ApiClient, who: PodName) -> mpsc::Receiver<Update> {
    let (updates, receiver) = mpsc::channel(8);
    let source = Source {
        api,
        who,
        updates,
        trouble: Trouble::default(),
        uid: None,
        by_list: false,
        poll_until: None,
    };
    tokio::spawn(source.run());
    receiver
}

struct Source {
    api: ApiClient,
    who: PodName,
    updates: mpsc::Sender<Update>,
    trouble: Trouble,
    /// Known once the Pod was seen.
    uid: Option<String>,
    /// `get` is forbidden, `list` is not.
    by_list: bool,
    /// `watch` is forbidden, and not asked for again before this.
    poll_until: Option<Instant>,
}

/// How a watch ended.
enum WatchEnd {
    /// By the server, in order: go on from this version.
    Over(String),
    /// The version is no longer to be had.
    Expired,
    Forbidden,
    Failed(ApiError),
}

/// The channel is closed: by the phase that has ended, or after the last word.
struct Finished;

impl Source {
    async fn run(mut self) {
        while let Ok(version) = self.read().await {
            if self.watch_from(version).await.is_err() {
                return;
            }
        }
    }

    /// Reads the present state, however long it takes, and returns its version.
    async fn read(&mut self) -> Result<String, Finished> {
        loop {
            let read = match self.read_once().await {
                Ok(document) => self.accept(PodView::read(document)),
                Err(error) => Err(error),
            };
            match read {
                Ok(view) => {
                    self.went_well(Call::Read);
                    let version = view.resource_version.clone();
                    self.tell(Update::State(Box::new(view))).await?;
                    return Ok(version);
                }
                Err(ApiError::Status { code: 404, .. }) if self.uid.is_some() => return self.gone().await,
                Err(error) => self.pause_after(Call::Read, error).await?,
            }
        }
    }

    async fn read_once(&mut self) -> Result<super::document::PodDocument, ApiError> {
        if self.by_list {
            return self.api.list().await;
        }
        match self.api.get().await {
            Err(forbidden @ ApiError::Status { code: 403, .. }) => {
                let listed = self.api.list().await;
                if matches!(listed, Err(ApiError::Status { code: 403, .. })) {
                    return Err(forbidden);
                }
                self.by_list = listed.is_ok();
                listed
            }
            other => other,
        }
    }

    /// Watches until something needs a fresh look.
    async fn watch_from(&mut self, version: String) -> Result<(), Finished> {
        let mut version = Some(version).filter(|version| !version.is_empty());
        if self.poll_until.is_some_and(|until| Instant::now() < until) {
            sleep(POLL).await;
            return Ok(());
        }
        loop {
            let opened = Instant::now();
            match self.watch(version.as_deref()).await? {
                WatchEnd::Over(last) => {
                    version = Some(last).filter(|last| !last.is_empty());
                    sleep(REOPEN.saturating_sub(opened.elapsed())).await;
                }
                WatchEnd::Expired if version.is_some() => {
                    debug!("the version was compacted, watching from the present state on");
                    // Without a version the server sends that first.
                    version = None;
                }
                WatchEnd::Expired => {
                    let error = ApiError::Garbage("no version to watch from".to_owned());
                    return self.pause_after(Call::Watch, error).await;
                }
                WatchEnd::Forbidden => {
                    debug!("watch is forbidden, polling");
                    self.poll_until = Some(Instant::now() + FORBIDDEN);
                    sleep(POLL).await;
                    return Ok(());
                }
                WatchEnd::Failed(error) => return self.pause_after(Call::Watch, error).await,
            }
        }
    }

    async fn watch(&mut self, version: Option<&str>) -> Result<WatchEnd, Finished> {
        let mut watch = match self.api.watch(version).await {
            Ok(watch) => watch,
            Err(ApiError::Status { code: 410, .. }) => return Ok(WatchEnd::Expired),
            Err(ApiError::Status { code: 403, .. }) => return Ok(WatchEnd::Forbidden),
            Err(error) => return Ok(WatchEnd::Failed(error)),
        };
        let mut last = version.unwrap_or_default().to_owned();
        loop {
            let event = tokio::select! {
                event = watch.next() => event,
                () = sleep(STABLE), if self.trouble.is_row_of(Call::Watch) => {
                    self.went_well(Call::Watch);
                    continue;
                }
                () = self.updates.closed() => return Err(Finished),
            };
            let document = match event {
                Ok(Some(WatchEvent::Added(document) | WatchEvent::Modified(document))) => document,
                Ok(Some(WatchEvent::Bookmark(bookmark))) => {
                    last = bookmark.metadata.resource_version;
                    continue;
                }
                Ok(Some(WatchEvent::Deleted(document))) => match self.accept(PodView::read(document)) {
                    Ok(_) => return self.gone().await,
                    Err(error) => return Ok(WatchEnd::Failed(error)),
                },
                Ok(Some(WatchEvent::Error(status))) if status.code == 410 => return Ok(WatchEnd::Expired),
                Ok(Some(WatchEvent::Error(status))) => {
                    let (code, message) = (status.code, status.message);
                    return Ok(WatchEnd::Failed(ApiError::Status { code, message, retry_after: None }));
                }
                Ok(None) => return Ok(WatchEnd::Over(last)),
                Err(error) => return Ok(WatchEnd::Failed(error)),
            };
            match self.accept(PodView::read(document)) {
                Ok(view) => {
                    self.went_well(Call::Watch);
                    last.clone_from(&view.resource_version);
                    self.tell(Update::State(Box::new(view))).await?;
                }
                Err(error) => return Ok(WatchEnd::Failed(error)),
            }
        }
    }

    /// Checks that it is this Pod, and remembers which one that is.
    fn accept(&mut self, view: Option<PodView>) -> Result<PodView, ApiError> {
        let view = view.ok_or_else(|| ApiError::Garbage("no Pod with a container".to_owned()))?;
        if view.name != self.who.pod.name {
            return Err(ApiError::Garbage(format!("its name is {:?}", view.name)));
        }
        let known = self.uid.get_or_insert_with(|| view.uid.clone());
        if *known != view.uid {
            return Err(ApiError::Garbage("its uid is another one".to_owned()));
        }
        Ok(view)
    }

    async fn pause_after(&mut self, call: Call, error: ApiError) -> Result<(), Finished> {
        match self.trouble.failed(call, &error, &self.who, Instant::now()) {
            Next::Retry { pause, first } => {
                self.tell(Update::Failing(error.to_string())).await?;
                if first {
                    warn!(%error, "cannot read the Pod from the API server, trying again");
                } else {
                    debug!(%error, ?pause, "still cannot read the Pod");
                }
                tokio::select! {
                    () = sleep(pause) => Ok(()),
                    () = self.updates.closed() => Err(Finished),
                }
            }
            Next::GiveUp(words) => {
                self.tell(Update::Refused(words)).await?;
                Err(Finished)
            }
        }
    }

    fn went_well(&mut self, call: Call) {
        if self.trouble.succeeded(call) {
            warn!("the API server answers again");
        }
    }

    async fn gone<T>(&mut self) -> Result<T, Finished> {
        self.tell(Update::Gone).await?;
        Err(Finished)
    }

    async fn tell(&mut self, update: Update) -> Result<(), Finished> {
        self.updates.send(update).await.map_err(|_| Finished)
    }
}
