//! Sequences that must not break a promise (SCENARIOS.md), each as a script. The promises are judged after every step; a
//! case adds what is its own. docs/simulation.md says which sequence is guarded where.

mod changing;
mod deciding;
mod handing_out;
mod leading;
mod right_to_run;

use std::time::Duration;

use scheduler_core::job::Definition;
use simulation::jobs;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A job of processes that fires every so often.
fn every(period: Duration) -> Definition {
    jobs::every("process", period)
}

/// A job of processes that only clients run.
fn manual() -> Definition {
    jobs::manual("process")
}
