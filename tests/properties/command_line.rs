//! An option and its variable are one thing said in two ways.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::checks::check;
use crate::checks::command_line::{Table, planned};
use crate::config;

/// Options with values that are right; a repeatable one may come twice.
const VALUES: [(&str, &[&str]); 20] = [
    ("shutdown-http-get", &["http://localhost:1/a", "https://[::1]/b?c"]),
    ("shutdown-http-post", &["http://u:p@h:8/quit"]),
    ("shutdown-file", &["/shared/done", "x"]),
    ("kill", &["nginx", "envoy:HUP", "a:b:64"]),
    ("sidecars", &["auto", "off"]),
    ("stop-sidecars", &["auto", "always"]),
    ("shutdown-timeout", &["0", "5s", "1h30m"]),
    ("http-timeout", &["250ms", "99h"]),
    ("ready-http-get", &["http://127.0.0.1:15021/healthz/ready"]),
    ("ready-tcp", &["db:5432", "[::1]:1"]),
    ("ready-file", &["/tmp/ready"]),
    ("probe-sidecars", &["auto", "off"]),
    ("ignore-container", &["debug", "a-b.c"]),
    ("startup-timeout", &["0", "10m"]),
    ("pod", &["job-x7"]),
    ("namespace", &["default"]),
    ("container", &["main"]),
    ("service-account-dir", &["/sa"]),
    ("quit-file", &["/shared/done"]),
    ("log-format", &["text"]),
];
const SWITCHES: &[&str] = &["kill-all", "no-api", "signal-group"];
const REPEATABLE: [&str; 7] = [
    "shutdown-http-get",
    "shutdown-http-post",
    "shutdown-file",
    "kill",
    "ready-http-get",
    "ready-tcp",
    "ready-file",
];

fn variable(option: &str) -> String {
    format!("PROA_{}", option.to_uppercase().replace('-', "_"))
}

/// Option and value.
fn options() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    subsequence(VALUES.to_vec(), 0..8).prop_flat_map(|chosen| {
        chosen
            .into_iter()
            .map(|(name, values)| select(values).prop_map(move |value| (name, value)))
            .collect::<Vec<_>>()
    })
}

fn described(words: &[String], command: &[Vec<u8>], env: &Table) -> String {
    let words = words.iter().map(|word| word.clone().into_bytes()).chain([b"--".to_vec()]);
    let words: Vec<_> = words.chain(command.iter().cloned()).collect();
    format!("{:?}", planned(&words, env))
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_variable_means_what_its_option_means(
        chosen in options(),
        switches in subsequence(SWITCHES.to_vec(), 0..=3),
        twice in option::of(0..4_usize),
        command in vec(vec(1..=255_u8, 0..6), 1..4),
    ) {
        let mut words: Vec<_> = switches.iter().map(|name| format!("--{name}")).collect();
        let mut env = Table::default();
        for name in &switches {
            env.0.insert(variable(name), b"yes".to_vec());
        }
        for (index, (name, value)) in chosen.iter().enumerate() {
            let times = if twice == Some(index) && REPEATABLE.contains(name) { 2 } else { 1 };
            words.extend(std::iter::repeat_n(format!("--{name}={value}"), times));
            env.0.insert(variable(name), vec![*value; times].join("\n ").into_bytes());
        }
        let typed = described(&words, &command, &Table::default());
        // Without the feature a kill option is a mistake in either way.
        prop_assert!(typed.starts_with("Ok(") || cfg!(not(feature = "kill")), "{typed}");
        prop_assert_eq!(&described(&[], &command, &env), &typed);
        // What is typed beats the variable, whatever that says.
        let nonsense = chosen.iter().map(|(name, _)| (variable(name), b"\xff nonsense".to_vec()));
        prop_assert_eq!(&described(&words, &command, &Table(nonsense.collect())), &typed);
    }

    #[test]
    fn any_words(words in vec(prop_oneof![
        6 => select(&["-p", "-g", "-k", "-K", "--", "--no-api", "--pod", "--pod=..", "--kill=a:SEGV", "--install-to",
                      "--startup-timeout=1h", "--help", "-V", "x", "PROA_POD=a/b", "PROA_KILL_ALL=maybe", "POD_NAME=..",
                      "PROA_READY_TCP=a:1\n[::1]:2", "KUBERNETES_SERVICE_HOST=::1", "--ready-tcp=\u{1b}[2J:1"][..])
            .prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(1..=255_u8, 0..12),
        1 => vec(1..=255_u8, 0..6).prop_map(|tail| [&b"--"[..], &tail].concat()),
    ], 0..6)) {
        check("command_line")(&words.join(&0));
    }
}
