//! The table, and the budgets that it is held against.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Median and 95th percentile.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub p95: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        Self { median: values[last / 2], p95: values[last * 95 / 100] }
    }
}

/// A value, or a median with its 95th percentile, by program.
type Cells = BTreeMap<&'static str, (f64, Option<f64>)>;

/// Rows in the order in which they were first set.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<(&'static str, Cells)>,
}

/// A row of `proa`, at most this share of the same row of a peer: the goals of
/// `docs/figures.md` with room for a noisy machine.
const RATIOS: [(&str, &str, &str, f64); 9] = [
    ("RSS while the child runs, kB", "RSS while the child runs, no API, kB", "tini-static", 0.7),
    ("anonymous memory, no API, kB", "anonymous memory, no API, kB", "tini-static", 1.5),
    ("anonymous memory, kB", "anonymous memory, no API, kB", "tini-static", 1.6),
    ("size of the file, kB", "size of the file, kB", "proa 0.1.3", 0.6),
    ("ready event -> child, ms", "ready event -> child, ms", "proa 0.1.3", 1.2),
    ("child's end -> stop request, ms", "child's end -> stop request, ms", "proa 0.1.3", 1.4),
    ("whole run of `true`, all ready, CPU ms", "whole run of `true`, all ready, CPU ms", "proa 0.1.3", 0.65),
    ("whole run of `true`, no API, wall ms", "whole run of `true`, no API, wall ms", "tini", 2.0),
    ("API: bytes down", "API: bytes down", "proa 0.1.3", 1.1),
];
/// A row of `proa`, at most this.
const COUNTS: [(&str, f64); 7] = [
    ("threads", 1.0),
    ("descriptors beyond 0-2", 1.0),
    ("wake-ups in 10 s", 0.0),
    ("API: connections", 2.0),
    ("API: requests", 4.0),
    ("peak memory, kB", 8192.0),
    ("peak memory, Pod of 1 MiB, kB", 16384.0),
];

impl Table {
    /// Sets a cell.
    pub fn set(&mut self, row: &'static str, program: &'static str, value: f64) {
        self.cell(row, program, (value, None));
    }

    /// Sets a cell from many runs.
    pub fn spread(&mut self, row: &'static str, program: &'static str, values: impl Iterator<Item = f64>) {
        let spread = Spread::of(values.collect());
        self.cell(row, program, (spread.median, Some(spread.p95)));
    }

    /// Sets a cell to the median of many runs.
    pub fn median(&mut self, row: &'static str, program: &'static str, values: impl Iterator<Item = u64>) {
        let spread = Spread::of(values.map(|value| value as f64).collect());
        self.set(row, program, spread.median);
    }

    fn cell(&mut self, row: &'static str, program: &'static str, value: (f64, Option<f64>)) {
        match self.rows.iter_mut().find(|(name, _)| *name == row) {
            Some((_, cells)) => drop(cells.insert(program, value)),
            None => self.rows.push((row, BTreeMap::from([(program, value)]))),
        }
    }

    fn get(&self, row: &str, program: &str) -> Option<f64> {
        let (_, cells) = self.rows.iter().find(|(name, _)| *name == row)?;
        cells.get(program).map(|(value, _)| *value)
    }

    /// The table; a latency is "median / p95". The last columns are ratios of
    /// medians.
    pub fn markdown(&self) -> String {
        let known = [
            "proa",
            "proa 0.1.3",
            "proa 0.1.3, tuned",
            "tini",
            "tini-static",
            "dumb-init",
            "catatonit",
            "bare C",
        ];
        let here = |name: &&str| self.rows.iter().any(|(_, cells)| cells.contains_key(*name));
        let names: Vec<_> = known.into_iter().filter(here).collect();
        let ratios = ["proa 0.1.3", "tini-static"];
        let mut text = format!(
            "| | {} | {} |\n|---|{}\n",
            names.join(" | "),
            ratios.map(|peer| format!("of {peer}")).join(" | "),
            "---|".repeat(names.len() + ratios.len())
        );
        for (row, cells) in &self.rows {
            write!(text, "| {row} |").unwrap();
            for name in &names {
                match cells.get(name) {
                    Some((median, Some(p95))) => write!(text, " {median:.2} / {p95:.2} |").unwrap(),
                    Some((value, None)) => write!(text, " {value:.0} |").unwrap(),
                    None => text.push_str(" |"),
                }
            }
            for peer in ratios {
                match self.get(row, "proa").zip(self.get(row, peer).filter(|value| *value > 0.0)) {
                    Some((own, other)) => write!(text, " {:.2} |", own / other).unwrap(),
                    None => text.push_str(" |"),
                }
            }
            text.push('\n');
        }
        text
    }

    /// Each budget that is broken, in words.
    pub fn broken_budgets(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (row, peer_row, peer, most) in RATIOS {
            if let (Some(own), Some(other)) = (self.get(row, "proa"), self.get(peer_row, peer))
                && own > other * most
            {
                broken.push(format!("{row}: {own:.2} is more than {most} x {other:.2} of {peer}"));
            }
        }
        for (row, most) in COUNTS {
            if let Some(own) = self.get(row, "proa").filter(|own| *own > most) {
                broken.push(format!("{row}: {own:.0} is more than {most:.0}"));
            }
        }
        broken
    }
}
