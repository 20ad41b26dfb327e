//! What `/proc` says about a process, and how to signal it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::libc;

/// Sends a signal; false where there is no such process. By number, because
/// nix's own call knows no real-time signals.
#[expect(unsafe_code, reason = "kill(2) by number has no safe form")]
pub fn kill(pid: u32, signal: i32) -> bool {
    // SAFETY: kill takes two integers and touches no memory of ours.
    unsafe { libc::kill(pid.cast_signed(), signal) == 0 }
}

/// The fields of `/proc/PID/status`; empty where the process is gone.
pub fn status(pid: u32) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// The letter of its state (`R`, `S`, `T`, `Z`), if it is there.
pub fn state(pid: u32) -> Option<char> {
    status(pid).get("State")?.chars().next()
}

/// Whether it is there and not a zombie.
pub fn alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// A set of signals from its status (`SigBlk`, `SigIgn`, `SigCgt`, `SigPnd`).
pub fn signal_set(pid: u32, field: &str) -> u64 {
    status(pid).get(field).map_or(0, |text| u64::from_str_radix(text, 16).unwrap())
}

/// Every process with this parent, with its state.
pub fn children(parent: u32) -> Vec<(u32, char)> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let status = status(pid);
        let same = status.get("PPid")?.parse() == Ok(parent);
        same.then_some((pid, status.get("State")?.chars().next()?))
    })
    .collect()
}

/// The zombies among its children.
pub fn zombies(parent: u32) -> usize {
    children(parent).iter().filter(|(_, state)| *state == 'Z').count()
}

/// How many threads it has.
pub fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Its open descriptors, and what they are (`socket:[1]`, a path).
pub fn descriptors(pid: u32) -> BTreeMap<u32, PathBuf> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeMap::new() };
    let entries = entries.filter_map(Result::ok);
    let open = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, std::fs::read_link(entry.path()).ok()?))
    });
    open.collect()
}

/// The figure in kB of a field of its `status` or `smaps_rollup`.
pub fn kilobytes(pid: u32, field: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let value = status(pid).remove(field).or_else(|| {
        let mut fields = rollup.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| *name == field).map(|(_, value)| value.to_owned())
    });
    value.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// How often it gave up the processor by itself: each is a wake-up.
pub fn voluntary_switches(pid: u32) -> u64 {
    status(pid).get("voluntary_ctxt_switches").and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The processor time that it has used, in ticks of 10 ms (`proc_pid_stat(5)`).
pub fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // The name is the second field; user and system time are 14 and 15.
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
