//! SPEC section 6: surroundings that a wrapper must not mind.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use nix::libc;
use nix::unistd::geteuid;

use crate::harness::pods::{ready, terminate};
use crate::harness::{Api, Container, Done, Pod, Proa, Sidecar, TempDir, Verb, binaries, not_run_here, pid1};

const SECOND: Duration = Duration::from_secs(1);

/// Through gate, run and teardown with one sidecar; the command ends with 7.
fn whole_life(set: impl FnOnce(Proa) -> Proa) -> Done {
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]).grace(60));
    let run = set(Proa::new().api(&api).args(["-p", &sidecar.url("/quit")]).child("exit 7")).spawn();
    api.wait_for(Verb::Watch, 1);
    api.update(|pod| ready(pod, "proxy"));
    sidecar.wait_for(1);
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "proxy", 0));
    // The API server's files go with it, so it has to stay until the end.
    run.wait()
}

#[test]
fn odd_signal_settings_at_the_start_do_no_harm() {
    for options in
        ["--ignore 17", "--block", "--block --ignore 17 --ignore 15 --ignore 13", "--ignore 1 --ignore 2"]
    {
        whole_life(|run| run.after_launch(options)).assert_code(7);
        if pid1::prefix("odd_signal_settings_at_the_start_do_no_harm").is_some() {
            whole_life(|run| run.pid1().after_launch(options)).assert_code(7);
        }
    }
}

#[test]
fn closed_descriptors_do_no_harm() {
    for options in ["--close 0", "--close 1", "--close 2", "--close 0 --close 1 --close 2"] {
        whole_life(|run| run.after_launch(options)).assert_code(7);
    }
}

/// A descriptor that was closed must not become one of ours in the command:
/// who writes to it would write to our socket.
#[test]
fn closed_descriptors_are_nobody_elses_in_the_command() {
    for number in 0..3 {
        let run = Proa::without_api().after_launch(&format!("--close {number}"));
        let script = format!("readlink /proc/$$/fd/{number} >&$((2 - {number} / 2)) || echo closed");
        let done = run.sh(&script).run();
        let seen = format!("{}{}", done.stdout, done.stderr.lines().last().unwrap_or_default());
        assert!(!seen.contains("socket") && !seen.contains("anon_inode"), "{number}: {seen}");
    }
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn full_streams_do_no_harm() {
    whole_life(|run| run.stderr(full()).env("RUST_LOG", "trace")).assert_code(7);
    whole_life(|run| run.stderr(full()).stdout(full())).assert_code(7);
    Proa::new().args(["--help"]).stdout(full()).run();
    Proa::new().args(["--no-such-option"]).stderr(full()).run().assert_code(2);
}

/// A pipe that nobody reads, filled to the brim.
fn clogged_pipe() -> (File, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    for end in [&reader, &writer] {
        let flag = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        nix::fcntl::fcntl(end, flag).unwrap();
    }
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    nix::unistd::write(&writer, &[b'x'; 4096]).unwrap();
    (File::from(reader), writer)
}

#[test]
fn a_pipe_that_nobody_reads_does_no_harm() {
    let (mut reader, writer) = clogged_pipe();
    whole_life(|run| run.stderr(writer).env("RUST_LOG", "trace")).assert_code(7);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("xxx"));
}

#[test]
fn a_pipe_without_a_reader_does_no_harm() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    whole_life(|run| run.stderr(writer).env("RUST_LOG", "trace")).assert_code(7);
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    Proa::new().args(["--help"]).stdout(writer).run();
}

#[test]
fn sixteen_descriptors_are_enough() {
    whole_life(|run| run.after_shell("ulimit -n 16")).assert_code(7);
}

#[test]
fn no_new_privileges_do_no_harm() {
    whole_life(|run| run.after_launch("--no-new-privileges")).assert_code(7);
}

/// As root only: another user, without capabilities and without an entry in
/// `/etc/passwd`. False, and a line about it, for everybody else.
fn can_change_user(test: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        not_run_here(test, "it takes root to become another user");
    }
    root
}

/// Copies of the programs where every user may run them: the project may lie in a folder that is
/// root's alone.
struct Programs(TempDir);

impl Programs {
    fn for_all() -> Self {
        let folder = TempDir::new();
        for (program, name) in [(binaries::proa(), "proa"), (binaries::child(), "child")] {
            // Not by this process: what it has open for writing, a fork beside us would hold open
            // too, and such a file cannot be run.
            let copied = Command::new("cp").arg(program).arg(folder.join(name)).status();
            assert!(copied.unwrap().success());
        }
        Self(folder)
    }

    /// This run, made of the copies.
    fn of(&self, run: Proa, mode: &str) -> Proa {
        let child = self.0.join("child").into_os_string();
        run.binary(self.0.join("proa")).command([child].into_iter().chain(mode.split(' ').map(Into::into)))
    }
}

const NOBODY: [&str; 7] = [
    "setpriv",
    "--reuid=54321",
    "--regid=54321",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--no-new-privs",
];

#[test]
fn any_user_will_do() {
    if !can_change_user("any_user_will_do") {
        return;
    }
    let programs = Programs::for_all();
    let done = whole_life(|run| programs.of(run, "exit 7").after(NOBODY));
    done.assert_code(7);
    let done = programs.of(Proa::without_api(), "describe").after(NOBODY).run().assert_code(0);
    assert!(done.stdout.contains("\"uid\":54321"), "{}", done.stdout);
}

#[test]
fn where_no_process_can_be_started_the_sidecars_are_told() {
    if !can_change_user("where_no_process_can_be_started_the_sidecars_are_told") {
        return;
    }
    let sidecar = Sidecar::good();
    let words = ["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups", "prlimit", "--nproc=1"];
    let programs = Programs::for_all();
    let run = programs.of(Proa::without_api(), "exit 7").after(words).args(["-p", &sidecar.url("/quit")]);
    let done = run.run().assert_code(125);
    assert_eq!(sidecar.asked_lines(), ["POST /quit"]);
    done.assert_stderr(["cannot start"]);
}

/// In a mount namespace whose `/proc`, `/tmp`, `/etc` and `/sys` are empty and
/// read-only.
#[test]
fn an_empty_file_system_does_no_harm() {
    let test = "an_empty_file_system_does_no_harm";
    let Some(prefix) = pid1::mount_prefix(test) else { return };
    let script = "set -e
    for place in /proc /etc /sys; do mount -t tmpfs -o ro,size=4k tmpfs $place; done
    exec \"$@\"";
    let done = whole_life(|run| run.after(prefix).after(["sh", "-c", script, "sh"]));
    done.assert_code(7);
}

#[test]
fn little_memory_is_enough() {
    // Address space, which a cgroup's limit is not: several times of it.
    whole_life(|run| run.after_shell("ulimit -v 65536; ulimit -s 256")).assert_code(7);
}

#[test]
fn a_command_that_closes_its_streams_does_no_harm() {
    let run = Proa::without_api().sh("exec <&- >&- 2>&-; sleep 0.2; exit 7").run();
    run.assert_code(7).assert_took(Duration::ZERO..10 * SECOND);
}

#[test]
fn many_signals_and_orphans_at_once_do_no_harm() {
    let script = "for i in 1 2 3 4 5 6 7 8; do (sh -c 'kill -CONT $PPID' &); done; exit 7";
    for _ in 0..5 {
        let run = Proa::without_api().sh(script).spawn();
        let pid = run.pid();
        for _ in 0..200 {
            crate::harness::process::kill(pid, libc::SIGCONT);
            crate::harness::process::kill(pid, libc::SIGWINCH);
        }
        run.wait().assert_code(7);
    }
}

/// The wall clock is set by a day in the gate, and back by two while the
/// command runs: no wait and no deadline is measured by it.
#[test]
fn a_clock_that_is_set_by_a_day_does_no_harm() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !std::path::Path::new(library).exists() {
        let test = "a_clock_that_is_set_by_a_day_does_no_harm";
        return not_run_here(test, "Debian's package libfaketime is missing");
    }
    let sidecar = Sidecar::good();
    let api = Api::serving(Pod::of([Container::not_ready("proxy")]).grace(60));
    let folder = TempDir::new();
    let clock = folder.write("clock", "+0d");
    let run = Proa::new().api(&api).args(["-p", &sidecar.url("/quit"), "--startup-timeout=1h"]);
    let run = run.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock);
    let run = run.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let run = run.child("on 12 exit 7").spawn();
    run.stderr.wait_for("waiting for the sidecars");
    api.wait_for(Verb::Watch, 1);
    folder.write("clock", "+1d");
    api.update(|pod| ready(pod, "proxy"));
    run.stdout.wait_for("ready");
    folder.write("clock", "-1d");
    run.signal(libc::SIGUSR2);
    sidecar.wait_for(1);
    api.wait_for(Verb::Watch, 2);
    api.update(|pod| terminate(pod, "proxy", 0));
    let done = run.wait().assert_code(7);
    let days: std::collections::BTreeSet<_> =
        done.stderr.lines().filter(|line| line.contains("Z ")).map(|line| &line[..10]).collect();
    assert_eq!(days.len(), 3, "{}", done.stderr);
    assert!(done.elapsed < 20 * SECOND, "{:?}", done.elapsed);
    assert!(!done.stderr.contains("WARN"), "{}", done.stderr);
}
