//! Logs: `tracing` to stderr, as text or JSON, and the termination message.
//!
//! The subscriber is our own, put together from `tracing-subscriber`'s parts:
//! its registry of spans would keep 32 kB of every Pod while the command
//! runs, and there are no spans here.

use std::borrow::Cow;
use std::fmt::Write;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::env::{Environment, RUST_LOG};
use crate::os::stdio;

/// How a log line looks (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    #[cfg(feature = "json")]
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
    let started = tracing::subscriber::set_global_default(Lines { filter, format });
    // The second call of a test's process; there is a logger already.
    drop(started);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "proa has a bug; going on")));
}

/// A bare level is meant for `proa`; what is below its libraries is asked for
/// by name (`RUST_LOG=hyper=debug`).
fn filter(text: &str) -> Targets {
    let wanted = Targets::from_str(text).ok().filter(|_| is_meant(text));
    match wanted {
        Some(targets) => match targets.default_level() {
            Some(level) => targets.with_default(level.min(LevelFilter::WARN)).with_target("proa", level),
            None => targets,
        },
        None => Targets::new().with_target("proa", LevelFilter::INFO).with_default(LevelFilter::WARN),
    }
}

/// Whether each directive is a level, a part of `proa`, or `target=level`. A
/// bare word is a target to `Targets`, but more likely a misspelt level.
fn is_meant(text: &str) -> bool {
    let named = |target: &str| target.chars().all(|c| c.is_alphanumeric() || matches!(c, ':' | '_' | '-'));
    !text.trim().is_empty()
        && text.split(',').map(str::trim).all(|directive| match directive.split_once('=') {
            Some((target, _)) => named(target),
            None => {
                LevelFilter::from_str(directive).is_ok()
                    || (directive.starts_with("proa") && named(directive))
            }
        })
}

/// Writes each event as one line.
struct Lines {
    filter: Targets,
    format: LogFormat,
}

impl Lines {
    fn line(&self, event: &Event<'_>) -> Result<String, std::fmt::Error> {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = String::new();
        match self.format {
            LogFormat::Text => {
                write!(line, "{time} {level:>5} {target}: ")?;
                DefaultFields::new().format_fields(Writer::new(&mut line), event)?;
            }
            #[cfg(feature = "json")]
            LogFormat::Json => {
                let mut fields = String::new();
                tracing_subscriber::fmt::format::JsonFields::new()
                    .format_fields(Writer::new(&mut fields), event)?;
                let rest = fields.strip_prefix('{').unwrap_or(&fields);
                let comma = if rest == "}" { "" } else { "," };
                write!(line, r#"{{"timestamp":"{time}","level":"{level}","target":"{target}"{comma}{rest}"#)?;
            }
        }
        line.push('\n');
        Ok(line)
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.filter.would_enable(metadata.target(), metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filter.iter().map(|(_, level)| level).chain(self.filter.default_level()).max()
    }

    fn event(&self, event: &Event<'_>) {
        if let Ok(line) = self.line(event) {
            stdio::write_stderr(line.as_bytes());
        }
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Leaves `message`, cut to 1 KiB, where `kubectl describe pod` shows it. The
/// file is never made: it exists where a kubelet wants it.
pub fn leave_termination_message(message: &str) {
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let Ok(file) = open(TERMINATION_LOG, flags, nix::sys::stat::Mode::empty()) else { return };
    let text = cut(message, TERMINATION_MESSAGE);
    if let Err(error) = nix::unistd::write(&file, text.as_bytes()) {
        tracing::debug!(%error, "no termination message");
    }
}

/// The text in at most so many bytes; what was cut off leaves a mark.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    const MARK: &str = " [...]";
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most.saturating_sub(MARK.len()));
    Cow::Owned(format!("{}{MARK}", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_cut_is_marked() {
        for (text, most, expected) in
            [("short", 5, "short"), ("a longer one", 10, "a lo [...]"), ("äöüäöüäöü", 11, "äö [...]")]
        {
            assert_eq!(cut(text, most), expected);
        }
    }

    #[test]
    fn rust_log() {
        for (text, proa, other) in [
            ("", Some(Level::INFO), Some(Level::WARN)),
            ("nonsense===", Some(Level::INFO), Some(Level::WARN)),
            ("verbose", Some(Level::INFO), Some(Level::WARN)),
            ("!!=info", Some(Level::INFO), Some(Level::WARN)),
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
