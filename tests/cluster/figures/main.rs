//! The figures that only a cluster can show: proa and proa 0.1.3 in turn.
//!
//! `cargo test --test cluster-figures` prints the tables of `docs/figures.md`, `-- --write` puts
//! them there, and `-- start scale` takes these two alone. The cluster must be up
//! (`tests/cluster/up.sh`), and nothing else should run on the machine. `PROA` names the (static)
//! executable to measure instead of this one, `PROA_PEER` that of proa 0.1.3, which is otherwise
//! built from the registry.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::let_underscore_must_use,
    reason = "a benchmark may stop and talk, and nothing here is shipped"
)]

mod api;
mod contestants;
#[path = "../exits.rs"]
mod exits;
#[path = "../../figures/front.rs"]
#[expect(dead_code, reason = "the other figures use all of it")]
mod front;
mod hold;
#[path = "../kube.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod kube;
#[path = "../manifest.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod manifest;
mod memory;
mod scale;
mod spread;
mod start;
#[path = "../story.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod story;
mod teardown;
mod traffic;

use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A measurement: the name of its place in the document, and what makes its table.
type Part = (&'static str, fn() -> String);

const PARTS: [Part; 5] = [
    ("start", start::measure),
    ("traffic", traffic::measure),
    ("teardown", teardown::measure),
    ("memory", memory::measure),
    ("scale", scale::measure),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (options, names): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with('-'));
    let known = |name: &&String| PARTS.iter().any(|(part, _)| part == name);
    assert!(
        names.iter().all(known) && options.iter().all(|option| *option == "--write"),
        "what is {words:?}?"
    );
    let images = Path::new(ROOT).join("tests/cluster/images.sh");
    let made = Command::new(images).args(["sidecar", "figures"]).status();
    assert!(made.unwrap().success(), "tests/cluster/images.sh sidecar figures has failed");
    for (name, measure) in PARTS {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            let table = measure();
            println!("{name}\n\n{table}");
            if !options.is_empty() {
                write(name, &table);
            }
        }
    }
}

/// Puts a table between its marks in the document.
fn write(name: &str, table: &str) {
    let document = Path::new(ROOT).join("docs/figures.md");
    let text = fs::read_to_string(&document).unwrap();
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).unwrap();
    let (_, after) = rest.split_once(&format!("<!-- /{name} -->\n")).unwrap();
    let text = format!("{before}<!-- {name} -->\n{table}<!-- /{name} -->\n{after}");
    fs::write(document, text).unwrap();
}
