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

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub method: Method,
    pub url: &'a HttpUrl,
    pub headers: &'a [(String, String)],
    /// False for the readiness probes that the kubelet does not verify either.
    pub verify_tls: bool,
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

/// Sends the request and returns the answer's status code as soon as it is
/// there; the body is read to its end (64 KiB at most) behind the scenes.
///
/// # Errors
/// [`HttpError`]
pub async fn send(ask: &Ask<'_>, limit: Duration) -> Result<u16, HttpError> {
    let exchange = async {
        if ask.url.https { send_by_reqwest(ask, limit).await } else { send_by_hyper(ask, limit).await }
    };
    timeout(limit, exchange).await.unwrap_or(Err(HttpError::TimedOut(limit)))
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

async fn send_by_hyper(ask: &Ask<'_>, limit: Duration) -> Result<u16, HttpError> {
    let stream = connect(&ask.url.address).await?;
    let handshake = http1::Builder::new().max_buf_size(LONGEST_HEADER).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| read_hyper(&error))?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request(ask)?).await.map_err(|error| read_hyper(&error))?;
    let status = answer.status().as_u16();
    tokio::spawn(timeout(limit, async move {
        drain(answer).await;
        connection.abort();
    }));
    Ok(status)
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

async fn send_by_reqwest(ask: &Ask<'_>, limit: Duration) -> Result<u16, HttpError> {
    let other =
        |error: reqwest::Error| HttpError::Other(format!("{:#}", anyhow::Error::new(error.without_url())));
    // reqwest takes the process's provider; a second call changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    let address = &ask.url.address;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(limit)
        .user_agent(crate::USER_AGENT)
        .tls_danger_accept_invalid_certs(!ask.verify_tls);
    if let Some(addresses) = known(address) {
        builder = builder.resolve_to_addrs(&address.host, &addresses);
    }
    let credentials = ask.url.credentials.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let url = format!("https://{credentials}{address}{}", ask.url.target);
    let method = reqwest::Method::from_bytes(ask.method.as_str().as_bytes()).unwrap_or_default();
    let mut request = builder.build().map_err(other)?.request(method, url);
    if ask.method == Method::POST {
        request = request.header(CONTENT_LENGTH, 0);
    }
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) if error.is_timeout() => Err(HttpError::TimedOut(limit)),
        Err(error) => Err(read_reqwest(error)),
    }
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
