//! What each choice of the build buys: the same program, built in other ways.

use std::env;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::in_turn;
use crate::measure;
use crate::programs::Program;
use crate::table::Spread;

/// A way to build: its name, cargo's options, and the compiler's for this
/// crate alone. None for the latter stands for the dynamic executable of
/// `cargo build --release`.
struct Variant {
    name: &'static str,
    cargo: &'static [&'static str],
    rustc: Option<&'static [&'static str]>,
}

const STATIC: Option<&[&str]> = Some(&["-Ctarget-feature=+crt-static", "-Crelocation-model=static"]);

const fn fixed(name: &'static str, cargo: &'static [&'static str]) -> Variant {
    Variant { name, cargo, rustc: STATIC }
}

const VARIANTS: [Variant; 11] = [
    fixed("as shipped: static, fixed address, `z`, fat LTO, one unit", &[]),
    Variant {
        name: "static, position independent",
        cargo: &[],
        rustc: Some(&["-Ctarget-feature=+crt-static"]),
    },
    Variant { name: "dynamic, position independent (`cargo build --release`)", cargo: &[], rustc: None },
    fixed("no features (neither `kill` nor `json`)", &["--no-default-features"]),
    fixed("`opt-level = \"s\"`", &["--config=profile.release.opt-level='s'"]),
    fixed("`opt-level = 3`", &["--config=profile.release.opt-level=3"]),
    fixed(
        "`opt-level = 3` for rustls, ring and serde_json",
        &[
            "--config=profile.release.package.rustls.opt-level=3",
            "--config=profile.release.package.ring.opt-level=3",
            "--config=profile.release.package.serde_json.opt-level=3",
        ],
    ),
    fixed("thin LTO", &["--config=profile.release.lto='thin'"]),
    fixed(
        "no LTO, 16 units",
        &["--config=profile.release.lto='off'", "--config=profile.release.codegen-units=16"],
    ),
    fixed(
        "`panic = \"abort\"` (a panic would lose the command's code)",
        &["--config=profile.release.panic='abort'"],
    ),
    fixed("not stripped", &["--config=profile.release.strip='none'"]),
];

/// Builds and measures them all; the table as Markdown.
pub fn markdown(stamp: &str, runs: usize) -> String {
    let programs: Vec<_> =
        VARIANTS.iter().map(|variant| Program::own(variant.name, build(variant))).collect();
    let wholes = in_turn(&programs, runs, measure::whole_in_pod);
    let alone = in_turn(&programs, runs, measure::whole_alone);
    let mut text = String::from(
        "| build | file, kB | memory while the command runs, kB (anonymous) | peak, kB | page faults of a run of `true` | CPU of a run of `true` in a Pod, ms |\n|---|---|---|---|---|---|\n",
    );
    for ((program, wholes), alone) in programs.iter().zip(wholes).zip(alone) {
        let footprint = measure::traffic(program, stamp, 0, std::time::Duration::from_millis(10)).footprint;
        let faults = Spread::of(alone.iter().map(|run| run.faults).collect());
        let cpu = Spread::of(wholes.iter().map(|run| run.cpu).collect());
        writeln!(
            text,
            "| {} | {} | {} ({}) | {} | {:.0} | {:.2} |",
            program.name,
            program.bytes() / 1000,
            footprint.rss,
            footprint.anonymous,
            footprint.peak,
            faults.median,
            cpu.median,
        )
        .unwrap();
    }
    text
}

/// Builds one of them below `target/variants`; returns the executable.
fn build(variant: &Variant) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/variants");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap());
    cargo.current_dir(root).env("CARGO_TARGET_DIR", &folder).args(["rustc", "--release", "--bin", "proa"]);
    cargo.args(variant.cargo).arg("--").args(variant.rustc.unwrap_or_default());
    assert!(cargo.status().unwrap().success(), "{} does not build", variant.name);
    let kept = folder
        .join(format!("proa-{}", VARIANTS.iter().position(|other| other.name == variant.name).unwrap()));
    std::fs::copy(folder.join("release/proa"), &kept).unwrap();
    kept
}
