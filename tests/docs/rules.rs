//! Rules of the code that no compiler checks.

use std::path::Path;

use crate::{read, sources};

/// Longest file, tests included.
const LINES: usize = 400;
const PHASES: [&str; 3] = ["gate", "run", "teardown"];

/// The crate's modules that a file names by `crate::…`, groups included.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let mut depth = 0;
        let mut word = String::new();
        for character in rest.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                c if c.is_alphanumeric() || c == '_' => {
                    word.push(c);
                    continue;
                }
                _ => {}
            }
            if !word.is_empty() {
                found.push(std::mem::take(&mut word));
            }
            // The module's name is over, and so is the group that it was in.
            if depth <= 0 || character == ';' {
                break;
            }
        }
    }
    found
}

/// The module of the first level that a file belongs to: `gate`, `http`, ….
fn module(source: &Path) -> String {
    let inside = source.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_are_read() {
    let names = |text| imports(text).join(" ");
    assert_eq!(names("use crate::gate::{self, GateEnd};"), "gate");
    assert_eq!(names("use crate::runtime;"), "runtime");
    assert_eq!(names("use crate::{run, teardown};"), "run teardown");
    assert_eq!(names("// use crate::run;\nlet x = crate::pod::y();"), "pod");
}

#[test]
fn phases_do_not_know_each_other() {
    for source in sources(&["src"]) {
        let text = read(source.to_str().unwrap());
        let module = module(&source);
        let phases: Vec<_> =
            imports(&text).into_iter().filter(|name| PHASES.contains(&name.as_str())).collect();
        let foreign: Vec<_> = phases.iter().filter(|phase| **phase != module).collect();
        let allowed = match module.as_str() {
            "flow" => true,
            // The rest is below the phases, or beside them.
            _ => foreign.is_empty(),
        };
        assert!(allowed, "{} uses {foreign:?}; only flow.rs knows the phases", source.display());
    }
    let flow = imports(&read("src/flow.rs"));
    assert!(PHASES.iter().all(|phase| flow.iter().any(|name| name == phase)), "flow.rs knows them all");
}

#[test]
fn unsafe_is_in_os_alone() {
    for source in sources(&["src"]) {
        if source.starts_with("src/os") || source == Path::new("src/main.rs") {
            continue;
        }
        for (number, line) in read(source.to_str().unwrap()).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(!words.into_iter().any(|word| word == "unsafe"), "{}:{}", source.display(), number + 1);
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for source in sources(&["src", "tests", "examples", "fuzz/fuzz_targets"]) {
        let lines = read(source.to_str().unwrap()).lines().count();
        assert!(lines <= LINES, "{} has {lines} lines; at most {LINES}", source.display());
    }
}

#[test]
fn doors_are_small() {
    let lines = read("src/main.rs").lines().count();
    assert!(lines <= 25, "src/main.rs has {lines} lines");
}
