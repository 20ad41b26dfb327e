//! proa as PID 1, beside tini, dumb-init and catatonit: a list of behaviours,
//! each shown by the real programs in namespaces of their own. Prints a
//! matrix, and fails if proa has a fault; what a peer does is only told.
//!
//! `cargo test --test pid1`, as root, with Debian's `tini`, `dumb-init` and
//! `catatonit`; options after `--`: `--only WORD` (rows that contain it,
//! repeatable), `--program NAME` (repeatable), `--proa PATH` (or the variable
//! `PROA_TEST_BIN`), `--markdown`. Without a path it is the static binary, if
//! that is newer than the sources.
//!
//! A cell says `pass` (or a figure), or what is wrong; `-` does not apply.
//!
//! Not shown here but in `tests/cli`, since no peer has a counterpart: a wall
//! clock that is set (`hostile.rs`) and a panic of proa's own (`own_faults.rs`).
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::format_push_string,
    reason = "a test may stop, read the environment and print, and has no outside"
)]

mod case;
mod cells;
mod cgroup;
mod exit_codes;
mod footprint;
mod hostile;
mod inherited;
mod matrix;
mod orphans;
mod output;
mod phases;
mod proc;
mod programs;
mod running;
mod seccomp;
mod server;
mod signals;
mod start;
mod sys;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use case::Place;
use cells::{Answer, Task};
use matrix::{Behaviour, Row, Verdict};
use programs::Program;

const THEMES: [&[Behaviour]; 8] = [
    footprint::ROWS,
    signals::ROWS,
    phases::ROWS,
    orphans::ROWS,
    exit_codes::ROWS,
    inherited::ROWS,
    terminal::ROWS,
    hostile::ROWS,
];

/// What was asked for.
#[derive(Default)]
struct Options {
    only: Vec<String>,
    programs: Vec<String>,
    proa: Option<PathBuf>,
    markdown: bool,
}

fn main() -> Result<ExitCode> {
    let options = read_options()?;
    let programs = programs::all(options.proa.clone())?;
    let chosen = |program: &&Program| {
        options.programs.is_empty() || options.programs.iter().any(|name| name == program.name)
    };
    let programs: Vec<_> = programs.iter().filter(chosen).collect();
    for program in programs.iter().filter(|program| program.is_proa()) {
        let link = if program.is_static { "static" } else { "dynamic: no chroot, no footprint" };
        eprintln!("proa is {} ({link})", program.path.display());
    }
    let child = programs::build_child()?;
    let rows = rows(&options);
    let tasks: Vec<_> = rows
        .iter()
        .flat_map(|(behaviour, place)| {
            programs.iter().map(|program| Task { behaviour, place: *place, program })
        })
        .filter(|task| task.program.is_proa() || !task.behaviour.proa_only)
        .collect();
    let answers = cells::run_all(&tasks, &child)?;
    let header: Vec<_> = programs.iter().map(|program| program.name).collect();
    let table: Vec<_> = rows.iter().map(|row| as_row(row, &programs, &tasks, &answers)).collect();
    let print = if options.markdown { matrix::markdown } else { matrix::plain };
    println!("{}", print(&header, &table));
    Ok(judge(&tasks, &answers))
}

fn read_options() -> Result<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} what?"));
        match word.as_str() {
            "--only" => options.only.push(value()?.to_lowercase()),
            "--program" => options.programs.push(value()?),
            "--proa" => options.proa = Some(value()?.into()),
            "--markdown" => options.markdown = true,
            // What cargo hands to every test program.
            "--nocapture" | "--quiet" => {}
            word => bail!("no such option: {word}"),
        }
    }
    Ok(options)
}

/// Each behaviour, once for each way of being started.
fn rows(options: &Options) -> Vec<(&'static Behaviour, Place)> {
    let chosen = |behaviour: &&Behaviour| {
        let name = behaviour.what.to_lowercase();
        options.only.is_empty() || options.only.iter().any(|word| name.contains(word))
    };
    let behaviours = THEMES.into_iter().flatten().filter(chosen);
    behaviours.flat_map(|behaviour| behaviour.places.iter().map(move |place| (behaviour, *place))).collect()
}

fn as_row(
    (behaviour, place): &(&Behaviour, Place),
    programs: &[&Program],
    tasks: &[Task<'_>],
    answers: &[Answer],
) -> Row {
    let plain = if *place == Place::Plain { " (not PID 1)" } else { "" };
    let verdict = |program: &&Program| {
        let is_it = |task: &Task<'_>| {
            task.behaviour.what == behaviour.what && task.place == *place && task.program.name == program.name
        };
        let found = tasks.iter().position(is_it).and_then(|at| answers.get(at));
        found.map_or(Verdict::NotHere(String::new()), |answer| answer.verdict.clone())
    };
    Row { what: format!("{}{plain}", behaviour.what), verdicts: programs.iter().map(verdict).collect() }
}

/// Says what is wrong, and whether that is our fault. With `PROA_TEST_ALL`,
/// what cannot be shown here is one.
fn judge(tasks: &[Task<'_>], answers: &[Answer]) -> ExitCode {
    let strict = std::env::var_os("PROA_TEST_ALL").is_some();
    let mut code = ExitCode::SUCCESS;
    for (task, Answer { verdict, detail }) in tasks.iter().zip(answers) {
        let (what, why) = match verdict {
            Verdict::Fault(fault) if task.program.is_proa() => ("FAULT", fault),
            Verdict::NotHere(why) if task.program.is_proa() => ("not shown", why),
            Verdict::Broken(why) if task.program.is_proa() => ("the test failed", why),
            // A peer that makes its own test fail has only itself to blame.
            Verdict::Broken(why) => ("not known", why),
            _ => continue,
        };
        println!("{what}: {}, {:?}, {}: {why}", task.behaviour.what, task.place, task.program.name);
        detail.lines().for_each(|line| println!("    {line}"));
        if what == "FAULT" || what == "the test failed" || (what == "not shown" && strict) {
            code = ExitCode::FAILURE;
        }
    }
    code
}
