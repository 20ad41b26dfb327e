//! Tests that a document names (`cli::gate::…`) exist, and are tests.

use std::path::Path;

use crate::{read, root};

/// The names of tests in a text: suite, module, function.
fn names(text: &str) -> impl Iterator<Item = [&str; 3]> {
    let quoted = text.split('`').skip(1).step_by(2);
    let parts = quoted.filter_map(|name| <[&str; 3]>::try_from(name.split("::").collect::<Vec<_>>()).ok());
    parts.filter(|[suite, ..]| Path::new(root()).join("tests").join(suite).is_dir())
}

#[track_caller]
fn assert_is_a_test([suite, module, function]: [&str; 3]) {
    let file = format!("tests/{suite}/{module}.rs");
    let text = read(&file);
    let found = text.split("#[test]\n").skip(1).any(|rest| {
        let line = rest.lines().find(|line| !line.starts_with("#[")).unwrap_or_default();
        line == format!("fn {function}() {{")
    });
    assert!(found, "{file} has no test {function}");
}

#[test]
fn every_fault_names_the_tests_that_show_it() {
    let text = read("docs/api-faults.md");
    names(&text).for_each(assert_is_a_test);
    let rows: Vec<_> =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).collect();
    let (heads, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.ends_with("| shown by |"));
    assert!(heads.len() == 2 && rows.len() > 15, "{} rows of {} tables", rows.len(), heads.len());
    for row in rows {
        assert_eq!(row.matches(" | ").count(), 4, "not five columns: {row}");
        let shown = row.ends_with("| the same |") || names(row).next().is_some();
        assert!(shown, "no test shows {row}");
    }
}

#[test]
fn tests_named_in_other_documents_exist() {
    for document in
        ["README.md", "CONTRIBUTING.md", "docs/design.md", "docs/figures.md", "tests/cluster/README.md"]
    {
        names(&read(document)).for_each(assert_is_a_test);
    }
}
