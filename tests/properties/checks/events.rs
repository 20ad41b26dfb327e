//! A watch's events do not depend on where the network cut them.

use proa::internals::Events;

/// All that can be told of these pieces: the events, and what is left over.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let (mut events, mut found) = (Events::default(), Vec::new());
    for piece in pieces {
        events.push(piece);
        loop {
            match events.take() {
                Ok(Some(event)) => found.push(format!("{event:?}")),
                Ok(None) => break,
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.len() < 2048, "an error of {} bytes", error.len());
                    found.push(error);
                    return (found, false);
                }
            }
        }
    }
    (found, events.is_empty())
}

pub(super) fn a_watch_in_pieces(data: &[u8]) {
    let Some((size, body)) = data.split_first() else { return };
    let whole = read(std::iter::once(body));
    let lines = body.split(|byte| *byte == b'\n').count() - 1;
    assert!(whole.0.len() <= lines, "more events than lines");
    assert_eq!(whole.1, whole.1 && (body.is_empty() || body.ends_with(b"\n")), "nothing is left of a part");
    assert_eq!(read(body.chunks(1)), whole, "byte by byte");
    assert_eq!(read(body.chunks(usize::from(*size) + 1)), whole, "{size}");
    assert_eq!(read(body.split_inclusive(|byte| *byte == b'\n')), whole, "line by line");
}
