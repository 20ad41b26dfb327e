//! SPEC section 8: the sidecar's side, with a file as the sign.

use std::time::{Duration, Instant};

use crate::harness::{Proa, Running, TempDir, pid1, process};

const SECOND: Duration = Duration::from_secs(1);

fn sidecar(folder: &TempDir, options: &[&str], mode: &str) -> Proa {
    let file = folder.join("done");
    Proa::without_api().args(["--quit-file".as_ref(), file.as_os_str()]).args(options).child(mode)
}

fn quits(run: Running, folder: &TempDir, within: Duration) -> crate::harness::Done {
    run.stdout.wait_for("ready");
    let moment = Instant::now();
    folder.write("done", "");
    let done = run.wait().assert_code(0);
    assert!(done.at - moment < within, "{:?}", done.at - moment);
    done
}

#[test]
fn the_file_ends_it_with_0() {
    // Whatever the command makes of SIGTERM.
    for mode in ["wait", "on 15 exit 3", "tell-signals"] {
        for as_pid1 in [false, pid1::prefix("the_file_ends_it_with_0").is_some()] {
            let folder = TempDir::new();
            let run = sidecar(&folder, &[], mode);
            let run = if as_pid1 { run.pid1() } else { run };
            quits(run.spawn(), &folder, 5 * SECOND);
        }
    }
}

#[test]
fn a_command_that_ignores_sigterm_is_killed() {
    let folder = TempDir::new();
    let run = sidecar(&folder, &["--shutdown-timeout", "1s"], "ignore 15").spawn();
    run.stdout.wait_for("ready");
    let child = run.child();
    let moment = Instant::now();
    folder.write("done", "");
    let done = run.wait().assert_code(0);
    let took = done.at - moment;
    assert!((9 * SECOND / 10..8 * SECOND).contains(&took), "{took:?}");
    assert!(!process::alive(child));
}

#[test]
fn a_command_that_ends_by_itself_keeps_its_code() {
    let folder = TempDir::new();
    sidecar(&folder, &[], "exit 7").run().assert_code(7);
    sidecar(&folder, &[], "die 9").run().assert_code(137);
    assert!(!folder.join("done").exists());
}

#[test]
fn signals_are_forwarded_meanwhile() {
    let folder = TempDir::new();
    let run = sidecar(&folder, &[], "on 10 exit 7").spawn();
    run.stdout.wait_for("ready");
    run.signal(10);
    run.wait().assert_code(7);
}

#[test]
fn a_folder_that_comes_later_is_found() {
    let folder = TempDir::new();
    let file = folder.join("later/done");
    let run = Proa::without_api().args(["--quit-file".as_ref(), file.as_os_str()]).child("wait").spawn();
    run.stdout.wait_for("ready");
    let moment = Instant::now();
    std::fs::create_dir(folder.join("later")).unwrap();
    std::fs::write(&file, "").unwrap();
    let done = run.wait().assert_code(0);
    assert!(done.at - moment < 15 * SECOND);
}

#[test]
fn a_file_that_is_moved_into_place_counts() {
    let folder = TempDir::new();
    let run = sidecar(&folder, &[], "wait").spawn();
    run.stdout.wait_for("ready");
    let moment = Instant::now();
    std::fs::rename(folder.write("part", ""), folder.join("done")).unwrap();
    let done = run.wait().assert_code(0);
    assert!(done.at - moment < 4 * SECOND, "{:?}", done.at - moment);
}

/// Both sides, as the two containers of a Pod run them.
#[test]
fn the_main_containers_shutdown_file_is_the_sidecars_quit_file() {
    let folder = TempDir::new();
    let beside = sidecar(&folder, &[], "wait").spawn();
    beside.stdout.wait_for("ready");
    let file = folder.join("done");
    let main = Proa::without_api().args(["--shutdown-file".as_ref(), file.as_os_str()]);
    main.child("exit 7").run().assert_code(7);
    beside.wait().assert_code(0);
}

#[test]
fn a_file_that_is_there_already_ends_it_at_once() {
    let folder = TempDir::new();
    folder.write("done", "");
    let done = sidecar(&folder, &[], "wait").run();
    done.assert_code(0).assert_took(Duration::ZERO..4 * SECOND);
}
