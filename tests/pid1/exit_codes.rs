//! The code that comes out.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::libc;

use crate::case::{Case, SCRATCH};
use crate::hostile::become_user;
use crate::matrix::Behaviour;
use crate::programs::Reach;
use crate::running::End;
use crate::signals::name;

pub const ROWS: &[Behaviour] = &[
    Behaviour::init("exit codes 0 to 255", codes),
    Behaviour::both("128 + n for each signal that kills, real-time ones included", deaths),
    Behaviour::both("command missing: 127", missing),
    Behaviour::init("command not executable, or a directory: 126", not_executable),
    Behaviour::init("interpreter missing: 127", no_interpreter),
    Behaviour::init("script without interpreter line: run by sh", bare_script),
    Behaviour::init("neither program nor script: what sh makes of it", garbage),
    Behaviour::init("empty name: 127; too long a name: 126 or 127", odd_names),
    Behaviour::init("PATH is searched as execvp does: unreadable folders, none, the current one", path),
    Behaviour::plain("a command that cannot be started leaves no process", nobody_left),
];

fn codes(case: &Case<'_>) -> Result<()> {
    for code in 0..=255 {
        case.start(&["exit", &code.to_string()]).go()?.must_exit(code)?;
    }
    Ok(())
}

fn deaths(case: &Case<'_>) -> Result<()> {
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    for number in (1..=64).filter(|number| !harmless.contains(number)) {
        let mut run = case.start(&["die", &number.to_string()]).go()?;
        run.must_exit(128 + number).with_context(|| name(number))?;
    }
    Ok(())
}

/// The code with this command.
fn code_of(case: &Case<'_>, words: &[&str], code: i32) -> Result<()> {
    let words: Vec<_> = words.iter().map(OsString::from).collect();
    case.start_command(Reach::Default, &words)
        .go()?
        .must_exit(code)
        .with_context(|| format!("`{}`", words[0].display()))
}

/// A file in the scratch folder.
fn file(name: &str, content: &[u8], mode: u32) -> Result<String> {
    let path = format!("{SCRATCH}/{name}");
    fs::write(&path, content)?;
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(path)
}

fn missing(case: &Case<'_>) -> Result<()> {
    code_of(case, &["no-such-command", "x"], 127)?;
    code_of(case, &["/no/such/command"], 127)
}

fn not_executable(case: &Case<'_>) -> Result<()> {
    code_of(case, &[&file("plain", b"#!/bin/sh\n", 0o644)?], 126)?;
    code_of(case, &["/usr"], 126)
}

fn no_interpreter(case: &Case<'_>) -> Result<()> {
    code_of(case, &[&file("script", b"#!/no/such/interpreter\n", 0o755)?], 127)
}

fn bare_script(case: &Case<'_>) -> Result<()> {
    let script = file("script", b"[ \"$*\" = 'a b  c' ] && exit 5\n", 0o755)?;
    code_of(case, &[&script, "a", "b  c"], 5)
}

fn garbage(case: &Case<'_>) -> Result<()> {
    for content in [&b"\x7fELF garbage"[..], b"\x00\x01\x02\xff", b""] {
        let path = file("garbage", content, 0o755)?;
        let code = Command::new("/bin/sh").arg(&path).status()?.code().context("BUG: sh was killed")?;
        code_of(case, &[&path], code)?;
    }
    Ok(())
}

fn odd_names(case: &Case<'_>) -> Result<()> {
    code_of(case, &[""], 127)?;
    for length in [300, 5000, 100_000] {
        let words = ["x".repeat(length).into()];
        let end = case.start_command(Reach::Default, &words).go()?.end()?;
        ensure!(matches!(end, End::Code(126 | 127)), "{length} letters: {end}");
    }
    Ok(())
}

fn path(case: &Case<'_>) -> Result<()> {
    for folder in ["locked", "first", "second"] {
        fs::create_dir(format!("{SCRATCH}/{folder}"))?;
    }
    file("first/thing", b"#!/bin/sh\nexit 1\n", 0o644)?;
    file("second/thing", b"#!/bin/sh\nexit 6\n", 0o755)?;
    fs::set_permissions(format!("{SCRATCH}/locked"), Permissions::from_mode(0o000))?;
    let mut own = case.program.clone();
    let case = &case.moved(&mut own)?;
    let folders =
        |names: &[&str]| names.iter().map(|name| format!("{SCRATCH}/{name}")).collect::<Vec<_>>().join(":");
    let go = |variable: Option<String>, word: &str, code: i32| -> Result<()> {
        let variable = variable.map(|folders| OsString::from(format!("PATH={folders}")));
        let mut start = case.start_command(Reach::Default, &[word.into(), "-c".into(), "exit 6".into()]);
        start.environment(&variable.iter().map(OsString::as_os_str).collect::<Vec<_>>());
        start.step(|| {
            std::env::set_current_dir(format!("{SCRATCH}/second"))?;
            become_user(12_345)
        });
        start.go()?.must_exit(code)
    };
    go(Some(folders(&["locked", "first", "second"])), "thing", 6).context("an unreadable folder in PATH")?;
    go(Some(folders(&["first", "locked"])), "thing", 126).context("only one that is not executable")?;
    go(None, "sh", 6).context("no PATH")?;
    go(Some(folders(&["first"]) + "::/bin"), "thing", 6).context("an empty element of PATH")?;
    go(Some(String::new()), "thing", 6).context("an empty PATH")?;
    go(Some("/no".to_owned()), "./thing", 6).context("./thing")
}

fn nobody_left(case: &Case<'_>) -> Result<()> {
    for name in ["/no/such/command", "/usr"] {
        let mut run = case.start_command(Reach::Default, &[name.into()]).go()?;
        run.end()?;
        crate::case::nobody_is_left()?;
    }
    ensure!(crate::proc::all().len() == 1, "a process is left");
    Ok(())
}
