//! What is kept of a history, and what a purge takes, in a real file.

use std::collections::BTreeMap;

use scheduler_core::agent::{Finished, FromAgent, Outcome, Report, ReportEvent};
use scheduler_core::engine::{Answer, Command};
use scheduler_core::ids::RunId;
use scheduler_core::job::{Definition, Retention};
use scheduler_core::txn::{PurgeFilter, Purged};

use ledger::{Page, Reader, RunFilter};

use crate::node::{Machine, Node, SECOND, key, manual};

const HOUR: u32 = 3_600;

async fn trigger(node: &mut Node, job_id: &str) -> RunId {
    let trigger = Command::TriggerJob { job: key(job_id), payload: None, labels: BTreeMap::new(), not_before: None };
    match node.request(trigger).await {
        Ok(Answer::Run(run)) => run.id,
        other => panic!("{other:?}"),
    }
}

/// So many runs that have ended, one a second.
async fn execute(node: &mut Node, runs: u32) -> Vec<RunId> {
    let mut executed = Vec::new();
    for _ in 0..runs {
        executed.push(trigger(node, "work").await);
        let attempt = node.assigned.pop().unwrap().attempt;
        let (outcome, time) = (Outcome::Succeeded, node.machine.wall());
        let finished =
            Finished { outcome, result: None, error: None, exit_code: None, retryable: false, start_time: None };
        let event = ReportEvent::Finished(finished);
        node.heard(FromAgent::Reports(vec![Report { attempt, sequence: 1, time, event }])).await;
        node.pass(SECOND).await;
    }
    executed
}

/// Ids of what is there, the oldest first.
async fn left(node: &Node) -> Vec<RunId> {
    let page = node.ledger.runs(&RunFilter::default(), &Page { size: 1_000, after: None }).await.unwrap();
    let mut left: Vec<RunId> = page.items.iter().map(|stored| stored.run.id).collect();
    left.sort_unstable();
    left
}

/// A server with a job that keeps so many runs, and one that keeps none, whose only run waits for an agent for ever.
async fn start(machine: &Machine, folder: &tempfile::TempDir, max_runs: u32) -> (Node, RunId) {
    let mut node = Node::start(machine, folder.path()).await;
    node.join().await;
    let keeps = |max_runs| Definition { retention: Retention { max_runs, ..Retention::default() }, ..manual() };
    node.create("work", keeps(max_runs)).await;
    let mut nobody_does_it = keeps(0);
    nobody_does_it.task.task_type = "other".to_owned();
    node.create("waits", nobody_does_it).await;
    let waiting = trigger(&mut node, "waits").await;
    (node, waiting)
}

/// Nobody looks for so long; then there is time for a walk over the histories.
async fn come_back_after(node: &mut Node, seconds: u32) {
    node.machine.pass(SECOND * seconds);
    node.pass(SECOND * 130).await;
}

#[tokio::test]
async fn a_job_keeps_as_many_runs_as_its_retention_says_and_all_of_the_last_hour() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let (mut node, waiting) = start(&machine, &folder, 3).await;
    let runs = execute(&mut node, 10).await;
    come_back_after(&mut node, HOUR / 2).await;
    assert_eq!(left(&node).await.len(), 11, "nothing of the last hour is deleted");
    come_back_after(&mut node, 2 * HOUR).await;
    assert_eq!(left(&node).await, [&[waiting], &runs[7..]].concat(), "the newest three, and what has not ended");
}

#[tokio::test]
async fn a_purge_with_a_limit_takes_the_oldest_and_says_that_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let (mut node, waiting) = start(&machine, &folder, 1_000).await;
    let runs = execute(&mut node, 10).await;
    come_back_after(&mut node, 2 * HOUR).await;
    assert_eq!(left(&node).await.len(), 11, "all is kept");
    let filter = PurgeFilter {
        namespace: "default".to_owned(),
        job_id: None,
        states: Vec::new(),
        ended_before: node.machine.wall(),
    };
    let purge = || Command::PurgeRuns { filter: filter.clone(), most: 6 };
    let purged = |runs, more| Ok(Answer::Purged(Purged { runs, jobs: Vec::new(), more }));
    assert_eq!(node.request(purge()).await, purged(6, true));
    assert_eq!(left(&node).await, [&[waiting], &runs[6..]].concat());
    assert_eq!(node.request(purge()).await, purged(4, false));
    assert_eq!(left(&node).await, [waiting]);
}
