//! What few machines can run (skaffold, nix, direnv, just) is right in what it names.

use std::os::unix::fs::PermissionsExt;

use crate::versions::value;
use crate::{read, root};

/// The values of all lines `key: value`, with a dash or without.
fn values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let lines = yaml.lines().map(|line| line.trim().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
}

/// The items of the list below the line `key:`.
fn items<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let below = yaml.lines().skip_while(|line| line.trim() != format!("{key}:")).skip(1);
    below.map_while(|line| line.trim().strip_prefix("- ")).collect()
}

#[test]
fn skaffold_builds_what_it_deploys() {
    let skaffold = read("skaffold.yaml");
    let built: Vec<_> = skaffold.lines().filter_map(|line| line.strip_prefix("  - image: ")).collect();
    let dockerfiles = values(&skaffold, "dockerfile");
    assert_eq!((built.len(), dockerfiles.len()), (3, 3));
    for dockerfile in dockerfiles {
        assert!(read(dockerfile).contains("\nFROM "), "{dockerfile}");
    }
    let manifests = items(&skaffold, "rawYaml");
    assert!(!manifests.is_empty());
    for manifest in manifests {
        for image in values(&read(manifest), "image") {
            let name = image.split(':').next().unwrap();
            assert!(built.contains(&name), "skaffold.yaml does not build {name} of {manifest}");
        }
    }
}

/// The one image that another is made of, by the name that its Dockerfile gives it.
#[test]
fn skaffold_hands_on_the_image_of_proa() {
    let skaffold = read("skaffold.yaml");
    let [alias] = values(&skaffold, "alias")[..] else { panic!("one image that needs another") };
    let needed = skaffold.split("requires:\n").nth(1).unwrap();
    let image = values(needed, "image")[0];
    let dockerfile = read("examples/Dockerfile");
    assert_eq!(value(&dockerfile, &format!("ARG {alias}")), format!("{image}:1"));
    assert!(dockerfile.contains(&format!("\nFROM ${{{alias}}} AS ")));
    assert!(skaffold.contains(&format!("\n  - image: {image}\n")), "skaffold.yaml does not build {image}");
}

#[test]
fn the_flake_has_no_version_of_its_own() {
    let flake = read("flake.nix");
    assert!(flake.contains("importTOML ./Cargo.toml") && flake.contains("inherit (manifest) version;"));
    assert!(flake.contains("fromRustupToolchainFile ./rust-toolchain.toml"));
    assert!(!flake.contains("version = \"") && !flake.contains("rust-bin.stable"));
    for file in flake.split("./").skip(1).map(|rest| rest.split([';', ' ', ')']).next().unwrap()) {
        assert!(root().join(file).exists(), "flake.nix names {file}");
    }
    let alias = flake.split("cargo --frozen ").nth(1).unwrap().split(';').next().unwrap();
    assert!(aliases().contains(&alias.to_owned()), "flake.nix builds with `cargo {alias}`");
    assert_eq!(read(".envrc").trim(), "use flake");
}

/// The aliases of `.cargo/config.toml`.
fn aliases() -> Vec<String> {
    let config = read(".cargo/config.toml");
    let lines = config.lines().filter_map(|line| line.split_once(" = ["));
    lines.map(|(name, _)| name.to_owned()).collect()
}

/// The lines that recipes run, without variables before the command.
fn recipe_lines(justfile: &str) -> Vec<Vec<&str>> {
    let lines = justfile.lines().filter_map(|line| line.strip_prefix("    "));
    let words = lines.map(|line| {
        let line = line.trim_start_matches('@');
        let command = line.split_once("=\"-D warnings\" ").map_or(line, |(_, command)| command);
        command.split_whitespace().skip_while(|word| word.contains('=')).collect()
    });
    words.collect()
}

#[test]
fn just_recipes_name_what_exists() {
    const SUBCOMMANDS: &[&str] = &["clippy", "deny", "doc", "fmt", "run", "test"];
    let manifest = read("Cargo.toml");
    let lines = recipe_lines(&read("justfile")).iter().map(|words| words.join(" ")).collect::<Vec<_>>();
    assert!(lines.len() > 10, "{lines:?}");
    for line in &lines {
        let words: Vec<_> = line.split(' ').collect();
        let named = |option: &str| words.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1]);
        match words[0] {
            "cargo" => {
                let known = SUBCOMMANDS.contains(&words[1]) || aliases().contains(&words[1].to_owned());
                assert!(known, "justfile: {line}");
            }
            "python3" => assert!(root().join(words[1]).exists(), "justfile: {line}"),
            "just" => {}
            script => {
                let file =
                    std::fs::metadata(root().join(script)).unwrap_or_else(|_| panic!("justfile: {line}"));
                assert!(file.permissions().mode() & 0o111 != 0, "{script} is not executable");
            }
        }
        let test = named("--test").is_none_or(|name| {
            root().join(format!("tests/{name}/main.rs")).exists()
                || manifest.contains(&format!("[[test]]\nname = \"{name}\"\n"))
        });
        let example =
            named("--example").is_none_or(|name| root().join(format!("examples/{name}.rs")).exists());
        assert!(test && example, "justfile: {line}");
    }
}

/// What documents call `just NAME` is a recipe.
#[test]
fn just_recipes_in_documents_exist() {
    let justfile = read("justfile");
    for document in ["README.md", "CONTRIBUTING.md", "docs/add-a-sidecar.md"] {
        let text = read(document).replace("\n    ", "`");
        for name in text.split("`just ").skip(1).map(|rest| rest.split(['`', ' ']).next().unwrap()) {
            assert!(justfile.contains(&format!("\n{name}:\n")), "{document}: just {name}");
        }
    }
}
