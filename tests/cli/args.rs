//! SPEC section 1: the command line, its variables, and its mistakes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Api, Pod, Proa, Sidecar, TempDir, binaries};

/// Options, a part of the command line or variable at fault, and words that
/// the line must hold: the option, the value, what is expected.
const MISTAKES: &[(&[&str], &[&str])] = &[
    (&["--startup-timeout", "soon"], &["startup-timeout", "soon", "90s"]),
    (&["--startup-timeout", "5"], &["startup-timeout", "\"5\"", "90s"]),
    (&["--shutdown-timeout=-5s"], &["shutdown-timeout", "-5s", "90s"]),
    (&["--http-timeout", "1d"], &["http-timeout", "1d", "90s"]),
    (&["--http-timeout", "0"], &["http-timeout", "0", "5s"]),
    (&["-g", "localhost:15020/quit"], &["shutdown-http-get", "localhost:15020/quit", "http://"]),
    (&["-p", "ftp://localhost/"], &["shutdown-http-post", "ftp://localhost/", "http://"]),
    (&["--shutdown-http-post="], &["shutdown-http-post", "http://"]),
    (&["--shutdown-http-post", "http://h:99999/"], &["shutdown-http-post", "http://h:99999/", "http://"]),
    (&["--ready-http-get", "http://"], &["ready-http-get", "http://"]),
    (&["--ready-tcp", "db"], &["ready-tcp", "db", "HOST:PORT"]),
    (&["--ready-tcp", "db:x"], &["ready-tcp", "db:x", "HOST:PORT"]),
    (&["--ready-tcp", "::1:80"], &["ready-tcp", "::1:80", "HOST:PORT"]),
    (&["--sidecars", "on"], &["sidecars", "on", "auto", "off"]),
    (&["--probe-sidecars", "maybe"], &["probe-sidecars", "maybe", "auto", "off"]),
    (&["--stop-sidecars", "never"], &["stop-sidecars", "never", "auto", "always"]),
    (&["--log-format", "xml"], &["log-format", "xml", "text", "json"]),
    (&["--pod", "../secrets"], &["pod", "../secrets"]),
    (&["--pod", ".."], &["pod", "..", "Kubernetes name"]),
    (&["--namespace", "UPPER"], &["namespace", "UPPER"]),
    (&["--container", "a b"], &["container", "a b"]),
    (&["--no-such-option"], &["--no-such-option"]),
    (&["--pod"], &["--pod"]),
    (&["--no-api=yes"], &["--no-api"]),
];

#[cfg(feature = "kill")]
const KILL_MISTAKES: &[(&[&str], &[&str])] = &[
    (&["--kill", "envoy:FOO"], &["kill", "envoy:FOO", "signal"]),
    (&["--kill", "envoy:65"], &["kill", "envoy:65", "signal"]),
    (&["--kill", ":TERM"], &["kill", ":TERM", "NAME"]),
];
#[cfg(not(feature = "kill"))]
const KILL_MISTAKES: &[(&[&str], &[&str])] =
    &[(&["--kill", "envoy"], &["kill", "envoy", "feature"]), (&["--kill-all"], &["kill-all", "feature"])];

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    let api = Api::serving(Pod::new());
    for (options, words) in MISTAKES.iter().chain(KILL_MISTAKES) {
        let done = Proa::new().api(&api).args(*options).child("wait").run().assert_code(2);
        assert_eq!(done.stderr.lines().count(), 1, "{options:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{options:?}");
        done.assert_stderr(words.iter().copied());
    }
    assert_eq!(api.connections(), 0, "something was waited for before the mistake was found");
}

#[test]
fn a_mistake_in_a_variable_is_one_too() {
    for (variable, value, words) in [
        ("PROA_STARTUP_TIMEOUT", "soon", &["startup-timeout", "soon", "90s"][..]),
        ("PROA_SHUTDOWN_HTTP_POST", "http://ok/ nonsense", &["shutdown-http-post", "nonsense", "http://"]),
        ("PROA_KILL", "envoy:FOO", &["kill", "envoy:FOO"]),
        ("PROA_NO_API", "perhaps", &["NO_API", "perhaps"]),
    ] {
        let done = Proa::new().env(variable, value).child("wait").run().assert_code(2);
        assert_eq!(done.stderr.lines().count(), 1, "{variable}: {}", done.stderr);
        done.assert_stderr(words.iter().copied());
    }
}

#[test]
fn a_mistake_shows_no_credentials() {
    for url in [
        "http://user:hunter2@h:0/",
        "ftp://user:hunter2@h/",
        "http://user:hunter2@/",
        "http://h/ user:hunter2@",
    ] {
        let done = Proa::new().args(["-p", url]).child("wait").run().assert_code(2);
        assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    }
}

#[test]
fn a_value_need_not_be_utf8_to_be_a_mistake() {
    let value = OsStr::from_bytes(b"http://\xff\xfe/");
    let done = Proa::new().args([OsStr::new("-p"), value]).child("wait").run().assert_code(2);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn without_a_command_there_is_nothing_to_do() {
    for options in [&[][..], &["--no-api"], &["--no-api", "--"]] {
        let done = Proa::new().args(options).run().assert_code(2);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        done.assert_stderr(["COMMAND"]);
    }
}

/// Options, variables, and the requests that the sidecar then gets, where `@`
/// stands for its address.
type Line = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static [&'static str]);

const LINES: &[Line] = &[
    // Every command line that worked with proa 0.1.3.
    (&["--shutdown-http-post=http://@/quit"], &[], &["POST /quit"]),
    (&["--shutdown-http-post", "http://@/quit"], &[], &["POST /quit"]),
    (&["-p", "http://@/a", "-p", "http://@/b", "-g=http://@/c"], &[], &["GET /c", "POST /a", "POST /b"]),
    (&["--shutdown-http-get=http://@/c"], &[], &["GET /c"]),
    (&["-phttp://@/a"], &[], &["POST /a"]),
    // Variables, lists in them, and flags that beat them.
    (&[], &[("PROA_SHUTDOWN_HTTP_POST", "http://@/a\n  http://@/b ")], &["POST /a", "POST /b"]),
    (&[], &[("PROA_SHUTDOWN_HTTP_GET", "http://@/a")], &["GET /a"]),
    (&["-p", "http://@/flag"], &[("PROA_SHUTDOWN_HTTP_POST", "http://@/variable")], &["POST /flag"]),
    (
        &["-p", "http://@/flag"],
        &[("PROA_SHUTDOWN_HTTP_GET", "http://@/variable")],
        &["GET /variable", "POST /flag"],
    ),
    (&["-p", "http://@/flag"], &[("PROA_SHUTDOWN_HTTP_POST", "")], &["POST /flag"]),
];

#[test]
fn flags_and_variables_mean_the_same() {
    for (options, variables, expected) in LINES {
        let sidecar = Sidecar::good();
        let place = |text: &str| text.replace('@', &sidecar.address().to_string());
        let run = Proa::without_api().args(options.iter().map(|option| place(option)));
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, place(value)));
        run.child("exit 7").run().assert_code(7);
        let mut asked = sidecar.asked_lines();
        asked.sort();
        assert_eq!(asked, *expected, "{options:?} {variables:?}");
    }
}

#[test]
fn a_switch_has_a_variable_too() {
    Proa::new().env("PROA_NO_API", "true").child("exit 3").run().assert_code(3);
    Proa::new().env("PROA_NO_API", "false").child("exit 3").run().assert_code(125);
}

const OPTIONS: [&str; 25] = [
    "shutdown-http-get",
    "shutdown-http-post",
    "kill",
    "kill-all",
    "sidecars",
    "ready-http-get",
    "ready-tcp",
    "ready-file",
    "no-api",
    "probe-sidecars",
    "ignore-container",
    "pod",
    "namespace",
    "container",
    "startup-timeout",
    "shutdown-timeout",
    "http-timeout",
    "stop-sidecars",
    "shutdown-file",
    "quit-file",
    "signal-group",
    "log-format",
    "install-to",
    "service-account-dir",
    "help",
];

#[test]
fn the_help_names_each_option_variable_and_default() {
    let done = Proa::new().args(["--help"]).run().assert_code(0);
    assert_eq!(done.stderr, "");
    for option in OPTIONS {
        assert!(done.stdout.contains(&format!("--{option}")), "no --{option} in:\n{}", done.stdout);
        let variable = format!("PROA_{}", option.to_uppercase().replace('-', "_"));
        assert!(option == "help" || done.stdout.contains(&variable), "no {variable} in:\n{}", done.stdout);
    }
    for default in ["10m", "5s", "30s", "auto", "text", "RUST_LOG", "125"] {
        assert!(done.stdout.contains(default), "no {default} in:\n{}", done.stdout);
    }
}

#[test]
fn the_version_is_the_packages() {
    let done = Proa::new().args(["--version"]).run().assert_code(0);
    assert!(done.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", done.stdout);
}

#[test]
fn the_commands_own_options_are_not_ours() {
    let done =
        Proa::without_api().command(["echo", "--no-such-option", "--", "-p", "x"]).run().assert_code(0);
    assert_eq!(done.stdout, "--no-such-option -- -p x\n");
    // Without the two dashes before it, too.
    let done = Proa::without_api().args(["echo", "-n", "--pod", "x"]).run().assert_code(0);
    assert_eq!(done.stdout, "--pod x");
}

#[test]
fn it_installs_itself() {
    let folder = TempDir::new();
    let place = folder.write("proa", "an older version");
    let done = Proa::new().args(["--install-to".as_ref(), place.as_os_str()]).run().assert_code(0);
    assert_eq!(done.stdout, "");
    assert_eq!(std::fs::read(&place).unwrap(), std::fs::read(binaries::proa()).unwrap());
    assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o555);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left beside it");
    Proa::without_api().binary(&place).child("exit 9").run().assert_code(9);
}

#[test]
fn an_install_that_fails_says_so() {
    let folder = TempDir::new();
    let place = folder.join("missing/proa");
    let done = Proa::new().args(["--install-to".as_ref(), place.as_os_str()]).run().assert_code(125);
    done.assert_stderr(["missing/proa"]);
}

#[test]
fn it_installs_itself_whatever_the_umask() {
    let folder = TempDir::new();
    let place = folder.join("proa");
    Proa::new()
        .args(["--install-to".as_ref(), place.as_os_str()])
        .after_shell("umask 077")
        .run()
        .assert_code(0);
    assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o555);
}
