//! A server of one's own: it answers probes, and stop requests as told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::output::{patience, readable};
use crate::running::Running;

/// A server on a port of 127.0.0.1.
pub struct Server {
    listener: TcpListener,
    pub port: u16,
    /// Connections that are kept without an answer.
    unanswered: Vec<TcpStream>,
}

impl Server {
    pub fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port, unanswered: Vec::new() })
    }

    fn next(&self, run: &Running) -> Result<Option<(TcpStream, String)>> {
        loop {
            let came = readable(&[&self.listener, run.watch()], Instant::now() + patience());
            ensure!(came, "no request");
            if !readable(&[&self.listener], Instant::now()) {
                return Ok(None);
            }
            let (mut stream, _) = self.listener.accept()?;
            stream.set_read_timeout(Some(patience()))?;
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or_default();
            // A TCP probe asks nothing.
            if length > 0 {
                return Ok(Some((stream, String::from_utf8_lossy(&head[..length]).into_owned())));
            }
        }
    }

    /// Waits for a request and never answers it.
    pub fn take_request(&mut self, run: &Running) -> Result<()> {
        let request = self.next(run)?;
        ensure!(request.is_some(), "ends without a request");
        self.unanswered.extend(request.map(|(stream, _)| stream));
        Ok(())
    }

    /// Waits for one request and answers it; None where the program ended.
    pub fn answer_one(&self, run: &Running, status: &str) -> Result<Option<String>> {
        let Some((mut stream, head)) = self.next(run)? else { return Ok(None) };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        Ok(Some(head))
    }

    /// Answers every request until the program ends; returns their number.
    pub fn answer_all(&self, run: &Running, status: &str) -> Result<usize> {
        let mut count = 0;
        while self.answer_one(run, status)?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}
