//! Numbers and tables.

use std::hash::{BuildHasher, Hash, RandomState};

/// A number that is another one in each run; `salt` makes it one's own.
pub fn random(salt: impl Hash) -> u64 {
    RandomState::new().hash_one(salt)
}

/// Many values of one thing, sorted.
#[derive(Clone, Debug, Default)]
pub struct Spread(Vec<f64>);

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl Spread {
    /// The value that this share of all is not above: `at(0.5)` is the median.
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(last as f64 * share).round() as usize]
    }

    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Three digits that count, at most two of them behind the point.
pub fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 99.95 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Markdown; the first row is the head.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut lines: Vec<_> = rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    lines.insert(1, format!("|{}\n", " --- |".repeat(rows[0].len())));
    lines.concat()
}

/// A row of a table: what it is about, and its cells.
pub fn row(title: &str, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(title.to_owned()).chain(cells).collect()
}
