//! docs/signals.md is kept true: each signal, in each phase, does what its
//! table says.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use proa::os::signals::Signal;

use crate::case::{Case, SCRATCH};
use crate::matrix::Behaviour;
use crate::proc;
use crate::server::Server;
use crate::signals::name;

pub const ROWS: &[Behaviour] = &[
    Behaviour::both("docs/signals.md is true of the gate", gate).ours(),
    Behaviour::both("docs/signals.md is true of the run", run).ours(),
    Behaviour::both("docs/signals.md is true of teardown", teardown).ours(),
];

/// What the table says of a signal, by phase.
struct Promise {
    gate: String,
    run: String,
    teardown: String,
}

/// The first table of the document: signals, gate, run, teardown.
fn promises() -> Result<BTreeMap<i32, Promise>> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/signals.md"))?;
    let rows = text.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let mut promises = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [signals, gate, run, teardown] = cells[..] else { bail!("not four columns: {row}") };
        let signals = signals.split('(').next().unwrap_or_default();
        for word in signals.split([',', ' ']).filter(|word| !word.is_empty()) {
            for number in numbers(word).with_context(|| format!("no signal: {word}"))? {
                let [gate, run, teardown] = [gate, run, teardown].map(str::to_owned);
                let twice = promises.insert(number, Promise { gate, run, teardown });
                ensure!(twice.is_none(), "{word} is there twice");
            }
        }
    }
    ensure!(promises.len() == 64, "{} of 64 signals", promises.len());
    Ok(promises)
}

/// `TERM`, `32`, `34-64`.
fn numbers(word: &str) -> Option<Vec<i32>> {
    if let Some((first, last)) = word.split_once('-') {
        return Some((first.parse().ok()?..=last.parse().ok()?).collect());
    }
    Some(vec![Signal::parse(word)?.number()])
}

/// Those of which a phase says this, and the rest that are not the kernel's.
fn split(phase: fn(&Promise) -> &str, says: &str) -> Result<(Vec<i32>, Vec<i32>)> {
    let promises = promises()?;
    let heard = promises.iter().filter(|(_, promise)| phase(promise) != "the kernel's");
    Ok(heard.map(|(number, _)| *number).partition(|number| phase(&promises[number]) == says))
}

fn gate(case: &Case<'_>) -> Result<()> {
    let ready = format!("{SCRATCH}/ready");
    let begin = || {
        let mut start = case.start(&["exit", "7"]);
        start.options(&["--ready-file", &ready]).go()
    };
    let listening =
        |run: &crate::running::Running| crate::output::until(|| proc::set(run.pid, "SigBlk") == !0x4_0100);
    let (ending, others) = split(|promise| &promise.gate, "ends it: 128 + n")?;
    for number in ending {
        let mut run = begin()?;
        ensure!(listening(&run), "does not listen");
        run.signal(number)?;
        run.must_exit(128 + number).with_context(|| name(number))?;
    }
    let mut run = begin()?;
    ensure!(listening(&run), "does not listen");
    for number in others {
        run.signal(number)?;
        run.settle().with_context(|| name(number))?;
        ensure!(!run.has_ended(), "{} ends the gate", name(number));
    }
    fs::write(&ready, "now")?;
    run.must_exit(7)
}

fn run(case: &Case<'_>) -> Result<()> {
    let mut run = case.start(&["tell-signals"]).go()?;
    run.expect("ready")?;
    let (forwarded, others) = split(|promise| &promise.run, "forwarded")?;
    for number in others {
        run.signal(number)?;
        run.settle()?;
    }
    let (last, rest): (Vec<_>, Vec<_>) = forwarded.into_iter().partition(|number| *number == libc::SIGTERM);
    for number in rest.into_iter().chain(last) {
        run.signal(number)?;
        let before = run.out.until(&format!("got {number};"))?;
        ensure!(!before.contains("got"), "{before:?} before {}", name(number));
    }
    run.must_exit(0)
}

fn teardown(case: &Case<'_>) -> Result<()> {
    /// All the tries of a request that is refused.
    const TRIES: usize = 6;
    let server = Server::new()?;
    let url = format!("http://127.0.0.1:{}/quit", server.port);
    let begin = || {
        let run = case.start(&["exit", "7"]).options(&["--shutdown-http-post", &url]).go()?;
        server.answer_one(&run, "503 Later")?.context("ends without a request")?;
        anyhow::Ok(run)
    };
    let (ending, others) = split(|promise| &promise.teardown, "ends the waiting")?;
    for number in ending {
        let mut run = begin()?;
        run.signal(number)?;
        let tries = 1 + server.answer_all(&run, "503 Later")?;
        ensure!(tries < TRIES, "{} does not end the waiting", name(number));
        run.must_exit(7)?;
    }
    let mut run = begin()?;
    for number in others {
        run.signal(number)?;
    }
    let tries = 1 + server.answer_all(&run, "503 Later")?;
    ensure!(tries == TRIES, "{tries} tries of {TRIES}: a signal ended the waiting");
    run.must_exit(7)
}
