//! The watch of the fake API server: the present state first where the client
//! names no resourceVersion, then each change as it comes.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::answers;
use super::serve::{Secure, client_left, endless, in_pieces, is_cut, parameter, reset};
use super::world::{Change, Fault, Shared, Verb, World};
use crate::harness::http::{head, write_chunk};

/// Streams changes to a request that came when it `began`; false where the
/// connection ends with it.
pub fn watch(
    shared: &Shared,
    query: &str,
    found: bool,
    fault: Option<&Fault>,
    began: Instant,
    out: &mut Secure,
) -> io::Result<bool> {
    let from = parameter(query, "resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
    let seconds = parameter(query, "timeoutSeconds").and_then(|text| text.parse().ok());
    let mut deadline = seconds.map(|seconds| began + Duration::from_secs(seconds));
    let mut answer = head(200, &[("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]);
    answer.extend(b"\r\n");
    out.write_all(&answer)?;
    out.flush()?;
    match fault {
        Some(Fault::GoneEvent) => return gone(shared, out),
        Some(Fault::Endless) => return endless(out),
        Some(Fault::Garbage) => write_chunk(out, b"}{ this is not JSON\n")?,
        Some(Fault::WrongObject(text)) => {
            write_chunk(out, format!("{{\"type\":\"ADDED\",\"object\":{text}}}\n").as_bytes())?;
        }
        Some(Fault::CutJson) => {
            let line = answers::event("BOOKMARK", &answers::bookmark());
            write_chunk(out, &line[..line.len() / 2])?;
            return reset(out.get_ref()).map(|()| false);
        }
        Some(Fault::Mute) => deadline = None,
        Some(Fault::CloseAfter(limit)) => deadline = Some(began + *limit),
        _ => {}
    }
    let compacted = shared.world.lock().unwrap().compacted;
    if from != 0 && from < compacted {
        return gone(shared, out);
    }
    let silent = !found || fault == Some(&Fault::Mute);
    let mut cursor = if from == 0 { None } else { Some(from) };
    loop {
        for change in news(shared, &mut cursor, silent) {
            send(&change, fault, out)?;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return write_chunk(out, b"").map(|()| true);
        }
        if is_cut(shared, began) || client_left(out.get_ref()) {
            return Ok(false);
        }
        let seen = cursor;
        let pause = deadline.map_or(Duration::from_millis(20), |deadline| {
            deadline.saturating_duration_since(Instant::now()).min(Duration::from_millis(20))
        });
        shared.wait(pause, |world| !silent && seen.is_none_or(|seen| world.revision > seen));
    }
}

/// What the client has not seen yet; moves its cursor.
fn news(shared: &Shared, cursor: &mut Option<u64>, silent: bool) -> Vec<Change> {
    let world = shared.world.lock().unwrap();
    if silent {
        return Vec::new();
    }
    let news = match cursor {
        Some(seen) => world.history.iter().filter(|change| change.revision > *seen).cloned().collect(),
        None => present(&world),
    };
    *cursor = Some(world.revision);
    news
}

fn present(world: &World) -> Vec<Change> {
    let added =
        |pod: &serde_json::Value| Change { revision: world.revision, kind: "ADDED", object: pod.clone() };
    world.pod.iter().map(added).collect()
}

fn send(change: &Change, fault: Option<&Fault>, out: &mut Secure) -> io::Result<()> {
    let line = answers::event(change.kind, &change.object);
    if let Some(Fault::Pieces(pause)) = fault {
        let mut chunk = format!("{:x}\r\n", line.len()).into_bytes();
        chunk.extend(&line);
        chunk.extend(b"\r\n");
        return in_pieces(&chunk, *pause, out);
    }
    write_chunk(out, &line)
}

fn gone(shared: &Shared, out: &mut Secure) -> io::Result<bool> {
    let status = answers::status(&shared.world.lock().unwrap(), 410, Verb::Watch, "");
    write_chunk(out, &answers::event("ERROR", &status))?;
    write_chunk(out, b"").map(|()| true)
}
