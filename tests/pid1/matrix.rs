//! The table: which behaviours there are, what came out, and how it looks.

use anyhow::Result;

use crate::case::{Case, Place};

/// A row of the table.
pub struct Behaviour {
    pub what: &'static str,
    pub places: &'static [Place],
    /// About what the others do not have: a gate, a teardown.
    pub proa_only: bool,
    pub run: fn(&Case<'_>) -> Result<()>,
}

impl Behaviour {
    /// As PID 1.
    pub const fn init(what: &'static str, run: fn(&Case<'_>) -> Result<()>) -> Self {
        Self { what, places: &[Place::Init], proa_only: false, run }
    }

    /// Not as PID 1.
    pub const fn plain(what: &'static str, run: fn(&Case<'_>) -> Result<()>) -> Self {
        Self { what, places: &[Place::Plain], proa_only: false, run }
    }

    /// One row for each.
    pub const fn both(what: &'static str, run: fn(&Case<'_>) -> Result<()>) -> Self {
        Self { what, places: &[Place::Init, Place::Plain], proa_only: false, run }
    }

    /// For proa alone.
    pub const fn ours(self) -> Self {
        Self { proa_only: true, ..self }
    }
}

/// What a cell says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be, with a figure where there is one.
    Pass(String),
    Fault(String),
    /// Nothing to show here.
    NotHere(String),
    /// The test itself failed.
    Broken(String),
}

impl Verdict {
    fn text(&self) -> &str {
        match self {
            Self::Pass(note) if note.is_empty() => "pass",
            Self::Pass(note) => note,
            Self::Fault(fault) => fault,
            Self::NotHere(_) => "-",
            Self::Broken(_) => "?",
        }
    }

    fn markdown(&self) -> String {
        match self {
            Self::Pass(_) | Self::NotHere(_) | Self::Broken(_) => self.text().to_owned(),
            Self::Fault(fault) => format!("**{}**", fault.replace('|', "\\|")),
        }
    }
}

/// A row as it is printed.
pub struct Row {
    pub what: String,
    pub verdicts: Vec<Verdict>,
}

/// The table for a screen: a cell's long text goes on in the next line.
pub fn plain(header: &[&str], rows: &[Row]) -> String {
    const FIRST: usize = 46;
    const OTHER: usize = 22;
    let mut text = String::new();
    let header = std::iter::once("").chain(header.iter().copied()).map(str::to_owned).collect();
    let rows = rows.iter().map(|row| {
        let cells = row.verdicts.iter().map(|verdict| verdict.text().to_owned());
        std::iter::once(row.what.clone()).chain(cells).collect::<Vec<_>>()
    });
    for cells in std::iter::once(header).chain(rows) {
        let cells: Vec<_> = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| wrap(cell, if column == 0 { FIRST } else { OTHER }))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for line in 0..height {
            let mut whole = String::new();
            for (column, cell) in cells.iter().enumerate() {
                let width = if column == 0 { FIRST } else { OTHER };
                let piece = cell.get(line).map_or("", String::as_str);
                whole.push_str(&format!("{piece:width$}  "));
            }
            text.push_str(whole.trim_end());
            text.push('\n');
        }
    }
    text
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("never empty");
        if !last.is_empty() && last.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

/// The table for the documents.
pub fn markdown(header: &[&str], rows: &[Row]) -> String {
    let mut text = format!("| behaviour | {} |\n|---{}|\n", header.join(" | "), "|---".repeat(header.len()));
    for row in rows {
        let cells: Vec<_> = row.verdicts.iter().map(Verdict::markdown).collect();
        text.push_str(&format!("| {} | {} |\n", row.what, cells.join(" | ")));
    }
    text
}
