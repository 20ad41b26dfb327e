//! A memory limit: a control group, version 1 or 2.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::case::NotHere;

/// A group that goes when this value goes.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// A group with this limit in bytes.
    pub fn new(name: &str, limit: u64) -> Result<Self> {
        // The cell's own PID is 1 in its namespace; cells differ by name.
        for (root, file) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let group = Self(Path::new(root).join(format!("pid1-test-{name}")));
            if fs::create_dir(&group.0).is_ok() && fs::write(group.0.join(file), limit.to_string()).is_ok() {
                return Ok(group);
            }
        }
        Err(NotHere("no memory control group to be had").into())
    }

    /// Where a process writes `0` to come in.
    pub fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// The most that was used, in bytes.
    pub fn most(&self) -> Option<u64> {
        let files = ["memory.max_usage_in_bytes", "memory.peak"];
        files.iter().find_map(|file| fs::read_to_string(self.0.join(file)).ok()?.trim().parse().ok())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes have ended, and the kernel takes a moment to notice.
        crate::output::until(|| fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}
