//! The README's table of known sidecars says what `src/sidecars.rs` says.

use crate::read;

/// The text between `start` and the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inner, _)| inner)
}

/// Every string literal in `text`.
fn literals(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// What of a row must be seen in the README.
fn facts(row: &str) -> Vec<String> {
    let lists = ["containers: &[", "images: &["].into_iter().filter_map(|list| between(row, list, "]"));
    let mut facts: Vec<_> = lists.flat_map(literals).map(|name| format!("`{name}`")).collect();
    if let Some(stop) =
        between(row, "Stop::Http {", "\n        }").or_else(|| between(row, "Stop::Http {", "},\n"))
    {
        let method = between(stop, "Method::", ",").unwrap_or_default().to_uppercase();
        let path = between(stop, "path: \"", "\"").unwrap_or_default();
        let port = between(stop, "fixed(", ")").or_else(|| between(stop, "default: ", ","));
        facts.push(format!("`{method} :{}", port.unwrap_or_default()));
        facts.push(format!("{path}`"));
    }
    facts
}

#[test]
fn the_table_is_that_of_the_code() {
    let source = read("src/sidecars.rs");
    let readme = read("README.md");
    let table = between(&source, "pub static TABLE", "\n];").unwrap();
    let rows: Vec<_> = table.split("    Known {").skip(1).collect();
    assert!(rows.len() > 10, "the table was not found");
    for row in &rows {
        let title = between(row, "title: \"", "\"").unwrap();
        let documented = readme.lines().find(|line| line.starts_with(&format!("| {title} | ")));
        let documented = documented.unwrap_or_else(|| panic!("README.md has no row for {title}"));
        for fact in facts(row) {
            assert!(documented.contains(&fact), "README.md, {title}: {fact} is missing");
        }
    }
    let section = between(&readme, "| sidecar | container name", "\n\n").unwrap();
    assert_eq!(section.lines().count(), rows.len() + 2, "rows of the README's table, its head included");
}
