//! Commands that run until they are let go, all at once, and say when they have begun.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

/// No node needs half of it to begin what it can carry.
const DEADLINE: Duration = Duration::from_mins(5);
const STATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/state");

/// Its standard input ends when all are let go; both pipes are open on our side, so none waits
/// before it has begun.
pub const COMMAND: [&str; 3] = ["sh", "-c", "exec </hold/go; echo >/hold/begun; exec cat"];

/// Two named pipes in a folder that all Pods see.
pub struct Hold {
    folder: PathBuf,
    /// Open, nothing is ever written to it: the commands read.
    _go: File,
    begun: mpsc::Receiver<()>,
}

impl Hold {
    pub fn new(name: &str) -> Self {
        let folder = PathBuf::from(format!("{STATE}/hold-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let pipe = |name: &str| {
            let path = folder.join(name);
            mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            OpenOptions::new().read(true).write(true).open(path).unwrap()
        };
        let (go, lines) = (pipe("go"), BufReader::new(pipe("begun")).lines());
        let (send, begun) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|_| send.send(())));
        Self { folder, _go: go, begun }
    }

    /// Gives the folder to each container of a Pod that runs `COMMAND`.
    pub fn mount(&self, pod_spec: &mut Value) {
        for container in pod_spec["containers"].as_array_mut().unwrap() {
            let command = container["command"].as_array().map(Vec::as_slice).unwrap_or_default();
            if command.ends_with(&COMMAND.map(Value::from)) {
                container["volumeMounts"] = json!([{"name": "hold", "mountPath": "/hold"}]);
            }
        }
        pod_spec["volumes"] =
            json!([{"name": "hold", "hostPath": {"path": self.folder, "type": "Directory"}}]);
    }

    /// Waits until so many commands have begun.
    #[track_caller]
    pub fn wait(&self, count: usize) {
        for number in 0..count {
            let begun = self.begun.recv_timeout(DEADLINE);
            assert!(begun.is_ok(), "{number} of {count} have begun, and then none");
        }
    }
}

/// All are let go.
impl Drop for Hold {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
