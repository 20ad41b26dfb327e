//! Tells `--version` which commit it was built from: that of the checkout, or
//! `PROA_COMMIT` where there is none (a tarball, an image's build context).
//! Neither the time nor a path gets in, so equal sources make equal binaries.
#![expect(clippy::disallowed_methods, reason = "this runs at build time; it is no part of the program")]

use std::env::var;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PROA_COMMIT");
    let given = var("PROA_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(of_checkout).map(|commit| format!(" ({commit})"));
    println!("cargo::rustc-env=BUILT_FROM={}", commit.unwrap_or_default());
}

/// `<12 hex>, <date>` of HEAD, if this very folder is a checkout: a tarball
/// unpacked inside somebody's repository is not theirs.
fn of_checkout() -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    watch();
    let line = git(&["log", "-1", "--no-show-signature", "--format=%H %cs"])?;
    let (hash, date) = line.split_once(' ')?;
    Some(format!("{}, {date}", hash.get(..12)?))
}

/// Has cargo run this again when HEAD is another commit: HEAD itself, the
/// branch it names, and the file that branches are packed into.
fn watch() {
    let place = |name: &str| git(&["rev-parse", "--git-path", name]).map(PathBuf::from);
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        // A branch that is packed has no file until its next commit; cargo
        // looks into folders, and takes what is missing for changed.
        let place = place(name).filter(|_| name != "packed-refs" || place(name).is_some_and(|p| p.exists()));
        let there = place.as_deref().and_then(|place| place.ancestors().find(|path| path.exists()));
        if let Some(there) = there {
            println!("cargo::rerun-if-changed={}", there.display());
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
