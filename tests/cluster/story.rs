//! What happened in a Pod: log lines of all its containers in one order, and how each ended.

use std::fmt;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::kube::statuses;

/// The last end of a container, as the kubelet tells it (times are whole seconds).
#[derive(Debug)]
pub struct End {
    pub code: i64,
    pub reason: String,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub restarts: i64,
    pub message: String,
}

/// The tale of one Pod.
pub struct Story {
    pod: Value,
    /// `container: text`, by time.
    lines: Vec<(Timestamp, String)>,
}

impl Story {
    /// `logs` are those of `kubectl logs --timestamps`, with their containers' names.
    pub fn new(pod: &Value, logs: impl Iterator<Item = (String, String)>) -> Self {
        let mut lines: Vec<_> = logs
            .flat_map(|(container, log)| log.lines().map(|text| line(&container, text)).collect::<Vec<_>>())
            .collect();
        lines.sort_by_key(|(time, _)| *time);
        Self { pod: pod.clone(), lines }
    }

    /// How a container ended; it must have.
    #[track_caller]
    pub fn end(&self, container: &str) -> End {
        let status = statuses(&self.pod).find(|status| status["name"] == container);
        let status = status.unwrap_or_else(|| panic!("the Pod has no status of {container}"));
        let ended = &status["state"]["terminated"];
        assert!(ended.is_object(), "{container} has not ended: {}", status["state"]);
        let text = |field: &str| ended[field].as_str().unwrap_or_default().to_owned();
        End {
            code: ended["exitCode"].as_i64().unwrap(),
            reason: text("reason"),
            started: text("startedAt").parse().unwrap(),
            finished: text("finishedAt").parse().unwrap(),
            restarts: status["restartCount"].as_i64().unwrap(),
            message: text("message"),
        }
    }

    /// Checks exit codes: `[("main", 0), ("sidecar", 0)]`.
    #[track_caller]
    pub fn codes(&self, expected: &[(&str, i64)]) {
        for (container, code) in expected {
            let end = self.end(container);
            assert_eq!(end.code, *code, "{container} ended with {end:?}");
        }
    }

    /// Checks that lines with these texts (`"main: hello"`) came, in this order.
    #[track_caller]
    pub fn in_order(&self, texts: &[&str]) {
        let mut lines = self.lines.iter();
        for text in texts {
            let found = lines.any(|(_, line)| line.contains(text));
            assert!(found, "no {text:?}, or not in the order {texts:?}");
        }
    }

    /// When the first line with this text came.
    #[track_caller]
    pub fn time(&self, text: &str) -> Timestamp {
        let found = self.lines.iter().find(|(_, line)| line.contains(text));
        found.unwrap_or_else(|| panic!("no {text:?}")).0
    }

    /// When the first line with this text came after that moment.
    #[track_caller]
    pub fn time_after(&self, moment: Timestamp, text: &str) -> Timestamp {
        let found = self.lines.iter().find(|(time, line)| *time > moment && line.contains(text));
        found.unwrap_or_else(|| panic!("no {text:?} after {moment}")).0
    }

    pub fn has(&self, text: &str) -> bool {
        self.lines.iter().any(|(_, line)| line.contains(text))
    }

    /// The lines with this text.
    pub fn lines<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().map(|(_, line)| line.as_str()).filter(move |line| line.contains(text))
    }

    /// Checks that proa had nothing to warn of.
    #[track_caller]
    pub fn no_warnings(&self) {
        let warns = |line: &str| line.contains(" WARN ") || line.contains(" ERROR ");
        assert!(!self.lines.iter().any(|(_, line)| warns(line)), "there are warnings");
    }
}

impl fmt::Display for Story {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            to,
            "---- what happened in {}",
            self.pod["metadata"]["namespace"].as_str().unwrap_or_default()
        )?;
        self.lines.iter().try_for_each(|(time, line)| writeln!(to, "{time} {line}"))
    }
}

/// A line with the runtime's time in front, and often its own behind: that one is exact.
fn line(container: &str, text: &str) -> (Timestamp, String) {
    let (read, text) = text.split_once(' ').unwrap_or((text, ""));
    let own = text.split_once(' ').and_then(|(first, rest)| Some((first.parse().ok()?, rest)));
    let (time, text) = own.unwrap_or_else(|| (read.parse().unwrap(), text));
    (time, format!("{container}: {text}"))
}
