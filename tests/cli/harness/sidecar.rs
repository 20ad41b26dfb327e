//! Fake sidecars: HTTP servers that write down what they are asked, and
//! answer as badly as real ones.

use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};
use nix::sys::socket::{bind, listen, setsockopt, socket, sockopt};

use super::apiserver::reset;
use super::http::{Asked, head, read_request, respond};
use super::{DEADLINE, http};

/// How a request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status, with an empty body.
    Status(u16),
    /// 200 with this body.
    Body(Vec<u8>),
    /// 302 to this place.
    Redirect(String),
    /// 429 or 503 with this many seconds in `Retry-After`.
    RetryAfter(u16, u32),
    /// Nothing, for as long as the client waits.
    Hang,
    /// The connection is reset.
    Reset,
    /// The connection is closed in order, without an answer.
    Close,
    /// One byte of the head at a time, for ever.
    SlowHead,
    /// Header fields without end.
    HeaderFlood,
    /// A body without end.
    EndlessBody,
    /// Something that is not HTTP.
    Garbage,
}

type Script = Box<dyn FnMut(&Asked) -> Answer + Send>;

/// A fake sidecar; its threads end with the test.
#[derive(Clone)]
pub struct Sidecar {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Connections that wait to be accepted, for as long as the test runs.
    queue: Arc<Vec<TcpStream>>,
}

struct Shared {
    listener: TcpListener,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    asked: Vec<Asked>,
    accepted: usize,
    script: Script,
}

impl Sidecar {
    /// Answers as `script` says.
    pub fn new(script: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let sidecar = Self::closed(script);
        sidecar.open();
        sidecar
    }

    /// Gives these answers, one after the other; the last one for ever.
    pub fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: VecDeque<Answer> = answers.into_iter().collect();
        let mut last = Answer::Status(200);
        Self::new(move |_| {
            last = answers.pop_front().unwrap_or_else(|| last.clone());
            last.clone()
        })
    }

    /// Answers 200.
    pub fn good() -> Self {
        Self::answering([])
    }

    /// The same on `[::1]` alone; None where there is no IPv6.
    pub fn good_on_ipv6() -> Option<Self> {
        let listener = TcpListener::bind("[::1]:0").ok()?;
        let sidecar = Self::with(listener, |_| Answer::Status(200));
        sidecar.open();
        Some(sidecar)
    }

    /// Has a port, but refuses every connection until [`Self::open`].
    pub fn closed(script: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        Self::with(socket.into(), script)
    }

    fn with(listener: TcpListener, script: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        // Of a socket that does not listen yet, too.
        let address = listener.local_addr().unwrap();
        let state = State { asked: Vec::new(), accepted: 0, script: Box::new(script) };
        let shared = Shared { listener, state: state.into(), changed: Condvar::new() };
        Self { address, shared: Arc::new(shared), queue: Arc::default() }
    }

    /// Has a port where the kernel accepts and nobody ever reads.
    pub fn deaf() -> Self {
        let sidecar = Self::closed(|_| Answer::Hang);
        listen(&sidecar.shared.listener, Backlog::new(64).unwrap()).unwrap();
        sidecar
    }

    /// Has a port where nobody accepts and the queue is full: the kernel does
    /// not even answer.
    pub fn full() -> Self {
        let mut sidecar = Self::closed(|_| Answer::Hang);
        listen(&sidecar.shared.listener, Backlog::new(0).unwrap()).unwrap();
        let limit = Duration::from_millis(100);
        let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&sidecar.address, limit).ok());
        sidecar.queue = Arc::new(queue.collect());
        sidecar
    }

    /// Begins to serve.
    pub fn open(&self) {
        listen(&self.shared.listener, Backlog::new(64).unwrap()).unwrap();
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = shared.listener.accept() {
                shared.change(|state| state.accepted += 1);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL of it.
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// Everything that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().asked.clone()
    }

    /// The same as `METHOD TARGET`.
    pub fn asked_lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.shared.state.lock().unwrap().accepted
    }

    /// Waits until it was asked so often.
    pub fn wait_for(&self, count: usize) -> Vec<Asked> {
        let state = self.shared.state.lock().unwrap();
        let missing = |state: &mut State| state.asked.len() < count;
        let (state, result) = self.shared.changed.wait_timeout_while(state, DEADLINE, missing).unwrap();
        assert!(!result.timed_out(), "asked {} times, not {count}", state.asked.len());
        state.asked.clone()
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let answer = change(&mut state);
        self.changed.notify_all();
        answer
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    while let Some(asked) = read_request(&mut input)? {
        let answer = shared.change(|state| {
            let answer = (state.script)(&asked);
            state.asked.push(asked);
            answer
        });
        if !reply(&answer, input.get_mut())? {
            break;
        }
    }
    Ok(())
}

/// Answers; false where the connection ends with it.
fn reply(answer: &Answer, out: &mut TcpStream) -> io::Result<bool> {
    match answer {
        Answer::Status(code) => respond(out, *code, &[], b"")?,
        Answer::Body(body) => respond(out, 200, &[], body)?,
        Answer::Redirect(place) => respond(out, 302, &[("Location", place)], b"")?,
        Answer::RetryAfter(code, seconds) => {
            respond(out, *code, &[("Retry-After", &seconds.to_string())], b"")?;
        }
        Answer::Hang => {
            out.set_read_timeout(None)?;
            drop(io::copy(out, &mut io::sink()));
            return Ok(false);
        }
        Answer::Reset => return reset(out).map(|()| false),
        Answer::Close => return Ok(false),
        Answer::Garbage => {
            return out.write_all(b"\x15\x03\x01\x00\x02\x02\x50 what?\r\n\r\n").map(|()| false);
        }
        Answer::SlowHead => loop {
            out.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
            std::thread::sleep(Duration::from_millis(50));
        },
        Answer::HeaderFlood => {
            out.write_all(&head(200, &[]))?;
            loop {
                out.write_all(format!("X-Flood: {}\r\n", "x".repeat(1000)).as_bytes())?;
            }
        }
        Answer::EndlessBody => {
            out.write_all(&head(200, &[("Transfer-Encoding", "chunked")]))?;
            out.write_all(b"\r\n")?;
            loop {
                http::write_chunk(out, &[b'x'; 8192])?;
            }
        }
    }
    Ok(true)
}
