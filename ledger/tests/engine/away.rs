//! A server that dies and comes back 47 s later finds every instant that came due meanwhile (promise 1).

use std::time::Duration;

use ledger::{Page, Reader, RunFilter};
use scheduler_core::job::Definition;
use scheduler_core::run::{Reason, Run, RunState};
use scheduler_core::time::Timestamp;

use crate::node::{Machine, Node, SECOND, every};

/// All rows, in the order of their instants.
async fn rows(node: &Node) -> Vec<Run> {
    let page = node.ledger.runs(&RunFilter::default(), &Page { size: 1_000, after: None }).await.unwrap();
    let mut rows: Vec<Run> = page.items.into_iter().map(|stored| stored.run).collect();
    rows.sort_by_key(|run| run.scheduled_time);
    rows
}

fn tick(grace_secs: u64, coalesce: bool) -> Definition {
    let misfire_grace_time = Duration::from_secs(grace_secs);
    Definition { misfire_grace_time, coalesce, max_instances: 1_000, ..every(SECOND) }
}

/// First and last instant, in seconds after the job's creation, and the count.
type Span = (u64, u64, u64);

/// What is in the ledger when a server dies 5.7 s after the job was made, another comes 47 s later, and 3 s pass.
async fn rows_of_an_absence(definition: Definition) -> Vec<(RunState, Option<Reason>, Span)> {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let mut first = Node::start(&machine, folder.path()).await;
    first.join().await;
    let job = first.create("tick", definition).await;
    first.pass(Duration::from_millis(5_700)).await;
    drop(first);
    machine.pass(47 * SECOND);
    let mut second = Node::start(&machine, folder.path()).await;
    second.join().await;
    second.pass(3 * SECOND).await;

    let rows = rows(&second).await;
    let mut covered = job.create_time;
    for row in &rows {
        assert_eq!(row.covers_from, Some(covered), "spans are contiguous: {row:?}");
        covered = row.scheduled_time;
    }
    let seconds = |time: Timestamp| time.since(job.create_time).as_secs();
    let span = |run: &Run| {
        let first = run.first_scheduled_time.unwrap_or(run.scheduled_time);
        (seconds(first), seconds(run.scheduled_time), run.coalesced_count)
    };
    rows.iter().map(|run| (run.state, run.reason, span(run))).collect()
}

fn run(instant: u64) -> (RunState, Option<Reason>, Span) {
    (RunState::Pending, None, (instant, instant, 1))
}

#[tokio::test]
async fn an_absence_of_47_s_is_counted_to_the_instant() {
    let rows = rows_of_an_absence(tick(10, true)).await;
    let missed = (RunState::Missed, Some(Reason::Late), (6, 42, 37));
    let made_up = (RunState::Pending, None, (43, 52, 10));
    let expected: Vec<_> = (1..=5).map(run).chain([missed, made_up]).chain((53..=55).map(run)).collect();
    assert_eq!(rows, expected);
    assert_eq!(rows.iter().map(|(_, _, (_, _, count))| count).sum::<u64>(), 55, "every instant, once");
}

#[tokio::test]
async fn an_absence_of_47_s_without_coalescing_has_a_run_for_each_instant_within_grace() {
    let rows = rows_of_an_absence(tick(10, false)).await;
    let missed = (RunState::Missed, Some(Reason::Late), (6, 42, 37));
    let expected: Vec<_> = (1..=5).map(run).chain([missed]).chain((43..=55).map(run)).collect();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn an_absence_within_grace_misses_nothing() {
    let rows = rows_of_an_absence(tick(60, true)).await;
    let made_up = (RunState::Pending, None, (6, 52, 47));
    let expected: Vec<_> = (1..=5).map(run).chain([made_up]).chain((53..=55).map(run)).collect();
    assert_eq!(rows, expected);
}
