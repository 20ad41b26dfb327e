//! The command lines of the README, as they are written there.

use crate::harness::{Proa, Sidecar, TempDir, binaries};

/// The lines of the indented block that begins with this.
fn block(start: &str) -> String {
    let readme = include_str!("../../README.md");
    let from = readme.find(start).unwrap();
    readme[from..].split("\n\n").next().unwrap().to_owned()
}

/// Only the ports differ, which others on this machine may have.
#[test]
fn the_command_without_the_api_does_what_the_readme_says() {
    let (ready, stop) = (Sidecar::good(), Sidecar::good());
    let line = block("    proa --no-api");
    let ours = line.replace(":15021/", &format!(":{}/", ready.port()));
    let ours = ours.replace(":15020/", &format!(":{}/", stop.port()));
    let folder = TempDir::new();
    folder.script("mycmd", "#!/bin/sh\nexit 7\n");
    std::os::unix::fs::symlink(binaries::proa(), folder.join("proa")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    // The shell is the one that a user types this into; proa takes its place.
    let shell = Proa::new().binary("/bin/sh").args(["-c", &format!("exec {}", ours.trim_start())]);
    shell.env("PATH", path).run().assert_code(7);
    assert_eq!(ready.asked_lines(), ["GET /healthz/ready"]);
    assert_eq!(stop.asked_lines(), ["POST /quitquitquit"]);
}
