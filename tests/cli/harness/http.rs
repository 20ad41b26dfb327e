//! Just enough of HTTP/1.1 (RFC 9112) for fake servers: one request in, and
//! pieces of an answer out.

use std::io::{self, BufRead, Read, Write};
use std::time::Instant;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// Request line and header fields as they came, line by line.
    pub head: Vec<String>,
    /// The body, as long as `Content-Length` says.
    pub body: Vec<u8>,
    /// When its head was complete.
    pub at: Instant,
}

impl Asked {
    /// The value of a header field, if it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.iter().skip(1).filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Method and target, as a test compares them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// Reads the next request; None where the client has closed in order.
pub fn read_request(input: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        match line.trim_end_matches(['\r', '\n']) {
            "" if head.is_empty() => {}
            "" => break,
            text => head.push(text.to_owned()),
        }
    }
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut asked = Asked { method, target, head, body: Vec::new(), at: Instant::now() };
    let length = asked.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    input.take(length).read_to_end(&mut asked.body)?;
    Ok(Some(asked))
}

/// Writes a whole answer in one piece.
pub fn respond(out: &mut impl Write, status: u16, fields: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    let mut answer = head(status, fields);
    answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    answer.extend_from_slice(body);
    out.write_all(&answer)?;
    out.flush()
}

/// Status line and fields, without the empty line that ends them.
pub fn head(status: u16, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in fields {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Writes one chunk (RFC 9112, section 7.1); an empty one ends the body.
pub fn write_chunk(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    out.write_all(&chunk)?;
    out.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Whatever",
    }
}
