//! A stream of another process, read to its end by an own thread, with the
//! time of each line.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// Everything that was read so far; clones look at the same stream.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// When the n-th line was complete.
    times: Vec<Instant>,
    /// Whether there is a stream at all.
    open: bool,
    ended: bool,
}

impl Lines {
    /// Starts to read.
    pub fn read(mut stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        lines.0.0.lock().unwrap().open = true;
        let writer = lines.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            // A pty says EIO where a pipe says end of file.
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                writer.push(&buffer[..count]);
            }
            writer.0.0.lock().unwrap().ended = true;
            writer.0.1.notify_all();
        });
        lines
    }

    fn push(&self, bytes: &[u8]) {
        let mut state = self.0.0.lock().unwrap();
        let count = bytes.split(|byte| *byte == b'\n').count() - 1;
        let now = Instant::now();
        state.times.extend(std::iter::repeat_n(now, count));
        state.bytes.extend_from_slice(bytes);
        self.0.1.notify_all();
    }

    /// What came so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap().bytes).into_owned()
    }

    /// When each complete line came.
    pub fn times(&self) -> Vec<Instant> {
        self.0.0.lock().unwrap().times.clone()
    }

    /// Waits for a line that contains `part`; returns the line and its time.
    pub fn wait_for(&self, part: &str) -> (String, Instant) {
        let start = Instant::now();
        let mut state = self.0.0.lock().unwrap();
        loop {
            let text = String::from_utf8_lossy(&state.bytes).into_owned();
            let complete = text.lines().zip(&state.times).find(|(line, _)| line.contains(part));
            if let Some((line, at)) = complete {
                return (line.to_owned(), *at);
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(
                !state.ended && !left.is_zero(),
                "no line with {part:?} (ended: {}) in:\n{text}",
                state.ended
            );
            state = self.0.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for `part`, in a line that need not be complete.
    pub fn wait_for_part(&self, part: &str) {
        let missing = |state: &mut State| !String::from_utf8_lossy(&state.bytes).contains(part);
        let state = self.0.0.lock().unwrap();
        let (state, result) = self.0.1.wait_timeout_while(state, DEADLINE, missing).unwrap();
        assert!(!result.timed_out(), "no {part:?} in {}", String::from_utf8_lossy(&state.bytes));
    }

    /// Waits a moment for the stream's end: a process that was left behind
    /// may hold it for ever.
    pub fn settle(&self) {
        let state = self.0.0.lock().unwrap();
        let open = |state: &mut State| state.open && !state.ended;
        drop(self.0.1.wait_timeout_while(state, Duration::from_secs(2), open));
    }
}
