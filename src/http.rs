//! One HTTP request without a body: readiness probes and stop requests.
//!
//! Plain HTTP is spoken by hyper directly: the path goes out byte for byte
//! (reqwest's URLs are normalised) and a stop request is on its way in a
//! fraction of a millisecond. HTTPS is left to reqwest. Neither follows
//! redirects nor uses a proxy of the environment.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::plan::url::{Address, HttpUrl};

/// The longest answer that is read; nobody looks at it.
const LONGEST_BODY: usize = 64 * 1024;
/// The longest header that is read, a hundred fields at most.
const LONGEST_HEADER: usize = 64 * 1024;

/// A probe waits for the rest of an answer no longer than this.
const REST_OF_PROBE: Duration = Duration::from_millis(20);

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub method: Method,
    pub url: &'a HttpUrl,
    pub headers: &'a [(String, String)],
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// Nobody listens there, or nothing leads there.
    Refused(String),
    /// The connection ended before the answer.
    Reset,
    /// Nothing within the time that was given.
    TimedOut(Duration),
    /// Something that trying again does not change.
    Other(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Other(why) => out.write_str(why),
            Self::Reset => out.write_str("connection closed before an answer"),
            Self::TimedOut(limit) => write!(out, "no answer within {} ms", limit.as_millis()),
        }
    }
}

/// Sends requests, each on a connection of its own.
#[derive(Debug)]
pub struct Sender {
    /// Readiness probes are not verified by the kubelet either.
    verify_tls: bool,
    /// A stop request's answer is read to its end behind the scenes; a probe,
    /// of which many follow, keeps no connection open.
    keeps_reading: bool,
    /// Made for the first HTTPS URL; loading the system's roots is not cheap.
    https: Option<reqwest::Client>,
}

impl Sender {
    /// For a readiness probe.
    pub fn of_probe(verify_tls: bool) -> Self {
        Self { verify_tls, keeps_reading: false, https: None }
    }

    /// For a stop request.
    pub fn of_stop_request() -> Self {
        Self { verify_tls: true, keeps_reading: true, https: None }
    }

    /// Sends the request and returns the answer's status code as soon as it
    /// is there.
    ///
    /// # Errors
    /// [`HttpError`]
    pub async fn send(&mut self, ask: &Ask<'_>, limit: Duration) -> Result<u16, HttpError> {
        let exchange = async {
            if ask.url.https { self.by_reqwest(ask).await } else { self.by_hyper(ask, limit).await }
        };
        timeout(limit, exchange).await.unwrap_or(Err(HttpError::TimedOut(limit)))
    }

    async fn by_hyper(&self, ask: &Ask<'_>, limit: Duration) -> Result<u16, HttpError> {
        let stream = connect(&ask.url.address).await?;
        let handshake = http1::Builder::new().max_buf_size(LONGEST_HEADER).handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|error| read_hyper(&error))?;
        // Driven here and not in a task, so that it ends with this future.
        let mut connection = Box::pin(connection);
        let answer = {
            let mut answer = std::pin::pin!(sender.send_request(request(ask)?));
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                // Closed; whether with an answer, `answer` knows.
                _ = &mut connection => answer.await,
            }
        };
        let answer = answer.map_err(|error| read_hyper(&error))?;
        let status = answer.status().as_u16();
        let rest = async move {
            tokio::select! {
                _ = connection => {}
                () = drain(answer) => {}
            }
        };
        if self.keeps_reading {
            tokio::spawn(timeout(limit, rest));
        } else {
            drop(timeout(REST_OF_PROBE, rest).await);
        }
        Ok(status)
    }

    async fn by_reqwest(&mut self, ask: &Ask<'_>) -> Result<u16, HttpError> {
        let client = match &self.https {
            Some(client) => client,
            None => self.https.insert(reqwest_client(self.verify_tls).map_err(read_reqwest)?),
        };
        let address = &ask.url.address;
        let credentials = ask.url.credentials.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let url = format!("https://{credentials}{address}{}", ask.url.target);
        let mut request = client.request(ask.method.clone(), url);
        if ask.method == Method::POST {
            request = request.header(CONTENT_LENGTH, 0);
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        Ok(request.send().await.map_err(read_reqwest)?.status().as_u16())
    }
}

/// Opens a connection and closes it again.
///
/// # Errors
/// [`HttpError`]
pub async fn connect_once(address: &Address, limit: Duration) -> Result<(), HttpError> {
    match timeout(limit, connect(address)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(HttpError::TimedOut(limit)),
    }
}

fn request(ask: &Ask<'_>) -> Result<Request<Empty<Bytes>>, HttpError> {
    let mut request = Request::builder()
        .method(&ask.method)
        .uri(ask.url.target.as_str())
        .header(USER_AGENT, crate::USER_AGENT);
    // A probe may name its own host (`httpHeaders`).
    if !ask.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(HOST, ask.url.host_field());
    }
    if ask.method == Method::POST {
        request = request.header(CONTENT_LENGTH, 0);
    }
    if let Some(credentials) = &ask.url.credentials {
        let encoded = STANDARD.encode(percent_decode_str(credentials).collect::<Vec<u8>>());
        if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {encoded}")) {
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
    }
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    request.body(Empty::new()).map_err(|error| HttpError::Other(error.to_string()))
}

async fn drain(answer: Response<Incoming>) {
    let mut body = answer.into_body();
    let mut left = LONGEST_BODY;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn read_hyper(error: &hyper::Error) -> HttpError {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(io) => read_io(io),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => HttpError::Reset,
        None => HttpError::Other(error.to_string()),
    }
}

fn read_io(error: &io::Error) -> HttpError {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionAborted => HttpError::Reset,
        ErrorKind::ConnectionRefused => HttpError::Refused("connection refused".to_owned()),
        _ => HttpError::Refused(error.to_string()),
    }
}

async fn connect(address: &Address) -> Result<TcpStream, HttpError> {
    let mut last = HttpError::Refused(format!("{address} has no address"));
    for place in resolve(address).await? {
        match TcpStream::connect(place).await {
            Ok(stream) => {
                // Without it the small pieces of a request wait for each other.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Err(error) => last = read_io(&error),
        }
    }
    Err(last)
}

/// Only a real name is looked up: `localhost` is what RFC 6761 says, also in
/// an image without `/etc/hosts`, and the C library's resolver stays unused.
async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, HttpError> {
    if let Some(addresses) = known(address) {
        return Ok(addresses);
    }
    let found = lookup_host((address.host.as_str(), address.port)).await;
    found.map(Iterator::collect).map_err(|error| HttpError::Refused(format!("{}: {error}", address.host)))
}

fn known(address: &Address) -> Option<Vec<SocketAddr>> {
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port);
    if address.host.eq_ignore_ascii_case("localhost") {
        return Some(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]);
    }
    address.ip().map(|ip| vec![at(ip)])
}

fn reqwest_client(verify_tls: bool) -> reqwest::Result<reqwest::Client> {
    // reqwest takes the process's provider; a second call changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Port 0 stands for the URL's.
    let loopback = [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(crate::USER_AGENT)
        .tls_danger_accept_invalid_certs(!verify_tls)
        .resolve_to_addrs("localhost", &loopback)
        .build()
}

/// The system's error, if there is one in the chain, decides as for hyper.
fn read_reqwest(error: reqwest::Error) -> HttpError {
    let error = anyhow::Error::new(error.without_url());
    match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(io) if io.raw_os_error().is_some() => read_io(io),
        _ => HttpError::Other(format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_both_loopbacks_without_dns() {
        let places = known(&Address { host: "LocalHost".to_owned(), port: 1 }).unwrap();
        assert_eq!(places, ["127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap()]);
        assert_eq!(known(&Address { host: "db".to_owned(), port: 1 }), None);
    }
}
