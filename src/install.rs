//! `--install-to`: an init container brings `proa` into an image without it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use tracing::info;

/// Copies this executable to `path` (a folder means `proa` in it), mode 0555,
/// so that `path` is either absent, the old file or the whole new one.
///
/// # Errors
/// Where the executable cannot be read or the place cannot be written.
pub fn install(path: &Path) -> Result<()> {
    let path = if path.is_dir() { path.join("proa") } else { path.to_owned() };
    let mut from =
        fs::File::open("/proc/self/exe").context("cannot read this executable (/proc/self/exe)")?;
    let name = path.file_name().with_context(|| format!("{} is no file name", path.display()))?;
    // Beside its place, since only a rename within a file system is atomic.
    let part = path.with_file_name(format!(".{}.{}", name.display(), std::process::id()));
    let copied = copy(&mut from, &part).and_then(|()| fs::rename(&part, &path));
    if copied.is_err() {
        drop(fs::remove_file(&part));
    }
    copied.with_context(|| format!("cannot install to {}", path.display()))?;
    info!(path = %path.display(), "installed");
    Ok(())
}

fn copy(from: &mut fs::File, part: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    io::copy(from, &mut to)?;
    to.sync_all()?;
    // Not by the mode of `open`, which the umask would cut.
    fs::set_permissions(part, fs::Permissions::from_mode(0o555))
}
