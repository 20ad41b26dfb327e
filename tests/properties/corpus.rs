//! Every file of the corpus, whoever found it, on the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checks::ALL;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn each_file_passes_its_check() {
    for (name, check) in ALL {
        let files = names(&root().join("fuzz/corpus").join(name));
        assert!(files.len() >= 3, "{name} has {} files", files.len());
        for file in files {
            let data = fs::read(&file).unwrap();
            assert!(data.len() <= 64 * 1024, "{} is too large to keep", file.display());
            // The last line of the output names the file that fails.
            println!("{}", file.display());
            check(&data);
        }
    }
}

#[test]
fn each_check_has_a_corpus_and_a_fuzzer() {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let checks = ALL.map(|(name, _)| name.to_owned());
    for folder in ["fuzz/corpus", "fuzz/fuzz_targets"] {
        let found: Vec<_> = names(&root().join(folder)).iter().map(stem).collect();
        assert_eq!(found, checks, "{folder}");
    }
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in checks {
        let target = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&target), "fuzz/Cargo.toml: {name}");
    }
}
