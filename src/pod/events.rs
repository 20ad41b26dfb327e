//! A watch's body, piece by piece: one JSON document a line.

use kube::core::WatchEvent;

use super::client::{ApiError, LARGEST, garbage};
use super::document::PodDocument;

/// What has arrived of a watch and was not read yet.
#[derive(Debug, Default)]
pub struct Events {
    buffer: Vec<u8>,
    /// How much of `buffer` is known to hold no line end.
    scanned: usize,
}

impl Events {
    /// Takes the next piece of the body, wherever it was cut.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next event; None where its end has not arrived yet.
    ///
    /// # Errors
    /// [`ApiError::Garbage`]; the rest of the watch is of no more use then.
    pub fn take(&mut self) -> Result<Option<WatchEvent<PodDocument>>, ApiError> {
        while let Some(line) = self.line() {
            if !line.iter().all(u8::is_ascii_whitespace) {
                return serde_json::from_slice(&line).map(Some).map_err(garbage);
            }
        }
        if self.buffer.len() > LARGEST {
            return Err(ApiError::Garbage(format!("an event longer than {LARGEST} bytes")));
        }
        Ok(None)
    }

    /// Whether all that arrived was read.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            return None;
        };
        let rest = self.buffer.split_off(self.scanned + end + 1);
        self.scanned = 0;
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}
