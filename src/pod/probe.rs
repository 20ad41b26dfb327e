//! A container's readiness probe, as far as it can be run from beside it.

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Container, Readiness};
use crate::plan::url::Address;

/// A `httpGet` or `tcpSocket` readiness probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    pub kind: ProbeKind,
    /// None: the Pod's IP, where the kubelet asks too.
    pub host: Option<String>,
    pub port: u16,
    /// Counted from the container's start.
    pub initial_delay: Duration,
    /// Passes in a row, at least 1.
    pub successes: u32,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// A connection is accepted.
    Tcp,
    /// A GET is answered with 200-399.
    Http {
        https: bool,
        /// Path and query.
        target: String,
        headers: Vec<(String, String)>,
    },
}

impl ProbeSpec {
    /// Where to ask; None for a Pod that has no IP yet.
    pub fn address(&self, pod_ip: Option<IpAddr>) -> Option<Address> {
        let host = self.host.clone().or_else(|| pod_ip.map(|ip| ip.to_string()))?;
        Some(Address { host, port: self.port })
    }

    /// The probe in a few words: `GET :8080/healthz`.
    pub fn describe(&self) -> String {
        match &self.kind {
            ProbeKind::Tcp => format!("TCP connection to :{}", self.port),
            ProbeKind::Http { target, .. } => format!("GET :{}{target}", self.port),
        }
    }
}

/// Reads `readinessProbe`. A probe that cannot be run from here (`exec`,
/// `grpc`, a port without a number) is the kubelet's.
pub(super) fn read(probe: Option<Probe>, container: &Container) -> Readiness {
    let Some(probe) = probe else { return Readiness::Unprobed };
    let delay = u64::try_from(probe.initial_delay_seconds.unwrap_or_default()).unwrap_or_default();
    let successes = u32::try_from(probe.success_threshold.unwrap_or(1)).unwrap_or(1).max(1);
    let (kind, host, port) = if let Some(http) = probe.http_get {
        let headers = http.http_headers.unwrap_or_default();
        let path = http.path.unwrap_or_default();
        let kind = ProbeKind::Http {
            https: http.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            // The kubelet adds the slash that the spec may leave out.
            target: if path.starts_with('/') { path } else { format!("/{path}") },
            headers: headers.into_iter().map(|header| (header.name, header.value)).collect(),
        };
        (kind, http.host, http.port)
    } else if let Some(tcp) = probe.tcp_socket {
        (ProbeKind::Tcp, tcp.host, tcp.port)
    } else {
        return Readiness::ByKubelet;
    };
    let port = match port {
        IntOrString::Int(number) => u16::try_from(number).ok(),
        // A string of digits counts as a number, as in the kubelet.
        IntOrString::String(name) => container.port_named(&name).or_else(|| name.parse().ok()),
    };
    match port.filter(|port| *port != 0) {
        Some(port) => Readiness::Probe(ProbeSpec {
            kind,
            host: host.filter(|host| !host.is_empty()),
            port,
            initial_delay: Duration::from_secs(delay),
            successes,
        }),
        None => Readiness::ByKubelet,
    }
}
