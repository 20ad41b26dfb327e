//! The programs that are compared, and the child that each of them wraps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

/// Whose command line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Proa,
    Tini,
    DumbInit,
    Catatonit,
}

/// Whom signals shall reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whatever the program does without being asked.
    Default,
    /// The child and nobody else.
    Child,
    /// The child's process group.
    Group,
}

/// One contestant.
#[derive(Clone, Debug)]
pub struct Program {
    pub name: &'static str,
    pub path: PathBuf,
    pub family: Family,
    /// Whether it runs where there is no loader and no C library.
    pub is_static: bool,
}

impl Program {
    fn new(name: &'static str, path: PathBuf, family: Family) -> Result<Self> {
        let is_static = is_static(&path).with_context(|| format!("{name}: {}", path.display()))?;
        Ok(Self { name, path, family, is_static })
    }

    pub fn is_proa(&self) -> bool {
        self.family == Family::Proa
    }

    /// The options that make it do its best.
    pub fn options(&self, reach: Reach, is_init: bool) -> Vec<&'static str> {
        match (self.family, reach) {
            (Family::Proa, Reach::Group) => vec!["--no-api", "--signal-group"],
            (Family::Proa, _) => vec!["--no-api"],
            (Family::Tini, Reach::Group) if is_init => vec!["-g"],
            (Family::Tini, Reach::Group) => vec!["-s", "-g"],
            // It reaps for others only if it is told to.
            (Family::Tini, _) if !is_init => vec!["-s"],
            (Family::DumbInit, Reach::Child) => vec!["-c"],
            (Family::Catatonit, Reach::Group) => vec!["-g"],
            _ => vec![],
        }
    }
}

/// proa and the three of Debian; one of them that is not here is a mistake,
/// since the comparison is the point.
pub fn all(proa: Option<PathBuf>) -> Result<Vec<Program>> {
    let own = proa.or_else(|| std::env::var_os("PROA_TEST_BIN").map(PathBuf::from));
    let own = own.or_else(static_build).unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_proa")));
    let debian = |name, family| {
        let path = Path::new("/usr/bin").join(name);
        Program::new(name, path, family).context("apt-get install tini dumb-init catatonit")
    };
    Ok(vec![
        Program::new("proa", fs::canonicalize(own)?, Family::Proa)?,
        debian("tini", Family::Tini)?,
        debian("tini-static", Family::Tini)?,
        debian("dumb-init", Family::DumbInit)?,
        debian("catatonit", Family::Catatonit)?,
    ])
}

/// What `cargo static` has made, if no source is newer.
fn static_build() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("target/release/proa");
    let built = fs::metadata(&path).ok()?.modified().ok()?;
    (newest(&root.join("src")) < built).then_some(path)
}

fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => newest(&entry.path()),
        Ok(data) => data.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        Err(_) => SystemTime::UNIX_EPOCH,
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether an ELF file asks for no interpreter (`PT_INTERP`, `elf(5)`).
fn is_static(path: &Path) -> Result<bool> {
    const PT_INTERP: u32 = 3;
    let file = fs::read(path)?;
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = file.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let (at, size, count) =
        (|| Some((number(32, 8)?, number(54, 2)?, number(56, 2)?)))().context("no ELF file")?;
    ensure!(file.starts_with(b"\x7fELF\x02\x01"), "no 64-bit little-endian ELF file");
    Ok((0..count).all(|index| number(at + index * size, 4) != Some(PT_INTERP as usize)))
}

/// Has cargo build the child of `tests/children`, static, so that it runs in
/// an empty chroot and in little memory.
pub fn build_child() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["rustc", "--quiet", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    build.args(["--example", "child", "--", "-Ctarget-feature=+crt-static"]);
    ensure!(build.status()?.success(), "the child does not build");
    let own = std::env::current_exe()?;
    let built = own.ancestors().nth(2).context("no target folder")?.join("examples/child");
    // A copy: others build it too, dynamic.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pid1-child");
    let fresh = copy.with_extension("new");
    fs::copy(built, &fresh)?;
    fs::rename(fresh, &copy)?;
    ensure!(is_static(&copy)?, "the child is not static");
    Ok(copy)
}
