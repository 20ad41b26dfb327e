//! SPEC section 6: what the command is started with, byte for byte.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Api, Pod, Proa, TempDir, binaries, pid1};

/// What the command says about itself.
fn described(run: Proa) -> Value {
    serde_json::from_str(&run.child("describe").run().assert_code(0).stdout).unwrap()
}

/// The same without the wrapper.
fn bare(run: Proa) -> Value {
    let run = run.binary(binaries::child()).args(["describe"]).run().assert_code(0);
    serde_json::from_str(&run.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn signals_are_as_in_a_new_container() {
    for launch in [
        "--close 9",
        "--block",
        "--ignore 13 --ignore 17 --ignore 1 --ignore 34 --ignore 64",
        "--block --ignore 15",
    ] {
        let described = described(Proa::without_api().after_launch(launch));
        assert_eq!(described["blocked"], json!([]), "{launch}");
        assert_eq!(described["ignored"], json!([]), "{launch}");
    }
}

#[test]
fn descriptors_are_handed_down_and_none_of_ours() {
    let folder = TempDir::new();
    let file = folder.write("file", "content");
    let launch = format!("--open {}", file.display());
    let expected = bare(Proa::new().after_launch(&launch))["descriptors"].clone();
    assert_eq!(described(Proa::without_api().after_launch(&launch))["descriptors"], expected);
    let api = Api::serving(Pod::new());
    assert_eq!(described(Proa::new().api(&api).after_launch(&launch))["descriptors"], expected);
}

#[test]
fn surroundings_are_handed_down() {
    let folder = TempDir::new();
    let shell = format!("umask 027; cd {}; ulimit -n 77; exec nice -n 3 \"$@\"", folder.path().display());
    let setting = || Proa::without_api().after_shell(&shell).env("A", "1").env("EMPTY", "");
    let expected = bare(Proa::new().after_shell(&shell).env("A", "1").env("EMPTY", ""));
    let described = described(setting());
    for field in ["umask", "directory", "nofile", "nice", "uid", "gid", "session"] {
        assert_eq!(described[field], expected[field], "{field}");
    }
    let variables = |described: &Value| {
        let mut all: Vec<String> =
            described["environment"].as_array().unwrap().iter().map(Value::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(variables(&described), variables(&expected));
}

#[test]
fn words_need_not_be_utf8() {
    let odd = OsStr::from_bytes(b"\xff\xfe 'a\n\"\x01");
    let child = binaries::child();
    let words = [child.as_os_str(), OsStr::new("describe"), OsStr::new(""), odd, OsStr::new("--no-api")];
    let run = Proa::without_api().command(words).env("ODD", odd).run().assert_code(0);
    let described: Value = serde_json::from_str(&run.stdout).unwrap();
    let args = described["args"].as_array().unwrap();
    assert_eq!(args[2..], [json!(""), json!(hex(odd.as_bytes())), json!(hex(b"--no-api"))]);
    assert_eq!(args[0], json!(hex(child.as_os_str().as_bytes())));
    let variables = described["environment"].as_array().unwrap();
    assert!(variables.contains(&json!([hex(b"ODD"), hex(odd.as_bytes())])));
}

#[test]
fn the_command_has_a_process_group_of_its_own() {
    let described = described(Proa::without_api());
    assert_eq!(described["group"], described["pid"]);
    assert_eq!(described["foreground"], json!(null));
}

#[test]
fn the_command_dies_with_a_wrapper_that_is_not_pid_1() {
    assert_eq!(described(Proa::without_api())["death_signal"], json!(9));
    if pid1::prefix("the_command_dies_with_a_wrapper_that_is_not_pid_1").is_some() {
        let described = described(Proa::without_api().pid1());
        assert_eq!((&described["death_signal"], &described["ppid"]), (&json!(null), &json!(1)));
    }
}

#[test]
fn streams_are_the_wrappers_own() {
    let mut run = Proa::without_api().command(["cat"]).stdin(Stdio::piped()).spawn();
    let mut input = run.take_stdin();
    input.write_all(b"one\n").unwrap();
    run.stdout.wait_for("one");
    input.write_all(b"two").unwrap();
    drop(input);
    let done = run.wait().assert_code(0);
    assert_eq!(done.stdout, "one\ntwo");
    let done = Proa::without_api().sh("echo out; echo err >&2").run().assert_code(0);
    assert_eq!(done.stdout, "out\n");
    done.assert_stderr(["err"]);
}

#[test]
fn the_command_is_looked_up_in_path() {
    let folder = TempDir::new();
    let other = TempDir::new();
    // An entry that cannot be executed does not end the search.
    other.write("tool", "#!/bin/sh\nexit 1\n");
    folder.script("tool", "#!/bin/sh\necho \"$0\"; exit 6\n");
    let path = format!("{}:/nowhere:{}:/usr/bin:/bin", other.path().display(), folder.path().display());
    let done = Proa::without_api().env("PATH", path).command(["tool"]).run().assert_code(6);
    assert!(done.stdout.ends_with("/tool\n"), "{}", done.stdout);
    // A name with a slash is a path.
    let run = Proa::without_api().after_shell(&format!("cd {}", folder.path().display()));
    run.command(["./tool"]).run().assert_code(6);
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_sh() {
    let folder = TempDir::new();
    let script = folder.script("script", "echo \"$0 $1\"; exit 6\n");
    let done = Proa::without_api().command([script.as_os_str(), OsStr::new("a b")]).run().assert_code(6);
    assert_eq!(done.stdout, format!("{} a b\n", script.display()));
}

#[test]
fn argv0_is_what_was_typed() {
    let done = Proa::without_api().command(["cat", "/proc/self/cmdline"]).run().assert_code(0);
    assert_eq!(done.stdout, "cat\0/proc/self/cmdline\0");
}

#[test]
fn a_long_command_line_is_handed_on() {
    let word = "x".repeat(100_000);
    let words = ["sh", "-c", "echo $# ${#1}", "sh"].map(str::to_owned).into_iter();
    let words = words.chain(std::iter::repeat_n(word, 15));
    let done = Proa::without_api().command(words).run().assert_code(0);
    assert_eq!(done.stdout, "15 100000\n");
}
