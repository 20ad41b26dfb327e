//! What a container's cgroup holds while the command sleeps.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::contestants::{BOTH, labelled_job, main, namespace, pods};
use crate::hold::{self, Hold};
use crate::kube::{Namespace, statuses};
use crate::manifest::{QUIT, sidecar};
use crate::spread::{Spread, row, table};

const PODS: usize = 8;
/// Who gives memory back has done so by then.
const SETTLED: Duration = Duration::from_secs(5);

pub fn measure() -> String {
    let namespace = namespace("memory");
    let hold = Hold::new("memory");
    let [proa, peer] = BOTH.map(|contestant| (contestant.title, contestant.main(&[QUIT], &hold::COMMAND)));
    let tini = main(&[&["/bin/tini", "-s", "--"], &hold::COMMAND[..]].concat());
    let columns = [("no wrapper", main(&hold::COMMAND)), proa, peer, ("tini-static", tini)];
    for (at, (_, main)) in columns.iter().enumerate() {
        let labels = json!({"program": at.to_string()});
        let mut job = labelled_job(&format!("main-{at}"), &labels, &[main.clone(), sidecar(&[])]);
        job["spec"]["parallelism"] = json!(PODS);
        job["spec"]["completions"] = json!(PODS);
        hold.mount(&mut job["spec"]["template"]["spec"]);
        namespace.create(&job.to_string());
    }
    hold.wait(PODS * columns.len());
    thread::sleep(SETTLED);
    let found = (0..columns.len()).map(|at| of(&namespace, &format!("program={at}"))).collect::<Vec<_>>();
    let mut rows = vec![row("kB, medians", columns.iter().map(|(title, _)| (*title).to_owned()))];
    for (at, title) in FILES.iter().map(|(title, ..)| title).enumerate() {
        rows.push(row(title, found.iter().map(|found| format!("{:.0}", found[at].median()))));
    }
    table(&rows)
}

/// A title, the file, and the line in it.
pub const FILES: [(&str, &str, &str); 4] = [
    ("all that it is charged with (`memory.usage_in_bytes`)", "memory.usage_in_bytes", ""),
    ("anonymous (`total_rss`)", "memory.stat", "total_rss "),
    ("of the kernel for it (`memory.kmem.usage_in_bytes`)", "memory.kmem.usage_in_bytes", ""),
    ("page cache (`total_cache`)", "memory.stat", "total_cache "),
];

/// Each of `FILES` for the main containers of Pods, in kB.
pub fn of(namespace: &Namespace, selector: &str) -> [Spread; 4] {
    let folders: Vec<_> = pods(namespace, selector).iter().map(main_cgroup).collect();
    FILES.map(|(_, file, line)| folders.iter().map(|folder| kilobytes(&folder.join(file), line)).collect())
}

fn kilobytes(file: &Path, line: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap();
    let value = text.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.parse::<f64>().unwrap() / 1024.0
}

/// The memory cgroup (version 1) of a Pod's main container.
fn main_cgroup(pod: &Value) -> PathBuf {
    let status = statuses(pod).find(|status| status["name"] == "main").unwrap();
    let id = status["containerID"].as_str().unwrap().trim_start_matches("containerd://");
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    PathBuf::from(format!("/sys/fs/cgroup/memory/proa-cluster/kubepods/besteffort/pod{uid}/{id}"))
}
