//! What can break in a cluster, one after the other, with load on it all the while (DESIGN.md, section 7): three servers,
//! three agents, real etcd, real Postgres. In the end the ledger is held against what tasks and clients wrote down.
//!
//! Outages are longer than agents may go on by themselves; with `PUNCTUAL_TEST_LONG` they last 20 s, and there is more of
//! everything.

mod crowd;
mod etcd;
mod leaders;
mod ledger;
mod postgres;
mod soak;

use std::time::Duration;

use punctual_tests::{Heard, Parts, Random, Rest, Run, Size, Trial, job, noop, now, until};
use serde_json::json;

const PARTS: Parts = Parts { nodes: 3, agents: 3, members: 1 };

fn is_long() -> bool {
    std::env::var_os("PUNCTUAL_TEST_LONG").is_some()
}

/// How long something is away.
fn outage() -> Duration {
    Duration::from_secs(if is_long() { 20 } else { 7 })
}

/// For tasks that outlive the outage.
fn longer_than_the_outage() -> u64 {
    outage().as_secs() + 4
}

#[track_caller]
fn trial(parts: Parts) -> Option<Trial> {
    Trial::start(parts, Size::CLUSTER, Random::seeded())
}

/// What a node answers to a write, and after how many milliseconds.
#[track_caller]
fn write(rest: &Rest, id: &str) -> (Heard, i64) {
    let asked = now();
    let heard = rest.ask("POST", "/jobs", &job(id, noop(), json!({})));
    (heard, (now() - asked).num_milliseconds())
}

/// What it answers to a read.
#[track_caller]
fn read(rest: &Rest) -> (u16, i64) {
    let asked = now();
    let answer = rest.call("GET", "/jobs?pageSize=1", None);
    (answer.status, (now() - asked).num_milliseconds())
}

/// It went on all the while, and was not executed again.
#[track_caller]
fn assert_went_on(trial: &Trial, run_id: &str) {
    let rest = trial.rest();
    let ended = until("the end of the run", 60, || Some(rest.run(run_id)).filter(Run::ended));
    assert_eq!((ended.state.as_str(), ended.attempt), ("SUCCEEDED", 1), "{ended:?}");
}
