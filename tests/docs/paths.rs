//! Every path and link in a document leads to something.

use std::fs;
use std::path::Path;

use crate::{read, root, sources};

const FOLDERS: &[&str] =
    &["src/", "tests/", "docs/", "examples/", "benches/", "fuzz/", ".ci/", ".cargo/", ".github/"];

fn is_markdown(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "md")
}

fn documents() -> Vec<String> {
    let top = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"];
    let top = top.map(str::to_owned);
    let docs = fs::read_dir(root().join("docs")).unwrap().flatten();
    let docs = docs.map(|entry| format!("docs/{}", entry.file_name().display()));
    top.into_iter().chain(docs.filter(|path| is_markdown(path))).collect()
}

/// The words of a text that begin with one of `folders`.
fn paths<'a>(text: &'a str, folders: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let words = text.split(|c: char| c.is_whitespace() || "`()[]<>\"'=,;|".contains(c));
    let trimmed = words.map(|word| word.trim_end_matches(['.', ':', '/']));
    // `{{…}}` is for the reader of a justfile or a workflow to fill in.
    trimmed.filter(|word| !word.contains("{{") && folders.iter().any(|folder| word.starts_with(folder)))
}

#[track_caller]
fn assert_exists(document: &str, path: &str) {
    // What runs leave behind is not there in a fresh clone.
    let made = ["bin", "images", "obj", "state"].iter().any(|folder| {
        path.strip_prefix("tests/cluster/").is_some_and(|rest| rest.split('/').next() == Some(folder))
    });
    assert!(made || root().join(path).exists(), "{document} names {path}, which does not exist");
}

#[test]
fn paths_in_documents_exist() {
    let files = ["Dockerfile", "examples/Dockerfile", "examples/sidecar.Dockerfile", "skaffold.yaml"];
    let ci = [".ci/run", ".ci/release", ".github/workflows/ci.yml", ".github/workflows/release.yml"];
    let more = ["justfile", "flake.nix", "Cargo.toml"].iter().chain(&files).chain(&ci);
    for document in documents().iter().map(String::as_str).chain(more.copied()) {
        for path in paths(&read(document), FOLDERS) {
            assert_exists(document, path);
        }
    }
}

#[test]
fn documents_named_in_the_code_exist() {
    for source in sources(&["src"]) {
        let source = source.to_str().unwrap();
        for path in paths(&read(source), &["docs/", "tests/"]) {
            assert_exists(source, path);
        }
    }
}

#[test]
fn files_named_in_backticks_exist() {
    for document in documents() {
        let text = read(&document);
        for name in text.split('`').skip(1).step_by(2) {
            let ours = [".md", ".toml"].iter().any(|ending| name.ends_with(ending)) && !name.contains('/');
            let folder = root().join(&document);
            let beside = folder.parent().unwrap().join(name).exists();
            assert!(
                !ours || beside || root().join(name).exists(),
                "{document} names {name}, which does not exist"
            );
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        let folder = Path::new(&document).parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            assert!(root().join(folder).join(path).exists(), "{document}: {target} leads nowhere");
            let slug = |heading: &str| {
                let words = heading.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
                words.replace(|c: char| !c.is_alphanumeric() && !['-', '_'].contains(&c), "")
            };
            let there = text.lines().any(|line| line.starts_with('#') && slug(line) == anchor);
            assert!(anchor.is_empty() || there, "{document}: there is no heading for {target}");
        }
    }
}

/// A new example is a row of its table.
#[test]
fn every_example_is_in_the_table() {
    let table = read("examples/README.md");
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let row = format!("\n| [`{name}`]({name}) | ");
        assert!(name == "README.md" || table.contains(&row), "examples/README.md: no row for {name}");
    }
}
