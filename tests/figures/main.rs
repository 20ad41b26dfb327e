//! The figures: `proa` and its peers side by side, in turn, in one run.
//!
//! `cargo test --test figures` prints the README's table. `-- --runs N`
//! says how often each latency is taken (15), `-- --check` fails where a
//! budget is broken; budgets are ratios and counts, never times alone.
//! `-- --variants` builds the program in other ways instead and compares
//! these (`docs/figures.md`; some 20 minutes). `PROA_TEST_BIN` names the binary
//! to measure (the static one), `PROA_PEER` that of proa 0.1.3, and
//! `PROA_PEER_TUNED` one of 0.1.3 that was built with our compiler flags.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop, wait and print"
)]

mod front;
#[path = "../cli/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use all of it")]
mod harness;
mod measure;
mod programs;
mod table;
mod variants;

use std::process::Command;
use std::time::Duration;

use measure::{Run, Whole};
use programs::Program;
use table::Table;

/// How long wake-ups are counted.
const IDLE: Duration = Duration::from_secs(10);
/// The peak is of interest there, not the wake-ups.
const SHORT: Duration = Duration::from_millis(10);

/// Where the kernel puts a stack is by chance, and so is whether it needs a page
/// more: memory is the median of so many runs.
const AGAIN: usize = 7;
/// A command that runs for so long has seen the wrapper go to rest.
const LASTING: Duration = Duration::from_millis(500);
const STOP: &str = "child's end -> stop request, ms";
const STOP_LATE: &str = "the same, after a run of 0.5 s, ms";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let option = |name: &str| words.iter().position(|word| word == name);
    let runs = option("--runs").and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or(15);
    let stamp = &build("stamp");
    if option("--variants").is_some() {
        println!("{}", variants::markdown(stamp, runs));
        return;
    }
    let programs = programs::all();
    let mut table = Table::default();
    footprints(&mut table, &programs, stamp);
    wholes(&mut table, &programs, runs);
    let gating: Vec<_> = programs.iter().filter(|program| program.gates).cloned().collect();
    latencies(&mut table, &gating, stamp, runs);
    traffics(&mut table, &gating, stamp);
    println!("{}", table.markdown());
    if option("--check").is_some() {
        let broken = table.broken_budgets();
        for line in &broken {
            println!("over budget: {line}");
        }
        assert!(broken.is_empty(), "{} budgets are broken", broken.len());
    }
}

/// Builds a static C program of this folder: its own start is the smallest
/// that there is.
fn build(name: &str) -> String {
    let path = harness::binaries::profile_folder().join(format!("figures-{name}"));
    let source = format!("{}/tests/figures/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&path).arg(&source).status();
    assert!(built.unwrap().success(), "{source} does not build");
    path.into_os_string().into_string().unwrap()
}

fn footprints(table: &mut Table, programs: &[Program], stamp: &str) {
    for program in programs {
        table.set("size of the file, kB", program.name, program.bytes() as f64 / 1000.0);
        // It does not start its child without an API: see `traffics`.
        if program.is_old() {
            continue;
        }
        let found = measure::footprint_alone(program, stamp, if program.gates { SHORT } else { IDLE });
        let memory: Vec<_> = (0..AGAIN).map(|_| measure::footprint_alone(program, stamp, SHORT)).collect();
        table.median("RSS while the child runs, no API, kB", program.name, memory.iter().map(|run| run.rss));
        let anonymous = memory.iter().map(|run| run.anonymous);
        table.median("anonymous memory, no API, kB", program.name, anonymous);
        if !program.gates {
            table.set("threads", program.name, found.threads as f64);
            table.set("descriptors beyond 0-2", program.name, found.descriptors as f64);
            table.set("wake-ups in 10 s", program.name, found.wakeups as f64);
        }
    }
}

fn wholes(table: &mut Table, programs: &[Program], runs: usize) {
    let alone: Vec<_> = programs.iter().filter(|program| !program.is_old()).cloned().collect();
    let each = in_turn(&alone, runs * 4, measure::whole_alone);
    for (program, found) in alone.iter().zip(each) {
        table.spread(
            "whole run of `true`, no API, wall ms",
            program.name,
            found.iter().map(|run: &Whole| run.wall),
        );
    }
    let gating: Vec<_> = programs.iter().filter(|program| program.gates).cloned().collect();
    let each = in_turn(&gating, runs, measure::whole_in_pod);
    for (program, found) in gating.iter().zip(each) {
        table.spread(
            "whole run of `true`, all ready, wall ms",
            program.name,
            found.iter().map(|run| run.wall),
        );
        table.spread("whole run of `true`, all ready, CPU ms", program.name, found.iter().map(|run| run.cpu));
    }
}

fn latencies(table: &mut Table, programs: &[Program], stamp: &str, runs: usize) {
    let short = in_turn(programs, runs, |program| measure::through_pod(program, stamp, Duration::ZERO));
    let long = in_turn(programs, runs, |program| measure::through_pod(program, stamp, LASTING));
    for ((program, short), long) in programs.iter().zip(short).zip(long) {
        let name = program.name;
        table.spread("ready event -> child, ms", name, short.iter().map(|run: &Run| run.start));
        table.spread(STOP, name, short.iter().map(|run| run.stop));
        table.spread(STOP_LATE, name, long.iter().map(|run| run.stop));
        table.spread("sidecar's end -> exit, ms", name, long.iter().map(|run| run.exit));
    }
    let bare = &build("bare");
    for (row, lasting) in [(STOP, Duration::ZERO), (STOP_LATE, LASTING)] {
        table.spread(row, "bare C", (0..runs).map(|_| measure::bare_stop(bare, stamp, lasting)));
    }
}

fn traffics(table: &mut Table, programs: &[Program], stamp: &str) {
    for program in programs {
        let found = measure::traffic(program, stamp, 0, IDLE);
        let name = program.name;
        table.set("API: connections", name, found.connections as f64);
        table.set("API: requests", name, found.requests as f64);
        table.set("API: bytes up", name, found.up as f64);
        table.set("API: bytes down", name, found.down as f64);
        let memory = (0..AGAIN).map(|_| measure::traffic(program, stamp, 0, SHORT).footprint);
        let memory: Vec<_> = memory.collect();
        table.median("RSS while the child runs, kB", name, memory.iter().map(|run| run.rss));
        table.median("anonymous memory, kB", name, memory.iter().map(|run| run.anonymous));
        table.set("threads", name, found.footprint.threads as f64);
        table.set("descriptors beyond 0-2", name, found.footprint.descriptors as f64);
        table.set("wake-ups in 10 s", name, found.footprint.wakeups as f64);
        table.set("peak memory, kB", name, found.footprint.peak as f64);
        let large = measure::traffic(program, stamp, 1 << 20, SHORT);
        table.set("peak memory, Pod of 1 MiB, kB", name, large.footprint.peak as f64);
    }
}

/// Each program once, then each again: what disturbs, disturbs all.
fn in_turn<T>(programs: &[Program], runs: usize, measure: impl Fn(&Program) -> T) -> Vec<Vec<T>> {
    let mut found: Vec<Vec<T>> = programs.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for (program, found) in programs.iter().zip(&mut found) {
            found.push(measure(program));
        }
    }
    found
}
