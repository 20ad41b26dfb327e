//! Text near to what is expected, and far from it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use proa::internals::HttpUrl;

use crate::checks::{check, http::probe};
use crate::config;

/// Some of these words, one after the other, with a stranger among them.
fn words(known: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        12 => select(known).prop_map(|word| word.as_bytes().to_vec()),
        1 => any::<char>().prop_map(|character| character.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..8),
        1 => any::<u32>().prop_map(|number| number.to_string().into_bytes()),
    ];
    vec(word, 0..most).prop_map(|words| words.concat())
}

const DURATION: &[&str] = &["0", "5", "90", "18446744073709551615", "ms", "s", "m", "h", "d", " ", "-", "."];
const SIGNAL: &[&str] = &[
    "SIG", "sig", "TERM", "kill", "Usr1", "RTMIN", "RTMAX", "rtmin+", "+", "-", "0", "1", "15", "30", "64",
    "65", "STKFLT", "POLL", "CLD", "IOT",
];
const URL: &[&str] = &[
    "http",
    "https",
    "HTTP",
    "ftp",
    "://",
    "/",
    "//",
    "?",
    "#",
    "@",
    ":",
    "[",
    "]",
    "::1",
    "127.0.0.1",
    "localhost",
    "db",
    "0",
    "80",
    "443",
    "65535",
    "65536",
    "user:pw@",
    "/quit",
    "a=b",
    "%2e",
    "..",
    " ",
    "\t",
    "\u{e9}",
    "{x}",
];
const CLAIMS: &[&str] = &[
    "e30",
    ".",
    "=",
    "\n",
    "eyJrdWJlcm5ldGVzLmlvIjp7Im5hbWVzcGFjZSI6Im5zIiwicG9kIjp7Im5hbWUiOiJwIn19fQ",
    "a",
    "job-x7",
    "-",
    "..",
    "../",
    "A",
    "default",
];
const MOUNTINFO: &[&str] = &[
    "663 650 254:0 ",
    "/var/lib/kubelet/pods/u/containers/",
    "main",
    "/",
    "/1f0a",
    " ",
    "/dev/termination-log",
    "\n",
    " rw - ext4 /dev/root rw",
    "pods",
    "containers",
    "9 1 0:1 ",
];
const EVENTS: &[&str] = &[
    "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"}}}\n",
    "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}}\n",
    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"9\"}}}\n",
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\",\"reason\":\"Expired\"}}\n",
    "{\"type\":\"DELETED\",\"object\":{}}\n",
    "{\"type\":\"SUNG\",\"object\":{}}\n",
    "\n",
    "\r\n",
    "  ",
    "{",
    "}",
    "[]",
    "null\n",
];
const HTTP: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 503 no\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 999 \r\n",
    "HTTP/2 200\r\n",
    "HTTP/1.1 204\r\n",
    "HTTP/1.1 000 x\r\n",
    "Content-Length: 2\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "X: y\r\n",
    "\r\n",
    "\n",
    "ok",
    "2\r\nok\r\n0\r\n\r\n",
    ":",
];

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn durations(text in words(DURATION, 8)) { check("duration")(&text); }

    #[test]
    fn signals(text in words(SIGNAL, 5)) { check("signal")(&text); }

    #[test]
    fn urls(text in words(URL, 10)) { check("url")(&text); }

    #[test]
    fn urls_that_are_nearly_right(text in words(URL, 6)) {
        check("url")(&[b"http://", &text[..]].concat());
    }

    #[test]
    fn tokens(text in words(CLAIMS, 8)) { check("claims")(&text); }

    #[test]
    fn mountinfo(text in words(MOUNTINFO, 24)) { check("mountinfo")(&text); }

    #[test]
    fn watches(size in any::<u8>(), text in words(EVENTS, 12)) {
        check("events")(&[&[size], &text[..]].concat());
    }
}

proptest! {
    // Each case is two connections.
    #![proptest_config(config(200))]

    #[test]
    fn answers(piece in any::<u8>(), text in words(HTTP, 8)) {
        check("http")(&[&[piece], &text[..]].concat());
    }

    #[test]
    fn a_probe_asks_byte_for_byte(path in "/[!-~]{0,40}", value in "[ -~]{0,20}") {
        let url = HttpUrl::parse(&format!("http://h{path}"));
        prop_assume!(url.is_some_and(|url| url.target == path));
        let header = ("X-Own".to_owned(), value.trim().to_owned());
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (status, asked) = probe(&path, std::slice::from_ref(&header), answer, 64);
        prop_assert_eq!(status, Ok(200));
        let asked = String::from_utf8(asked).unwrap();
        let first = format!("GET {path} HTTP/1.1\r\n");
        prop_assert!(asked.starts_with(&first), "{asked:?}");
        let line = format!("\r\nx-own: {}\r\n", header.1);
        prop_assert!(asked.to_lowercase().contains(&line.to_lowercase()), "{asked:?}");
        prop_assert_eq!(asked.matches("\r\n\r\n").count(), 1);
    }
}

#[test]
fn a_long_word_makes_no_long_message() {
    let word = "\u{e9}".repeat(100_000);
    for event in [
        json!({"type": word, "object": {}}),
        json!({"type": "ADDED", "object": {"kind": 1, "metadata": word}}),
        json!({"type": "ADDED", "object": {"spec": {"containers": word}}}),
    ] {
        check("events")(format!(" {event}\n").as_bytes());
    }
}

#[test]
fn a_url_of_any_length_is_refused_or_sent() {
    for length in [65_530, 65_533, 65_534, 65_535, 65_536, 100_000] {
        for tail in ["", "?x", "#x"] {
            let text = format!("http://h/{}{tail}", "a".repeat(length));
            check("url")(text.as_bytes());
            let Some(url) = HttpUrl::parse(&text) else { continue };
            let (status, asked) =
                probe(&url.target, &[], b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 64);
            assert_eq!(status, Ok(200), "{length} {tail}");
            assert!(asked.starts_with(format!("GET {} HTTP/1.1\r\n", url.target).as_bytes()));
        }
    }
}
