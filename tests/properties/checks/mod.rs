//! What must hold of each reader of foreign text, whatever the text is. Each
//! check takes any bytes, so that `proptest`, the files of `fuzz/corpus` and
//! the fuzzers of `fuzz/fuzz_targets` all run the same ones.

pub mod command_line;
mod events;
pub mod http;
mod identity;
pub mod pod;
mod text;

/// A check: it ends quietly, or it panics.
pub type Check = fn(&[u8]);

/// Each check under the name of its corpus and its fuzzer.
pub const ALL: [(&str, Check); 9] = [
    ("claims", identity::claims_of_a_token),
    ("command_line", command_line::options_and_variables),
    ("duration", text::durations),
    ("events", events::a_watch_in_pieces),
    ("http", http::answers),
    ("mountinfo", identity::mounts),
    ("pod", pod::documents),
    ("signal", text::signals),
    ("url", text::urls),
];

/// The check of this name.
#[track_caller]
pub fn check(name: &str) -> Check {
    ALL.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no check {name}")).1
}
