//! Where the programs are: the wrapper itself, and the odd children that
//! `tests/children` makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The real binary; `PROA_TEST_BIN` names another build of it (a release, a
/// static one), so that the same tests say something about what is shipped.
pub fn proa() -> PathBuf {
    let other = std::env::var_os("PROA_TEST_BIN").map(PathBuf::from);
    other.unwrap_or_else(|| profile_folder().join("proa"))
}

/// The folder of this build, such as `target/debug`: tests lie in its
/// `deps`, examples in its `examples`.
pub fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().to_owned()
}

/// The child with many modes. `cargo test` builds it beside the tests; with
/// `cargo test --test cli` nobody does, so it is made here.
pub fn child() -> PathBuf {
    static CHILD: OnceLock<PathBuf> = OnceLock::new();
    CHILD.get_or_init(build_child).clone()
}

fn build_child() -> PathBuf {
    let path = profile_folder().join("examples/child");
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/children");
    let sources = std::fs::read_dir(sources).into_iter().flatten().filter_map(Result::ok);
    let newest = sources.filter_map(|source| changed(&source.path())).max();
    if changed(&path).is_none_or(|built| newest.is_some_and(|written| written > built)) {
        build(&["--example", "child"]);
    }
    path
}

/// Has cargo build a part of this package, as this program was built.
pub fn build(what: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet"]).args(what).arg("--manifest-path").arg(manifest);
    command.arg("--target-dir").arg(profile_folder().parent().unwrap());
    if profile_folder().ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().unwrap().success(), "{what:?} does not build");
}
