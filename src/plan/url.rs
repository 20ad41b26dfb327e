//! URLs as users write them. The path and query go out byte for byte, which
//! is why no URL library normalises them here.

use std::fmt;
use std::net::IpAddr;

use hyper::http::uri::PathAndQuery;
use serde::{Deserialize, Serialize};

/// What a URL looks like, for the error message.
pub const EXPECTED: &str = "a URL such as http://localhost:15020/quitquitquit";
/// What an address looks like, for the error message.
pub const EXPECTED_ADDRESS: &str = "HOST:PORT such as localhost:5432 or [::1]:5432";

/// A host and port to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Reads `HOST:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_authority(text)?;
        Some(Self { host, port: port? })
    }

    /// The address, if the host is written as one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// An `http` or `https` URL. Its `Display` and `Debug` leave credentials out.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpUrl {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Whom to connect to.
    pub address: Address,
    /// Path and query as written; never empty.
    pub target: String,
    /// `user:password` as written (percent-encoded), for Basic authentication.
    pub credentials: Option<String>,
}

impl HttpUrl {
    /// Reads an absolute URL. A fragment is dropped: it never goes out
    /// (RFC 9110, section 7.1).
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, authority),
        };
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        PathAndQuery::try_from(target.as_str()).ok()?;
        Some(Self { https, address: Address { host, port }, target, credentials })
    }

    /// The `Host` field: without the port where that is the scheme's own.
    pub fn host_field(&self) -> String {
        let whole = self.address.to_string();
        let default = if self.https { ":443" } else { ":80" };
        whole.strip_suffix(default).map_or(whole.clone(), str::to_owned)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        // A query may hold a secret as well; the path says which endpoint it is.
        let path = self.target.split('?').next().unwrap_or_default();
        write!(out, "{scheme}://{}{path}", self.host_field())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`. The outer None: malformed.
fn split_authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
        (host, port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let bracketed = host.contains(':');
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !(bracketed || host.bytes().all(named)) {
        return None;
    }
    let port = match port {
        // `http://host:/` means the scheme's port (RFC 3986, section 3.2.3).
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, host, port, target) in [
            ("http://localhost:15020/quitquitquit", "localhost", 15020, "/quitquitquit"),
            ("http://127.0.0.1", "127.0.0.1", 80, "/"),
            ("HTTPS://h", "h", 443, "/"),
            ("http://h?a=b", "h", 80, "/?a=b"),
            ("http://[::1]:80/x", "::1", 80, "/x"),
            ("http://h:8/a/../b//%2e%2E/?x=%20&y={1}#frag", "h", 8, "/a/../b//%2e%2E/?x=%20&y={1}"),
            ("http://u:p@ss@h:8/", "h", 8, "/"),
        ] {
            let url = HttpUrl::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (url.address.host.as_str(), url.address.port, url.target.as_str()),
                (host, port, target)
            );
        }
        for text in [
            "",
            "localhost:1/x",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://h:0/",
            "http://h:65536/",
            "http://h:x/",
            "http://h h/",
            "http://h/a b",
            "http://[::1/",
            "http://[zz]/",
            "http://::1/",
            "/quit",
            "http://h\n/",
        ] {
            assert_eq!(HttpUrl::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn credentials_are_kept_but_never_shown() {
        let url = HttpUrl::parse("http://user:secret@h:8/quit?token=secret").unwrap();
        assert_eq!(url.credentials.as_deref(), Some("user:secret"));
        assert_eq!(format!("{url} {url:?}"), "http://h:8/quit http://h:8/quit");
    }

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("db:5432").unwrap().to_string(), "db:5432");
        assert_eq!(Address::parse("[::1]:1").unwrap().to_string(), "[::1]:1");
        for text in ["", "db", "db:", ":1", "db:0", "::1:80", "db:1:2", "[::1]"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
