//! HTTP/1.1 as far as it takes to send a request without a body and to hear
//! the status of its answer (RFC 9112); each on a connection of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect as connect_to, socket};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Ask, HttpError, connect, known, read_io};

/// The longest answer that is read; nobody looks at it.
const LONGEST_BODY: usize = 64 * 1024;
/// The longest header that is read.
const LONGEST_HEADER: usize = 64 * 1024;
/// The most fields of a header.
const FIELDS: usize = 100;
/// A shorter header is looked at whenever more of it has come, a longer one
/// only where it may have ended: a slow flood must not cost its square.
const SHORT: usize = 1024;

/// A request that is on its way already.
#[derive(Debug)]
pub struct Begun {
    stream: std::net::TcpStream,
    /// How much of the request has been sent.
    sent: usize,
}

/// Connects and sends, without waiting for anything: over loopback, where the
/// kernel does its part at once, that is all there is to sending. None where
/// it has to be waited for, or fails; then nothing has been sent.
pub fn begin(ask: &Ask<'_>) -> Option<Begun> {
    let place = *known(&ask.url.address)?.first()?;
    if ask.url.https || !place.ip().is_loopback() {
        return None;
    }
    let request = request(ask).ok()?;
    let mut stream = connect_at_once(place).ok()?;
    let sent = stream.write(&request).ok().filter(|sent| *sent > 0)?;
    Some(Begun { stream, sent })
}

/// A socket that connects, or will soon.
fn connect_at_once(place: SocketAddr) -> Result<std::net::TcpStream, Errno> {
    let family = if place.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect_to(socket.as_raw_fd(), &SockaddrStorage::from(place)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error),
    }
}

/// Sends the request, or the rest of it; the answer's status, and what
/// follows it.
///
/// # Errors
/// [`HttpError`]
pub async fn exchange(begun: Option<Begun>, ask: &Ask<'_>) -> Result<(u16, Rest), HttpError> {
    let request = request(ask)?;
    let (mut stream, sent) = match begun {
        Some(begun) => (TcpStream::from_std(begun.stream).map_err(|error| read_io(&error))?, begun.sent),
        None => (connect(&ask.url.address).await?, 0),
    };
    let left = request.get(sent..).unwrap_or_default();
    stream.write_all(left).await.map_err(|error| read_io(&error))?;
    let mut answer = Vec::new();
    loop {
        let before = answer.len();
        if stream.read_buf(&mut answer).await.map_err(|error| read_io(&error))? == 0 {
            return Err(HttpError::Reset);
        }
        // From the last line's end on, which may have come before.
        let news = answer.get(before.saturating_sub(2)..).unwrap_or_default();
        let may_end = || news.windows(2).any(|pair| matches!(pair, b"\n\r" | b"\n\n"));
        if (answer.len() <= SHORT || may_end())
            && let Some(head) = Head::read(&answer)?
        {
            return Ok((head.status, Rest { stream, left: head.left }));
        }
        if answer.len() > LONGEST_HEADER {
            return Err(HttpError::Other("the answer's header is too long".to_owned()));
        }
    }
}

/// The request as it goes out.
fn request(ask: &Ask<'_>) -> Result<Vec<u8>, HttpError> {
    let Ask { method, url, headers } = ask;
    // It would end the line too soon, or the whole header.
    if url.target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(HttpError::Other("the path holds a space or a control character".to_owned()));
    }
    let mut text = [method.as_str(), " ", &url.target, " HTTP/1.1\r\n"].concat();
    let mut field = |name: &str, value: &str| text.extend([name, ": ", value, "\r\n"]);
    // A probe may name its own host (`httpHeaders`).
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        field("host", &url.host_field());
    }
    field("user-agent", crate::USER_AGENT);
    // RFC 9112, section 9.6: whoever sends no second request says so.
    field("connection", "close");
    if *method == Method::POST {
        field("content-length", "0");
    }
    if let Some(credentials) = &url.credentials {
        let encoded = STANDARD.encode(percent_decode_str(credentials).collect::<Vec<u8>>());
        field("authorization", &format!("Basic {encoded}"));
    }
    for (name, value) in *headers {
        // From the Pod's specification, or from a variable: anything.
        HeaderName::from_bytes(name.as_bytes()).map_err(|error| HttpError::Other(error.to_string()))?;
        HeaderValue::from_str(value).map_err(|error| HttpError::Other(error.to_string()))?;
        field(name, value);
    }
    text.push_str("\r\n");
    Ok(text.into_bytes())
}

/// What matters of an answer's header.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// How much of the body is still to come, at most.
    left: usize,
}

impl Head {
    /// Reads the header of the final answer, which others of the 100s may
    /// precede; None where it has not ended.
    fn read(mut answer: &[u8]) -> Result<Option<Self>, HttpError> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; FIELDS];
            let mut head = httparse::Response::new(&mut fields);
            let length = match head.parse(answer) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) => return Ok(None),
                Err(error) => return Err(HttpError::Other(format!("not an HTTP answer: {error}"))),
            };
            answer = answer.get(length..).unwrap_or_default();
            // Three digits, says the parser; the first is a class from 1 on (RFC 9110, section 15).
            let status = head.code.filter(|code| *code >= 100);
            let status = status.ok_or_else(|| HttpError::Other("an answer without a status".to_owned()))?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let told = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
            let told = told.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
            let body = if matches!(status, 204 | 304) { 0 } else { told.unwrap_or(LONGEST_BODY) };
            return Ok(Some(Self { status, left: body.min(LONGEST_BODY).saturating_sub(answer.len()) }));
        }
    }
}

/// What follows the header of an answer.
#[derive(Debug)]
pub struct Rest {
    stream: TcpStream,
    left: usize,
}

impl Rest {
    /// Reads it, as a polite client does, and drops it: the server would see a
    /// reset connection otherwise.
    pub async fn read(mut self) {
        let mut piece = Vec::with_capacity(self.left.min(4096));
        while self.left > 0 {
            piece.clear();
            match self.stream.read_buf(&mut piece).await {
                Ok(length @ 1..) => self.left = self.left.saturating_sub(length),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Option<(u16, usize)> {
        Head::read(answer.as_bytes()).unwrap().map(|head| (head.status, head.left))
    }

    #[test]
    fn headers() {
        for (answer, expected) in [
            ("", None),
            ("HTTP/1.1 200 OK\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Some((200, 2))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", Some((200, 3))),
            ("HTTP/1.0 404 no such page\r\n\r\nab", Some((404, LONGEST_BODY - 2))),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", Some((204, 0))),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            (
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                Some((200, 0)),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", Some((200, LONGEST_BODY))),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Some((200, LONGEST_BODY))),
        ] {
            assert_eq!(read(answer), expected, "{answer:?}");
        }
        for answer in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "\x15\x03\x01",
            "HTTP/1.1 99\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
        ] {
            assert!(Head::read(answer.as_bytes()).is_err(), "{answer:?}");
        }
        let flood = "a: b\r\n".repeat(FIELDS + 1);
        assert!(Head::read(format!("HTTP/1.1 200 OK\r\n{flood}\r\n").as_bytes()).is_err());
    }
}
