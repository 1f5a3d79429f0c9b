//! Transactions: whole or not at all, and again without effect (PROTOCOL.md, rules 3, 5, 8).

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ledger::{Page, RunFilter};
use scheduler_core::agent::{LogChunk, LogSource};
use scheduler_core::ids::AttemptId;
use scheduler_core::run::RunState;
use scheduler_core::txn::{Failure, RequestRow, Transaction};

use super::samples::{
    NOW, assigned, attempt, changed, created, ended, full_attempt, full_job, full_run, job, manual_run, request, run,
    run_id, seconds_after,
};
use super::{Backend, Term, terms};

fn chunk(run: u128, attempt: u32, sequence: u64) -> LogChunk {
    LogChunk {
        attempt: AttemptId { run: run_id(run), number: attempt },
        sequence,
        source: LogSource::Stderr,
        time: seconds_after(sequence),
        data: vec![0, 255, b'\n'],
        cut_bytes: sequence,
    }
}

/// A transaction with something of everything, on a ledger that has `run(1)` of `job(1)`.
async fn something_of_everything(term: &Term) -> Transaction {
    let job = job(1, "default", "a");
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.push(run(1, &job));
    })
    .await;
    let mut transaction = term.transaction();
    transaction.requests.push(request("r"));
    transaction.jobs.push(created(full_job(2)));
    transaction.entered = vec![full_run(2, &job), manual_run(3, &job), ended(run(4, &job), RunState::Missed)];
    transaction.updated = vec![assigned(run(1, &job), "agent")];
    transaction.attempts = vec![(run_id(2), full_attempt(2, "second")), (run_id(2), full_attempt(3, "third"))];
    transaction.late_outcomes = vec![terms::late(run_id(2), 1), terms::late(run_id(2), 2)];
    transaction.logs = vec![chunk(1, 1, 1), chunk(1, 1, 2)];
    transaction.watermark = Some(seconds_after(2));
    transaction.token_ceiling = Some(term.began.token_ceiling);
    transaction
}

/// All that a reader can tell.
async fn everything(term: &Term) -> impl PartialEq + std::fmt::Debug + use<> {
    let runs = term.ledger.runs(&RunFilter::default(), &Page { size: 1_000, after: None }).await.unwrap();
    let logs = term.ledger.logs(run_id(1), None, 1_000).await.unwrap();
    let requests = term.ledger.find_requests(&[request("r").key]).await.unwrap();
    (term.load().await, runs, logs, requests)
}

pub(crate) async fn the_same_transaction_again_changes_nothing(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let transaction = something_of_everything(&term).await;
    let before = everything(&term).await;
    term.ledger.commit(&transaction).await.unwrap();
    let once = everything(&term).await;
    assert!(before != once, "the transaction wrote nothing");
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()));
    assert_eq!(everything(&term).await, once);
}

pub(crate) async fn what_was_committed_is_there_after_a_crash(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let transaction = something_of_everything(&term).await;
    term.ledger.commit(&transaction).await.unwrap();
    let before = everything(&term).await;
    let Term { ledger, began } = term;
    drop(ledger);
    let reopened = Term { ledger: backend.connect().await, began };
    assert_eq!(everything(&reopened).await, before);
}

pub(crate) async fn a_dropped_commit_leaves_nothing_open(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let other = Term { ledger: backend.connect().await, began: term.began.clone() };
    for n in 1..40 {
        let job = job(n, "default", &format!("job-{n}"));
        let mut transaction = term.transaction();
        transaction.jobs.push(created(job.clone()));
        transaction.entered.extend((0..100).map(|k| run(n * 100 + k, &job)));
        abandon(term.ledger.commit(&transaction), u32::try_from(n).unwrap()).await;
        // What was dropped is whole or not there at all, and in nobody's way.
        let loaded = other.load().await;
        let jobs = loaded.jobs.iter().filter(|loaded| loaded.uid == job.uid).count();
        let runs = loaded.unended.iter().filter(|(run, _)| run.job_uid == job.uid).count();
        assert_eq!(runs, jobs * 100, "after {n} polls");
        other.ledger.commit(&transaction).await.unwrap();
        term.ledger.commit(&transaction).await.unwrap();
    }
}

/// Polls `future` up to `polls` times, each time that it is woken, then once more at once, and drops it.
async fn abandon<T>(future: impl Future<Output = T>, polls: u32) {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending if left > 0 => Poll::Pending,
            Poll::Pending => {
                let _dropped_half_way = future.as_mut().poll(context);
                Poll::Ready(())
            }
        }
    })
    .await;
}

pub(crate) async fn an_instant_is_not_entered_twice(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.extend((1..=3).map(|n| run(n, &job)));
    })
    .await;
    let before = term.load().await;
    let mut again = term.transaction();
    let mut double = run(12, &job);
    double.scheduled_time = run(2, &job).scheduled_time;
    again.entered = vec![run(11, &job), double.clone(), run(13, &job)];
    again.watermark = Some(seconds_after(3));
    let conflict = Failure::Conflict { job_uid: job.uid, scheduled_time: double.scheduled_time };
    assert_eq!(term.ledger.commit(&again).await, Err(conflict));
    assert_eq!(term.load().await, before);
    assert_eq!(Term::begin(backend).await.began.watermark, NOW);
}

pub(crate) async fn an_instant_is_not_entered_twice_by_one_transaction(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let mut double = run(2, &job);
    double.scheduled_time = run(1, &job).scheduled_time;
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job.clone()));
    transaction.entered = vec![run(1, &job), double.clone()];
    let conflict = Failure::Conflict { job_uid: job.uid, scheduled_time: double.scheduled_time };
    assert_eq!(term.ledger.commit(&transaction).await, Err(conflict));
    // The same instant by hand is another matter.
    transaction.entered[1] = manual_run(2, &job);
    transaction.entered[1].scheduled_time = double.scheduled_time;
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()));
}

pub(crate) async fn a_refused_transaction_writes_nothing(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let transaction = something_of_everything(&term).await;
    let before = everything(&term).await;
    let mut refused = transaction.clone();
    refused.attempts.push((run_id(999), attempt(2, "agent")));
    let answer = term.ledger.commit(&refused).await;
    assert!(matches!(answer, Err(Failure::Refused(_))), "an attempt of no run: {answer:?}");
    assert_eq!(everything(&term).await, before);
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()), "the rest is as good as before");
}

pub(crate) async fn an_update_of_a_run_that_is_not_there_is_refused(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job.clone()));
    transaction.entered = vec![run(1, &job)];
    transaction.updated = vec![assigned(run(1, &job), "agent"), assigned(run(2, &job), "agent")];
    let answer = term.ledger.commit(&transaction).await;
    assert!(matches!(answer, Err(Failure::Refused(_))), "{answer:?}");
    assert_eq!(term.load().await.unended, []);
}

pub(crate) async fn large_batches_are_written_whole(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    term.commit_jobs([created(job.clone())]).await;
    // Lengths on both sides of every size that a back end might cut at.
    let mut next = 0;
    for length in [1, 2, 3, 63, 64, 65, 127, 128, 255, 257, 513] {
        let entered: Vec<_> = (next..next + length).map(|n| run(n, &job)).collect();
        next += length;
        term.commit(|transaction| transaction.entered.clone_from(&entered)).await;
        let updated: Vec<_> = entered.iter().map(changed).collect();
        term.commit(|transaction| {
            transaction.updated.clone_from(&updated);
            transaction.attempts = entered.iter().map(|run| (run.id, full_attempt(4, "fourth"))).collect();
        })
        .await;
        let expected: Vec<_> = updated.into_iter().map(|run| (run, Some(full_attempt(4, "fourth")))).collect();
        let loaded = term.load().await.unended;
        assert_eq!(loaded[loaded.len() - expected.len()..], expected, "a batch of {length}");
        assert_eq!(loaded.len() as u128, next);
    }
}

pub(crate) async fn requests_are_found_for_a_day(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let (known, unknown) = (request("known"), request("unknown"));
    term.commit(|transaction| transaction.requests.push(known.clone())).await;
    let keys = [unknown.key.clone(), known.key.clone()];
    let day = Duration::from_secs(24 * 3600);
    backend.set_clock(NOW.saturating_add(day).saturating_sub(Duration::from_micros(1))).await;
    assert_eq!(term.ledger.find_requests(&keys).await, Ok(vec![known.clone()]));
    backend.set_clock(NOW.saturating_add(day)).await;
    assert_eq!(term.ledger.find_requests(&keys).await, Ok(vec![]));
    // A forgotten number may be used again.
    let reused = RequestRow { digest: "d2".to_owned(), time: NOW.saturating_add(day), ..known.clone() };
    term.commit(|transaction| transaction.requests.push(reused.clone())).await;
    assert_eq!(term.ledger.find_requests(&keys).await, Ok(vec![reused]));
}

pub(crate) async fn a_request_with_other_content_is_refused(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let first = request("r");
    term.commit(|transaction| transaction.requests.push(first.clone())).await;
    for other in [
        RequestRow { digest: "d2".to_owned(), ..first.clone() },
        RequestRow { resource: run_id(2).to_string(), ..first.clone() },
    ] {
        let mut transaction = term.transaction();
        transaction.requests = vec![request("beside"), other];
        transaction.jobs.push(created(job(1, "default", "a")));
        let answer = term.ledger.commit(&transaction).await;
        assert!(matches!(answer, Err(Failure::Refused(_))), "{answer:?}");
        assert_eq!(term.load().await.jobs, []);
    }
    // The same number elsewhere is another request.
    let mut elsewhere = RequestRow { digest: "d3".to_owned(), ..first.clone() };
    elsewhere.key.namespace = "team-a".to_owned();
    term.commit(|transaction| transaction.requests.push(elsewhere.clone())).await;
    let found = term.ledger.find_requests(&[first.key.clone(), elsewhere.key.clone()]).await;
    assert_eq!(found, Ok(vec![first, elsewhere]));
}

pub(crate) async fn logs_of_purged_runs_do_not_hold_up_the_rest(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let job = job(1, "default", "a");
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.push(run(1, &job));
        transaction.logs = vec![chunk(999, 1, 1), chunk(1, 1, 1)];
    })
    .await;
    assert_eq!(term.ledger.logs(run_id(1), None, 10).await.unwrap().items.len(), 1);
    assert_eq!(term.ledger.logs(run_id(999), None, 10).await.unwrap().items, []);
}
