//! The API server: get, list and watch of one Pod.
//!
//! kube says what a watch's events look like; its client is left out. It
//! links all of kubeconfig (YAML and regex engines: 1.9 MB that no
//! Pod needs) and tokio's signal handling, whose two sockets would stay open
//! while the command runs, and it leaves `TCP_NODELAY` off (kube-rs/kube#2056:
//! 40 ms for a server that asks for no client certificate). What remains is a
//! GET over hyper and rustls, set up as kube does it.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::core::WatchEvent;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::document::{PodDocument, PodListDocument};
use super::events::Events;
use super::identity::PodName;
use crate::plan::IdentityPlan;
use crate::telemetry::cut;

/// Until a connection stands, TLS aside.
const CONNECT: Duration = Duration::from_secs(4);
/// Until an answer begins, and until a short one has ended.
const ANSWER: Duration = Duration::from_secs(10);
/// The server is asked to end a watch after this: the next one goes on where
/// it left off, on the same connection.
const WATCH_SECONDS: u32 = 40;
/// One that says nothing for longer is dead without a word.
const SILENCE: Duration = Duration::from_secs(50);
/// etcd holds objects of 1.5 MiB; this leaves room, yet is a bound.
pub(super) const LARGEST: usize = 8 << 20;

/// Why an answer is none.
#[derive(Debug)]
pub enum ApiError {
    /// The server said no: its code, its words, and for how long to stay away.
    Status { code: u16, message: String, retry_after: Option<Duration> },
    /// The server said something that is not this Pod.
    Garbage(String),
    /// No answer at all: connection, TLS, time, or the token file.
    Unreachable(anyhow::Error),
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { code, message, .. } => write!(out, "{code}: {}", cut(message, QUOTED)),
            Self::Garbage(what) => write!(out, "the answer is not our Pod: {}", cut(what, QUOTED)),
            Self::Unreachable(error) => write!(out, "{error:#}"),
        }
    }
}

/// The server's words are quoted in log lines, and may be megabytes.
const QUOTED: usize = 1024;

type ApiResult<T> = Result<T, ApiError>;

pub(super) fn garbage(what: impl Into<anyhow::Error>) -> ApiError {
    ApiError::Garbage(format!("{:#}", what.into()))
}

fn unreachable(error: impl Into<anyhow::Error>) -> ApiError {
    ApiError::Unreachable(error.into())
}

/// One Pod at one API server; a single connection is kept and used again.
pub struct ApiClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    server: String,
    token: PathBuf,
    path: String,
    name: String,
}

impl ApiClient {
    /// Sets up TLS with the service account's CA; connects to nobody yet.
    ///
    /// # Errors
    /// Where the CA or the server's address cannot be used.
    pub fn new(plan: &IdentityPlan, name: &PodName) -> anyhow::Result<Self> {
        let (host, port) = plan.server.as_ref().context("KUBERNETES_SERVICE_HOST is not set")?;
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.clone() };
        let server = format!("https://{host}:{port}");
        let _checked: Uri =
            server.parse().with_context(|| format!("{server} is not an API server's address"))?;
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(&plan.service_account.join("ca.crt"))?)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp_connector());
        let client = Client::builder(TokioExecutor::new()).build(tls);
        Ok(Self {
            client,
            server,
            token: plan.service_account.join("token"),
            path: format!("/api/v1/namespaces/{}/pods", name.namespace.name),
            name: name.pod.name.clone(),
        })
    }

    /// The Pod by name.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn get(&self) -> ApiResult<PodDocument> {
        self.document(&format!("{}/{}", self.path, self.name)).await
    }

    /// The Pod as the only item of a list: for a Role that has no `get`.
    ///
    /// # Errors
    /// [`ApiError`]; a list without it is a 404.
    pub async fn list(&self) -> ApiResult<PodDocument> {
        let list: PodListDocument = self.document(&format!("{}?{}", self.path, self.selector())).await?;
        let mut pod = list.items.and_then(|items| items.into_iter().next()).ok_or_else(|| {
            let message = format!("pods {:?} not found", self.name);
            ApiError::Status { code: 404, message, retry_after: None }
        })?;
        if let (Some(of_pod), Some(of_list)) = (&mut pod.metadata, list.metadata) {
            of_pod.resource_version = of_list.resource_version.or(of_pod.resource_version.take());
        }
        Ok(pod)
    }

    /// Opens a watch on the one Pod: changes since `version`, or the present
    /// state and then changes.
    ///
    /// # Errors
    /// [`ApiError`] where the server refuses it.
    pub async fn watch(&self, version: Option<&str>) -> ApiResult<Watch> {
        let since = version.map(|version| format!("&resourceVersion={version}")).unwrap_or_default();
        let (path, selector) = (&self.path, self.selector());
        let options = format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}");
        let answer = self.send(&format!("{path}?{selector}&{options}{since}")).await?;
        Ok(Watch { body: answer.into_body(), events: Events::default() })
    }

    fn selector(&self) -> String {
        format!("fieldSelector=metadata.name%3D{}", self.name)
    }

    async fn document<T: DeserializeOwned>(&self, target: &str) -> ApiResult<T> {
        let answer = self.send(target).await?;
        let bytes = in_time(collect(answer.into_body())).await?;
        // The connection's own task offers it for the next request; without
        // its turn that one would open a second connection.
        tokio::task::yield_now().await;
        serde_json::from_slice(&bytes).map_err(garbage)
    }

    /// GETs path and query; an answer that is no 2xx is an error.
    async fn send(&self, target: &str) -> ApiResult<Response<Incoming>> {
        let token = fs::read_to_string(&self.token)
            .with_context(|| format!("cannot read {}", self.token.display()))
            .map_err(ApiError::Unreachable)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .with_context(|| format!("{} holds no token", self.token.display()))
            .map_err(ApiError::Unreachable)?;
        bearer.set_sensitive(true);
        let request = Request::get(format!("{}{target}", self.server))
            .header(AUTHORIZATION, bearer)
            .header(USER_AGENT, crate::USER_AGENT)
            .body(Empty::new())
            .map_err(unreachable)?;
        let answer = in_time(async { self.client.request(request).await.map_err(unreachable) }).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let code = answer.status().as_u16();
        // The reason is a courtesy; a body that hangs or is cut gives none.
        let bytes = in_time(collect(answer.into_body())).await.unwrap_or_default();
        let status: Option<Status> = serde_json::from_slice(&bytes).ok();
        let message =
            status.and_then(|status| status.message).unwrap_or_else(|| "no reason given".to_owned());
        Err(ApiError::Status { code, message, retry_after: seconds.map(Duration::from_secs) })
    }
}

/// TLS 1.2 and 1.3 by ring, verified by the service account's CA alone.
fn tls_config(ca: &Path) -> anyhow::Result<ClientConfig> {
    let pem = fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
    let mut roots = RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(&pem) {
        let der = der.with_context(|| format!("{} holds no certificate", ca.display()))?;
        roots.add(der).with_context(|| format!("{} holds a certificate that is none", ca.display()))?;
    }
    anyhow::ensure!(!roots.is_empty(), "{} holds no certificate", ca.display());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn tcp_connector() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    // A peer that is gone without a word is noticed after 25 s.
    tcp.set_keepalive(Some(Duration::from_secs(10)));
    tcp.set_keepalive_interval(Some(Duration::from_secs(5)));
    tcp.set_keepalive_retries(Some(3));
    tcp
}

async fn in_time<T>(work: impl Future<Output = ApiResult<T>>) -> ApiResult<T> {
    let late = |_| unreachable(anyhow::anyhow!("no answer within {} s", ANSWER.as_secs()));
    timeout(ANSWER, work).await.map_err(late)?
}

async fn collect(mut body: Incoming) -> ApiResult<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(unreachable)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > LARGEST {
            return Err(ApiError::Garbage(format!("longer than {LARGEST} bytes")));
        }
    }
    Ok(bytes)
}

/// An open watch.
pub struct Watch {
    body: Incoming,
    events: Events,
}

impl Watch {
    /// The next event; None when the server ended the watch in order, or has
    /// been silent for so long that it may be gone.
    ///
    /// # Errors
    /// [`ApiError`]; the watch is of no more use then.
    pub async fn next(&mut self) -> ApiResult<Option<WatchEvent<PodDocument>>> {
        loop {
            if let Some(event) = self.events.take()? {
                return Ok(Some(event));
            }
            let Ok(frame) = timeout(SILENCE, self.body.frame()).await else { return Ok(None) };
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.events.push(&data);
                    }
                }
                Some(Err(error)) => return Err(unreachable(error)),
                None if self.events.is_empty() => return Ok(None),
                None => return Err(ApiError::Garbage("an event without its end".to_owned())),
            }
        }
    }
}
