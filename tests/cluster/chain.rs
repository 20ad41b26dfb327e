//! From the command's end to the Job's completion: how long each step took, and who took it.

use std::fmt;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::exits::Exits;
use crate::kube::Namespace;
use crate::story::Story;

/// Until the sidecar's process has ended, and until the main container's has. The kubelet looks at
/// its containers once a second, so most of the second bound is its.
const SOON: SignedDuration = SignedDuration::from_secs(3);
/// From the moment when proa hears that the sidecar has ended to the end of proa. A few
/// milliseconds; this is for a busy machine.
const OWN: SignedDuration = SignedDuration::from_millis(500);

/// What has happened, one after the other, and how long after the one before.
pub struct Chain(Vec<(&'static str, SignedDuration)>);

impl Chain {
    /// Waits until the Job is complete and reads its Pod, whose sidecar is this one.
    #[track_caller]
    pub fn of(namespace: &Namespace, exits: &Exits, job: &str, sidecar: &str) -> (Self, Story) {
        assert_eq!(namespace.job_end(job), "Complete");
        let complete = Timestamp::now();
        let (pod, story) = (namespace.pod(), namespace.story());
        story.codes(&[("main", 0), (sidecar, 0)]);
        let moments = [
            ("the command's end", story.time("main:  INFO proa::run: command ended")),
            ("the sidecar's process has ended", exits.of(&pod, sidecar)),
            (
                "proa hears of it from the API server",
                story.time(&format!("sidecar ended container={sidecar:?}")),
            ),
            ("proa has ended", exits.of(&pod, "main")),
            ("the Job is complete", complete),
        ];
        let steps = moments.windows(2).map(|two| (two[1].0, two[1].1.duration_since(two[0].1)));
        let chain = Self(steps.collect());
        eprintln!("{chain}");
        (chain, story)
    }

    /// Checks what proa can do something about.
    #[track_caller]
    pub fn check(&self) {
        let until = |steps: usize| self.0[..steps].iter().map(|(_, took)| *took).sum::<SignedDuration>();
        assert!(until(1) <= SOON, "the sidecar's process ended late:\n{self}");
        assert!(until(3) <= SOON, "the main container ended late:\n{self}");
        assert!(self.0[2].1 <= OWN, "proa took its time:\n{self}");
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slowest = self.0.iter().map(|(_, took)| *took).max().unwrap_or_default();
        for (what, took) in &self.0 {
            let mark = if *took == slowest { "  <- the slowest" } else { "" };
            writeln!(to, "{:>6} ms until {what}{mark}", took.as_millis())?;
        }
        Ok(())
    }
}
