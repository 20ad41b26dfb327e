//! Logs: `tracing` to stderr, as text or JSON, and the termination message.

use std::io::{self, Write};
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::env::{Environment, RUST_LOG};
use crate::os::stdio;

/// How a log line looks (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Where the kubelet looks for a container's last words
/// (`terminationMessagePath`'s default).
const TERMINATION_LOG: &str = "/dev/termination-log";
/// The kubelet shares 12 KiB among all containers of a Pod; ours stay short.
const TERMINATION_MESSAGE: usize = 1024;

/// Starts logging. `RUST_LOG` that cannot be read counts as `info`.
pub fn start(format: LogFormat, env: &impl Environment) {
    let filter = filter(&env.text(RUST_LOG).unwrap_or_default());
    let registry = tracing_subscriber::registry();
    let text = fmt::layer().with_writer(|| Stderr).with_ansi(false).log_internal_errors(false);
    let started = match format {
        #[cfg(feature = "json")]
        LogFormat::Json => registry.with(text.json().flatten_event(true).with_filter(filter)).try_init(),
        _ => registry.with(text.with_filter(filter)).try_init(),
    };
    // The second call of a test's process; there is a logger already.
    drop(started);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "proa has a bug; going on")));
}

/// A bare level is meant for `proa`; what is below its libraries is asked for
/// by name (`RUST_LOG=hyper=debug`).
fn filter(text: &str) -> Targets {
    let wanted = Targets::from_str(text).ok().filter(|_| !text.trim().is_empty());
    match wanted {
        Some(targets) => match targets.default_level() {
            Some(level) => targets.with_default(level.min(LevelFilter::WARN)).with_target("proa", level),
            None => targets,
        },
        None => Targets::new().with_target("proa", LevelFilter::INFO).with_default(LevelFilter::WARN),
    }
}

struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        stdio::write_stderr(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Leaves `message`, cut to 1 KiB, where `kubectl describe pod` shows it. The
/// file is never made: it exists where a kubelet wants it.
pub fn leave_termination_message(message: &str) {
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = open(TERMINATION_LOG, flags, nix::sys::stat::Mode::empty()) else { return };
    let end = message.floor_char_boundary(TERMINATION_MESSAGE);
    let text = message.get(..end).unwrap_or_default();
    if let Err(error) = nix::unistd::write(&file, text.as_bytes()) {
        tracing::debug!(%error, "no termination message");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn rust_log() {
        for (text, proa, other) in [
            ("", Some(Level::INFO), Some(Level::WARN)),
            ("nonsense===", Some(Level::INFO), Some(Level::WARN)),
            ("debug", Some(Level::DEBUG), Some(Level::WARN)),
            ("error", Some(Level::ERROR), Some(Level::ERROR)),
            ("proa=debug", Some(Level::DEBUG), None),
            ("hyper=debug", None, Some(Level::DEBUG)),
            ("off", None, None),
        ] {
            let filter = filter(text);
            for (target, most) in [("proa::gate", proa), ("hyper", other)] {
                for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG] {
                    let wanted = most.is_some_and(|most| level <= most);
                    assert_eq!(filter.would_enable(target, &level), wanted, "{text:?} {target} {level}");
                }
            }
        }
    }
}
