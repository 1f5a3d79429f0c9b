//! Two leaders on one ledger, with a barrier between any two statements of one of them (PROTOCOL.md, rules 4, 5, 31).
//!
//! The barrier is the future itself: it is polled so many times, and then stands still, with its transaction open, while
//! the other leader goes on. A back end whose transactions are carried out elsewhere has barriers of its own beside these.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use scheduler_core::job::Job;
use scheduler_core::txn::{Failure, Transaction};

use super::samples::{created, job, run};
use super::{Backend, Term, take_over};

/// More than any transaction here is polled until its end.
const BARRIERS: u32 = 40;
/// How long somebody who may have to wait is given before the other goes on. It decides nothing: whoever is slower than
/// this is found waiting.
const WAITS: Duration = Duration::from_millis(40);

/// Polls `future` up to `polls` times, each time that it is woken. `None`: it stands still now.
async fn stop_after<T>(future: &mut Pin<&mut impl Future<Output = T>>, polls: u32) -> Option<T> {
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left > 0 => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}

/// A job and two of its runs: whole, or not there.
fn of_a_job(term: &Term, number: u32) -> (Job, Transaction) {
    let number = u128::from(number);
    let job = job(number, "default", &format!("job-{number}"));
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job.clone()));
    transaction.entered = vec![run(number * 10, &job), run(number * 10 + 1, &job)];
    (job, transaction)
}

/// Whether a leader sees the transaction of [`of_a_job`]; half of it is a failure.
async fn sees(term: &Term, job: &Job) -> bool {
    let loaded = term.load().await;
    let is_there = loaded.jobs.iter().any(|loaded| loaded.uid == job.uid);
    let runs = loaded.unended.iter().filter(|(run, _)| run.job_uid == job.uid).count();
    assert_eq!(runs, if is_there { 2 } else { 0 }, "half of a transaction");
    is_there
}

pub(crate) async fn a_take_over_finds_all_or_nothing_of_a_transaction_it_meets(backend: &dyn Backend) {
    let mut deposed = 0;
    for barrier in 0..BARRIERS {
        let old = Term::begin(backend).await;
        let (job, transaction) = of_a_job(&old, barrier + 1);
        let ledger = backend.connect().await;

        let mut commit = pin!(old.ledger.commit(&transaction));
        let mut committed = stop_after(&mut commit, barrier).await;
        let by = take_over("b");
        let mut taking_over = pin!(ledger.take_over(&by));
        let early = tokio::time::timeout(WAITS, &mut taking_over).await;
        if committed.is_none() {
            committed = Some(commit.await);
        }
        let began = match early {
            Ok(began) => began,
            Err(_) => taking_over.await,
        };
        let new = Term { began: began.unwrap(), ledger: Arc::clone(&ledger) };

        assert!(new.epoch() > old.epoch());
        let is_there = sees(&new, &job).await;
        match committed.expect("because it was set") {
            Ok(()) => assert!(is_there, "committed, and lost, at barrier {barrier}"),
            Err(Failure::Deposed { current }) => {
                assert_eq!(current, new.epoch());
                assert!(!is_there, "refused, and there, at barrier {barrier}");
                deposed += 1;
            }
            Err(failure) => panic!("{failure} at barrier {barrier}"),
        }
        // Whoever does not know what became of it asks again; it is too late for that.
        let again = old.ledger.commit(&transaction).await;
        assert_eq!(again, Err(Failure::Deposed { current: new.epoch() }));
        assert_eq!(sees(&new, &job).await, is_there);
    }
    assert!(0 < deposed && deposed < BARRIERS, "some were before the take-over and some after: {deposed}");
}

pub(crate) async fn of_two_take_overs_at_once_one_is_the_last(backend: &dyn Backend) {
    for barrier in 0..BARRIERS / 2 {
        let [first, second] = [backend.connect().await, backend.connect().await];
        let (by_first, by_second) = (take_over("a"), take_over("b"));
        let mut one = pin!(first.take_over(&by_first));
        let mut began = stop_after(&mut one, barrier).await;
        let mut other = pin!(second.take_over(&by_second));
        let early = tokio::time::timeout(WAITS, &mut other).await;
        if began.is_none() {
            began = Some(one.await);
        }
        let other = match early {
            Ok(began) => began,
            Err(_) => other.await,
        };
        let one = Term { began: began.expect("because it was set").unwrap(), ledger: Arc::clone(&first) };
        let other = Term { began: other.unwrap(), ledger: Arc::clone(&second) };

        let (last, deposed) = if one.epoch() > other.epoch() { (&one, &other) } else { (&other, &one) };
        assert!(last.epoch() > deposed.epoch(), "two terms have one epoch at barrier {barrier}");
        assert!(last.began.token_ceiling > deposed.began.token_ceiling);
        let refused = deposed.ledger.commit(&deposed.transaction()).await;
        assert_eq!(refused, Err(Failure::Deposed { current: last.epoch() }));
        assert_eq!(last.ledger.commit(&last.transaction()).await, Ok(()));
    }
}

pub(crate) async fn a_reader_sees_all_or_nothing_of_a_write_under_way(backend: &dyn Backend) {
    let term = Term::begin(backend).await;
    let reader = Term { ledger: backend.connect().await, began: term.began.clone() };
    let mut unseen = 0;
    for barrier in 0..BARRIERS {
        let (job, transaction) = of_a_job(&term, barrier + 1);
        let mut commit = pin!(term.ledger.commit(&transaction));
        let committed = stop_after(&mut commit, barrier).await;
        let is_there = sees(&reader, &job).await;
        assert!(is_there || committed.is_none(), "committed, and not read, at barrier {barrier}");
        unseen += u32::from(!is_there);
        if committed.is_none() {
            commit.await.unwrap();
        }
        assert!(sees(&reader, &job).await);
    }
    let least = if backend.stops_with_its_caller() { 2 } else { 1 };
    assert!(least <= unseen && unseen < BARRIERS, "some reads came before the commit and some after: {unseen}");
}
