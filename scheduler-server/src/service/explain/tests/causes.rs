//! Cause by cause: what a row gives as its reason is what is said.

use std::collections::BTreeSet;
use std::time::Duration;

use scheduler_core::agent::Outcome as Ended;
use scheduler_core::engine::Command;
use scheduler_core::job::{Definition, OnLost, OverlapPolicy, Retry};
use scheduler_core::run::{Reason, TaskError};
use scheduler_core::schedule::Schedule;
use v1::explain_fire_response::Outcome;

use super::{Told, every, key, pause, said, update, v1, with};

/// How the first fire ended when its one attempt did so.
async fn after(definition: Definition, ended: Ended, outcome: Outcome, words: &[&str]) -> Told {
    let mut shell = with(definition).await;
    shell.join().await;
    shell.pass(10_500).await;
    let error = TaskError { code: "EXIT_1".to_owned(), message: "disk full".to_owned() };
    shell.finish(ended, Some(error)).await;
    said(shell.explain(10_000).await, outcome, words)
}

/// What is said of the second fire while the first is under way.
async fn behind_another(definition: Definition, outcome: Outcome, words: &[&str]) -> Told {
    let mut shell = with(definition).await;
    shell.join().await;
    shell.pass(21_000).await;
    said(shell.explain(20_000).await, outcome, words)
}

/// What is said of the first fire, which waits for an agent, after a change of its job.
async fn changed(change: Command, outcome: Outcome, words: &[&str]) -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(11_000).await;
    shell.ask(change).await;
    said(shell.explain(10_000).await, outcome, words)
}

async fn too_many_due() -> Told {
    let grace = Duration::from_secs(3_600);
    let mut shell =
        with(Definition { coalesce: false, max_instances: 2_000, misfire_grace_time: grace, ..every(1) }).await;
    shell.skip(1_500_500);
    shell.wake().await;
    said(shell.explain(501_000).await, Outcome::Waiting, &[]);
    said(shell.explain(500_000).await, Outcome::Missed, &["more than 1,000 fires", "500 fires"])
}

async fn queue_full() -> Told {
    let mut shell = with(Definition { overlap_policy: OverlapPolicy::Queue, max_queued: 1, ..every(10) }).await;
    shell.join().await;
    shell.pass(31_000).await;
    said(shell.explain(30_000).await, Outcome::Skipped, &["max_queued"])
}

async fn without_agent(definition: Definition, words: &[&str]) -> Told {
    let mut shell = with(definition).await;
    shell.pass(11_000).await;
    said(shell.explain(10_000).await, Outcome::Waiting, words)
}

async fn with_another_queue() -> Told {
    let mut shell = with(every(10)).await;
    shell.join_with("reports").await;
    shell.pass(11_000).await;
    said(shell.explain(10_000).await, Outcome::Waiting, &["no connected agent fits"])
}

async fn agent_lost() -> Told {
    let mut shell = with(Definition { on_lost: OnLost::Fail, ..every(10) }).await;
    shell.join().await;
    shell.pass(10_500).await;
    shell.lose_agent();
    shell.pass(40_000).await;
    said(shell.explain(10_000).await, Outcome::Ran, &["FAILED", "was lost"])
}

async fn cancelled() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(11_000).await;
    let run = shell.explain(10_000).await.run.unwrap().run_id.parse().unwrap();
    let cancel = Command::CancelRun { namespace: key().namespace, run, note: "not today".to_owned() };
    shell.ask(cancel).await;
    said(shell.explain(10_000).await, Outcome::Ran, &["CANCELLED", "never started", "by tester: not today"])
}

async fn cancelled_by_overlap() -> Told {
    let mut shell = with(Definition { overlap_policy: OverlapPolicy::CancelRunning, ..every(10) }).await;
    shell.pass(21_000).await;
    said(shell.explain(10_000).await, Outcome::Ran, &["CANCELLED", "a later fire took its place"])
}

fn twice() -> Definition {
    let retry = Retry { max_attempts: 2, initial_backoff: Duration::from_secs(60), ..Retry::default() };
    Definition { retry, ..every(10) }
}

fn jittered() -> Definition {
    Definition { schedule: Schedule { jitter: Some(Duration::from_secs(9)), ..every(10).schedule }, ..every(10) }
}

fn losing() -> Definition {
    Definition { on_lost: OnLost::Fail, ..every(10) }
}

async fn expired() -> Told {
    let mut shell = with(Definition { start_deadline: Some(Duration::from_secs(2)), ..every(10) }).await;
    shell.pass(13_000).await;
    said(shell.explain(10_000).await, Outcome::Ran, &["EXPIRED", "never started", "start_deadline"])
}

pub(super) async fn changed_undecided() -> Told {
    let mut shell = with(every(10)).await;
    shell.pass(10_100).await;
    shell.ask(update(every(7))).await;
    said(shell.explain(10_000).await, Outcome::Missed, &["the job was changed"])
}

#[tokio::test]
async fn every_reason_of_a_fire_is_told() {
    let queued = Definition { overlap_policy: OverlapPolicy::Queue, ..every(10) };
    let disable = Command::DisableJob { job: key(), note: String::new() };
    let told = [
        without_agent(jittered(), &["jitter"]).await,
        super::late().await,
        too_many_due().await,
        changed_undecided().await,
        super::ledger_restored().await,
        behind_another(every(10), Outcome::Skipped, &["max_instances"]).await,
        queue_full().await,
        changed(pause(), Outcome::Skipped, &["the job was paused", "hold"]).await,
        changed(disable, Outcome::Ran, &["CANCELLED", "the job was disabled"]).await,
        changed(Command::DeleteJob { job: key(), etag: None }, Outcome::Ran, &["the job was deleted"]).await,
        with_another_queue().await,
        without_agent(every(10), &["offers the task type", "noop"]).await,
        behind_another(Definition { max_instances: 2, ..every(10) }, Outcome::Waiting, &["is full"]).await,
        behind_another(queued, Outcome::Waiting, &["max_instances attempts"]).await,
        after(twice(), Ended::Failed, Outcome::Ran, &["next attempt", "disk full"]).await,
        after(every(10), Ended::Failed, Outcome::Ran, &["FAILED", "disk full"]).await,
        after(every(10), Ended::TimedOut, Outcome::Ran, &["TIMED_OUT", "the timeout"]).await,
        agent_lost().await,
        after(losing(), Ended::Lost, Outcome::Ran, &["FAILED", "right to run"]).await,
        expired().await,
        cancelled().await,
        cancelled_by_overlap().await,
    ];
    let told: BTreeSet<String> =
        told.iter().map(|told| told.run.as_ref().unwrap().reason().as_str_name().to_owned()).collect();
    let not_of_fires = [
        // Of attempts, and of runs that a backfill has not entered.
        Reason::NotStarted,
        Reason::LockNotTaken,
        Reason::RefusedByAgent,
        Reason::Revoked,
        Reason::BackfillConcurrency,
        // The ledger must refuse something; its own tests see to that.
        Reason::RefusedByLedger,
        Reason::Internal,
        // Nothing is handed out, and nothing is written either.
        Reason::CoordinatorAway,
    ];
    let of_fires = Reason::ALL.iter().filter(|reason| !not_of_fires.contains(reason));
    assert_eq!(told, of_fires.map(ToString::to_string).collect(), "every reason has a case");
}
