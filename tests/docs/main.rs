//! Documents say what the program does, name what exists, and agree on
//! versions; the code keeps the rules that no compiler checks.
//!
//! `PROA_UPDATE_README=1 cargo test --test docs` writes the README's blocks
//! anew from the files and the help text that they are made of.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may stop, speak, read the environment and run a program"
)]

mod assets;
mod commands;
mod paths;
mod readme;
mod rules;
mod sidecars;
mod tests_named;
mod tools;
mod versions;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};

/// The project's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project.
#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The `.rs` files below these folders, relative to the project's.
fn sources(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            // What a cluster leaves there while it runs is none of ours.
            let ours = path != Path::new("tests/cluster/state") && path != Path::new("tests/cluster/obj");
            if entry.file_type().unwrap().is_dir() && ours {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
