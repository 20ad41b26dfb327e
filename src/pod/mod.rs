//! What the API says about our Pod: shared by gate and teardown. The picture
//! ([`PodView`]) and every question about it are pure; the API is talked to
//! in `client` and `source` alone.

pub mod access;
pub mod client;
pub mod document;
pub mod events;
pub mod identity;
mod parse;
pub mod probe;
pub mod restart;
pub mod source;
mod trouble;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use probe::ProbeSpec;
use restart::RestartRule;
use serde::{Deserialize, Serialize};

/// Our small, total picture of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodView {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    /// `metadata.deletionTimestamp` is set: the kubelet stops everybody.
    pub deleting: bool,
    /// `kubectl.kubernetes.io/default-container`.
    pub default_container: Option<String>,
    /// `terminationGracePeriodSeconds`.
    pub grace: Option<Duration>,
    pub ip: Option<IpAddr>,
    /// `spec.containers` in order, then the native sidecars.
    pub containers: Vec<Container>,
}

/// A container that runs beside others: no plain init or ephemeral one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// `command` and `args`, for the flags of known sidecars.
    pub arguments: Vec<String>,
    /// Plain values of `env`, for the same.
    pub environment: Vec<(String, String)>,
    /// `containerPort`s.
    pub ports: Vec<NamedPort>,
    /// An init container with `restartPolicy: Always` (KEP-753).
    pub native: bool,
    pub restart: RestartRule,
    #[serde(skip)]
    pub readiness: Readiness,
    /// None: in the spec, but not yet in the status.
    pub status: Option<Status>,
}

/// A `containerPort`, and its name if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPort {
    pub name: Option<String>,
    pub port: u16,
}

/// How a container's readiness comes about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// No `readinessProbe`: the kubelet calls it ready as soon as it runs.
    #[default]
    Unprobed,
    /// A probe that only the kubelet can run (`exec`, `grpc`).
    ByKubelet,
    /// A probe that anybody in the Pod's network can run.
    Probe(ProbeSpec),
}

/// `status.containerStatuses[]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub ready: bool,
    pub started: Option<bool>,
    pub restarts: i64,
    /// The runtime's id: a new one for each start.
    pub id: String,
    pub state: State,
    /// How the run before this one ended.
    pub last_end: Option<Ended>,
}

/// `state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Waiting { reason: String, message: String },
    Running { since: Option<SystemTime> },
    Terminated(Ended),
}

/// `state.terminated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub exit_code: i32,
    pub reason: String,
}

impl PodView {
    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// Everybody but `own` and the ignored (SPEC: a sidecar is each other
    /// entry of `spec.containers`, and each native one).
    pub fn sidecars<'a>(
        &'a self,
        own: &'a str,
        ignored: &'a [String],
    ) -> impl Iterator<Item = &'a Container> {
        let counts =
            move |container: &&Container| container.name != own && !ignored.contains(&container.name);
        self.containers.iter().filter(counts)
    }
}

impl Container {
    /// Its end, if it has ended and the kubelet will not start it again.
    pub fn ended_for_good(&self) -> Option<&Ended> {
        match &self.status.as_ref()?.state {
            State::Terminated(end) if !self.restart.restarts_after(end.exit_code) => Some(end),
            _ => None,
        }
    }

    /// The number of a named `containerPort`.
    pub fn port_named(&self, name: &str) -> Option<u16> {
        self.ports.iter().find(|port| port.name.as_deref() == Some(name)).map(|port| port.port)
    }
}
