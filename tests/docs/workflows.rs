//! The workflows of the forge name what exists. They run there alone, so this
//! is all that can be known here: that they are YAML, that each action has a
//! version, and that each script, path and cargo command is one of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::{read, root};

const FOLDER: &str = ".github/workflows";

/// Path and text of each workflow.
fn workflows() -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(root().join(FOLDER))
        .unwrap()
        .map(|entry| format!("{FOLDER}/{}", entry.unwrap().file_name().display()))
        .map(|path| (path.clone(), read(&path)))
        .collect();
    found.sort();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn they_are_yaml_with_jobs_and_steps() {
    let script = "
import sys, yaml
for job in yaml.safe_load(open(sys.argv[1]))['jobs'].values():
    assert job['runs-on'] and job['timeout-minutes'] > 0
    for step in job['steps']:
        assert ('run' in step) != ('uses' in step), step
";
    let present = Command::new("python3").args(["-c", "import yaml"]).output();
    if !present.is_ok_and(|present| present.status.success()) {
        let all = std::env::var_os("PROA_TEST_ALL").is_some_and(|value| value == "1");
        assert!(!all, "python3 with its yaml must be here");
        eprintln!("not tried: python3 has no yaml here");
        return;
    }
    for (path, _) in workflows() {
        let read = Command::new("python3").args(["-c", script, &path]).current_dir(root()).output().unwrap();
        assert!(read.status.success(), "{path}: {}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn each_action_has_a_version() {
    let mut actions = 0;
    for (path, text) in workflows() {
        for used in text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: "))
        {
            actions += 1;
            let version = used.split_once("@v").map(|(_, version)| version.split('.').collect::<Vec<_>>());
            let whole = version.is_some_and(|parts| {
                parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
            });
            assert!(whole, "{path}: {used} is not pinned");
        }
    }
    assert!(actions > 5, "the actions were not found");
}

#[test]
fn commands_are_ours() {
    let aliases = read(".cargo/config.toml");
    let mut commands = 0;
    for (path, text) in workflows().into_iter().chain([(".ci/release".to_owned(), read(".ci/release"))]) {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for (_, rest) in line.match_indices("cargo ").map(|(at, found)| line.split_at(at + found.len())) {
                let command = rest.split_whitespace().find(|word| !word.starts_with('-')).unwrap_or_default();
                let known = ["run", "test", "install", "cyclonedx"].contains(&command);
                assert!(known || aliases.contains(&format!("\n{command} = [")), "{path}: cargo {command}");
                commands += 1;
            }
            for word in line.split_whitespace().filter(|word| word.starts_with(".ci/")) {
                let file = root().join(word.trim_end_matches(':'));
                let mode = fs::metadata(&file).unwrap_or_else(|error| panic!("{path}: {word}: {error}"));
                let script = file.extension().is_none() && !word.ends_with("Dockerfile");
                assert!(!script || mode.permissions().mode() & 0o111 != 0, "{word} cannot be executed");
            }
        }
    }
    assert!(commands > 5, "the commands were not found");
}

#[test]
fn a_release_is_built_as_the_image_is() {
    let release = read(".github/workflows/release.yml");
    let image = read("Dockerfile");
    let image = image.lines().find_map(|line| line.strip_prefix("ARG RUST_IMAGE=")).unwrap();
    assert!(
        release.contains(&format!("\n    container: {image}\n")),
        "release.yml builds elsewhere than Dockerfile"
    );
    // Both images are the same but for how the executable gets there.
    let last = |path: &str| -> Vec<String> {
        let text = read(path);
        let (_, stage) = text.split_once("FROM scratch\n").unwrap();
        let lines = stage.lines().filter(|line| !line.starts_with("COPY") && !line.starts_with("ARG"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(last(".ci/Dockerfile"), last("Dockerfile"));
}
