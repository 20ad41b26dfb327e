//! One connection of the fake API server: TLS, then requests one after the
//! other, each answered as the world and its faults demand.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::answers;
use super::tls::{Shown, pki};
use super::watch::watch;
use super::world::{Fault, Request, Shared, Verb};
use crate::harness::http::{Asked, head, read_request, respond, write_chunk};

pub type Secure = StreamOwned<ServerConnection, TcpStream>;

const JSON: [(&str, &str); 2] =
    [("Content-Type", "application/json"), ("Cache-Control", "no-cache, private")];

/// Serves a connection until either side has had enough.
pub fn connection(shared: &Shared, stream: TcpStream, number: usize, ask: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let began = Instant::now();
    let fault = shared.world.lock().unwrap().fault(Verb::Connect);
    let shown = match fault {
        Some(Fault::Deaf) => return hold(shared, &stream),
        Some(Fault::Reset) => return reset(&stream),
        Some(Fault::OtherCa) => Shown::OtherCa,
        Some(Fault::WrongName) => Shown::WrongName,
        Some(Fault::Expired) => Shown::Expired,
        _ => Shown::Good,
    };
    let tls = ServerConnection::new(pki().server(shown, ask)).map_err(io::Error::other)?;
    let mut input = BufReader::new(StreamOwned::new(tls, stream));
    while let Some(asked) = read_request(&mut input)? {
        // One that was idle when all were cut is dead, too.
        if is_cut(shared, began) || !answer(shared, &asked, number, input.get_mut())? {
            break;
        }
    }
    input.get_mut().conn.send_close_notify();
    input.get_mut().flush()
}

/// Answers one request; false where the connection ends with it.
fn answer(shared: &Shared, asked: &Asked, number: usize, out: &mut Secure) -> io::Result<bool> {
    let verb = verb_of(asked);
    let (authorized, fault) = shared.change(|world| {
        let authorized = asked.header("authorization") == Some(&format!("Bearer {}", world.token));
        let (target, at) = (asked.target.clone(), asked.at);
        world.requests.push(Request { verb, target, authorized, connection: number, at });
        (authorized, world.fault(verb))
    });
    // A page that is not the API's: no business of the authoriser's.
    if !authorized && verb != Verb::Other {
        return refuse(shared, asked, 401, &[], out);
    }
    match fault {
        None => serve(shared, asked, verb, None, out),
        Some(Fault::Status(code)) => refuse(shared, asked, code, &[], out),
        Some(Fault::RetryAfter(code, time)) => refuse(shared, asked, code, &[("Retry-After", time)], out),
        Some(Fault::Html(code)) => {
            respond(out, code, &[("Content-Type", "text/html")], answers::HTML).map(|()| true)
        }
        Some(Fault::Silence) => hold(shared, out.get_ref()).map(|()| false),
        Some(Fault::Reset) => reset(out.get_ref()).map(|()| false),
        Some(fault) => serve(shared, asked, verb, Some(&fault), out),
    }
}

fn verb_of(asked: &Asked) -> Verb {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", "api", "v1", "namespaces", _, "pods", _] => Verb::Get,
        ["", "api", "v1", "namespaces", _, "pods"] if truth(query, "watch") => Verb::Watch,
        ["", "api", "v1", "namespaces", _, "pods"] => Verb::List,
        _ => Verb::Other,
    }
}

fn truth(query: &str, name: &str) -> bool {
    parameter(query, name).is_some_and(|value| value == "true" || value == "1")
}

/// The decoded value of a query parameter.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(known, _)| *known == name)?.1;
    Some(value.replace("%3D", "=").replace("%3d", "="))
}

/// An answer as it should be, but for this fault.
fn serve(
    shared: &Shared,
    asked: &Asked,
    verb: Verb,
    fault: Option<&Fault>,
    out: &mut Secure,
) -> io::Result<bool> {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let (namespace, name) = (parts.get(4).copied(), parts.get(6).copied());
    let selector = parameter(query, "fieldSelector");
    let found = {
        let world = shared.world.lock().unwrap();
        let wanted = match verb {
            Verb::Get => name == Some(&world.name),
            _ => selector == Some(format!("metadata.name={}", world.name)),
        };
        wanted && namespace == Some(&world.namespace)
    };
    match verb {
        Verb::Get if found => {
            let pod = shared.world.lock().unwrap().pod.clone();
            match pod {
                Some(pod) => document(&pod, fault, out),
                None => refuse(shared, asked, 404, &[], out),
            }
        }
        // A real server would give every Pod here; no test may need that.
        Verb::List | Verb::Watch if selector.is_none() => refuse(shared, asked, 403, &[], out),
        Verb::List => {
            let world = shared.world.lock().unwrap();
            let list = if found { answers::list(&world) } else { json!({"kind": "PodList", "items": []}) };
            drop(world);
            document(&list, fault, out)
        }
        Verb::Watch => watch(shared, query, found, fault, asked.at, out),
        _ => refuse(shared, asked, 404, &[], out),
    }
}

fn document(object: &Value, fault: Option<&Fault>, out: &mut Secure) -> io::Result<bool> {
    let text = object.to_string();
    match fault {
        Some(Fault::CutJson) => {
            let mut answer = head(200, &JSON);
            answer
                .extend(format!("Content-Length: {}\r\n\r\n{}", text.len(), &text[..text.len() / 2]).bytes());
            out.write_all(&answer)?;
            out.flush().map(|()| false)
        }
        Some(Fault::Garbage) => respond(out, 200, &JSON, b"}{ this is not JSON").map(|()| true),
        Some(Fault::Endless) => {
            out.write_all(&head(200, &[JSON[0], ("Transfer-Encoding", "chunked")]))?;
            out.write_all(b"\r\n")?;
            endless(out)
        }
        Some(Fault::WrongObject(text)) => respond(out, 200, &JSON, text.as_bytes()).map(|()| true),
        Some(Fault::Pieces(pause)) => {
            let mut answer = head(200, &JSON);
            answer.extend(format!("Content-Length: {}\r\n\r\n", text.len()).bytes());
            answer.extend(text.bytes());
            in_pieces(&answer, *pause, out).map(|()| true)
        }
        _ => respond(out, 200, &JSON, text.as_bytes()).map(|()| true),
    }
}

/// A string of JSON that never ends, until the client has had enough of it.
pub fn endless(out: &mut Secure) -> io::Result<bool> {
    write_chunk(out, b"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"")?;
    loop {
        write_chunk(out, &[b'x'; 8192])?;
    }
}

/// Sends `bytes` in five pieces.
pub fn in_pieces(bytes: &[u8], pause: Duration, out: &mut Secure) -> io::Result<()> {
    for piece in bytes.chunks(bytes.len().div_ceil(5)) {
        out.write_all(piece)?;
        out.flush()?;
        std::thread::sleep(pause);
    }
    Ok(())
}

fn refuse(
    shared: &Shared,
    asked: &Asked,
    code: u16,
    fields: &[(&str, &str)],
    out: &mut Secure,
) -> io::Result<bool> {
    let name = asked.target.split(['/', '?']).nth(6).unwrap_or_default();
    let body = answers::status(&shared.world.lock().unwrap(), code, verb_of(asked), name).to_string();
    respond(out, code, &[&JSON, fields].concat(), body.as_bytes()).map(|()| true)
}

/// Keeps the connection open and says nothing, until the client goes.
fn hold(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut buffer = [0; 1024];
    while !shared.world.lock().unwrap().stopped {
        match io::Read::read(&mut &*stream, &mut buffer) {
            Ok(0) => break,
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                break;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the kernel say RST when the stream is dropped (`SO_LINGER`, 0 s).
pub fn reset(stream: &TcpStream) -> io::Result<()> {
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &at_once)?;
    stream.shutdown(std::net::Shutdown::Read)
}

/// Whether the client has closed or says anything (it has nothing to say).
pub fn client_left(stream: &TcpStream) -> bool {
    let mut byte = [0];
    let waiting = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut byte));
    let blocking = stream.set_nonblocking(false);
    blocking.is_err() || !waiting.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The listener's loop: accepts while somebody is to listen.
pub fn accept(shared: &Arc<Shared>, listener: &std::net::TcpListener, ask: bool) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    loop {
        let mut set = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut set, PollTimeout::from(20_u8)).unwrap_or(0);
        let (stopped, refusing) = {
            let world = shared.world.lock().unwrap();
            (world.stopped, world.fault(Verb::Connect) == Some(Fault::Refuse))
        };
        if stopped || refusing {
            return;
        }
        if ready > 0
            && let Ok((stream, _)) = listener.accept()
        {
            start(shared, stream, ask);
        }
    }
}

fn start(shared: &Arc<Shared>, stream: TcpStream, ask: bool) {
    let number = shared.change(|world| {
        world.accepted += 1;
        world.open += 1;
        world.accepted
    });
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        // A client that goes away is no fault of the server's.
        drop(connection(&shared, stream, number, ask));
        shared.change(|world| world.open -= 1);
    });
}

/// Whether a watch or a connection that began then is to be cut.
pub fn is_cut(shared: &Shared, began: Instant) -> bool {
    let world = shared.world.lock().unwrap();
    world.stopped || world.cut.is_some_and(|cut| cut > began)
}
