//! One HTTP request without a body: readiness probes and stop requests.
//!
//! Plain HTTP is spoken by ourselves (`plain`): the path goes out byte for
//! byte, and a stop request is on its way in some microseconds. HTTPS is left
//! to reqwest (`tls`). Neither follows redirects nor uses a proxy of the
//! environment.

mod plain;
mod tls;

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::Method;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::plan::url::{Address, HttpUrl};
pub use plain::{Begun, begin};

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
        self.go_on(None, ask, limit).await
    }

    /// The same from where `begun` has got to.
    ///
    /// # Errors
    /// [`HttpError`]
    pub async fn go_on(
        &mut self,
        begun: Option<Begun>,
        ask: &Ask<'_>,
        limit: Duration,
    ) -> Result<u16, HttpError> {
        let exchange = async {
            if ask.url.https { self.by_tls(ask).await } else { self.in_plain(begun, ask, limit).await }
        };
        timeout(limit, exchange).await.unwrap_or(Err(HttpError::TimedOut(limit)))
    }

    async fn in_plain(&self, begun: Option<Begun>, ask: &Ask<'_>, limit: Duration) -> Result<u16, HttpError> {
        let (status, rest) = plain::exchange(begun, ask).await?;
        if self.keeps_reading {
            tokio::spawn(timeout(limit, rest.read()));
        } else {
            drop(timeout(REST_OF_PROBE, rest.read()).await);
        }
        Ok(status)
    }

    async fn by_tls(&mut self, ask: &Ask<'_>) -> Result<u16, HttpError> {
        let client = match &self.https {
            Some(client) => client,
            None => self.https.insert(tls::client(self.verify_tls)?),
        };
        tls::exchange(client, ask).await
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
            Ok(stream) => return Ok(stream),
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
