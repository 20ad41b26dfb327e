//! What `/proc` says about a process.

use std::collections::BTreeMap;
use std::fs;

use nix::unistd::Pid;

/// The fields of `/proc/PID/status`; empty where the process is gone.
pub fn status(pid: Pid) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// The letter of its state: R, S, T, Z, ….
pub fn state(pid: Pid) -> char {
    status(pid).get("State").and_then(|state| state.chars().next()).unwrap_or('X')
}

/// A set of signals: `SigBlk`, `SigIgn`, `SigCgt`, `SigPnd`, `ShdPnd`.
pub fn set(pid: Pid, field: &str) -> u64 {
    status(pid).get(field).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or_default()
}

/// Whether it sleeps and has no signal to handle.
pub fn is_idle(pid: Pid) -> bool {
    state(pid) == 'S' && set(pid, "SigPnd") == 0 && set(pid, "ShdPnd") == 0
}

/// A number of `/proc/PID/status`, kB or a count.
pub fn number(pid: Pid, field: &str) -> u64 {
    leading_number(status(pid).get(field).map_or("", String::as_str))
}

/// A number of `/proc/PID/smaps_rollup`, in kB: exact, where that of
/// `status` may be off by what each processor has not yet told.
pub fn memory(pid: Pid, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    leading_number(line.unwrap_or_default())
}

fn leading_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The fields of `/proc/PID/stat` from the state on; [1] is the parent, [2]
/// the process group, [5] the terminal's foreground group, [16] the niceness.
pub fn stat(pid: Pid) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, rest) = text.rsplit_once(") ").unwrap_or_default();
    rest.split_whitespace().map(str::to_owned).collect()
}

/// Every process here.
pub fn all() -> Vec<Pid> {
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).map(Pid::from_raw).collect()
}

/// The children of a process, zombies included.
pub fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.to_string();
    all().into_iter().filter(|pid| stat(*pid).get(1) == Some(&parent)).collect()
}

/// The command line of a process, byte by byte.
pub fn command_line(pid: Pid) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// Its open descriptors.
pub fn descriptors(pid: Pid) -> Vec<i32> {
    let names = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut numbers: Vec<_> =
        names.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
    numbers.sort_unstable();
    numbers
}
