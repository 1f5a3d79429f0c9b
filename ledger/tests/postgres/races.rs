//! Leaders that meet between two statements of a transaction (PROTOCOL.md, rules 4, 5, 31): the barriers are in the
//! database, because there the transaction is carried out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::job::Job;
use scheduler_core::txn::{Failure, Transaction};

use crate::contract::samples::{created, job, run};
use crate::contract::{Backend as _, Term, take_over};
use crate::database::{Database, execute, is_ended};

/// How long a take-over that should wait is given to be found waiting. It decides nothing.
const WAITS: Duration = Duration::from_millis(100);

/// A job and its run.
fn of_a_job(term: &Term) -> (Job, Transaction) {
    let job = job(1, "default", "a");
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job.clone()));
    transaction.entered = vec![run(1, &job)];
    (job, transaction)
}

async fn sees(term: &Term, job: &Job) -> bool {
    let loaded = term.load().await;
    let is_there = loaded.jobs.iter().any(|loaded| loaded.uid == job.uid);
    assert_eq!(loaded.unended.len(), usize::from(is_there), "half of a transaction");
    is_there
}

/// The next leader comes while a transaction is half way: it must find it whole, or never.
pub(crate) async fn a_take_over_meets_a_transaction_half_way(database: &Database) {
    let old = Term::begin(database).await;
    let (job, transaction) = of_a_job(&old);
    let barrier = database.barrier("runs").await;
    let next = async {
        database.stands_still().await;
        let ledger = database.connect().await;
        let by = take_over("b");
        let mut taking_over = pin!(ledger.take_over(&by));
        let early = tokio::time::timeout(WAITS, &mut taking_over).await;
        if let Ok(began) = early {
            // It did not wait: what it sees now is all that it will ever load.
            let new = Term { began: began.unwrap(), ledger: Arc::clone(&ledger) };
            let is_there = sees(&new, &job).await;
            barrier.lift().await;
            return (new, is_there);
        }
        barrier.lift().await;
        let began = taking_over.await.unwrap();
        let new = Term { began, ledger: Arc::clone(&ledger) };
        let is_there = sees(&new, &job).await;
        (new, is_there)
    };
    let (committed, (new, is_there)) = tokio::join!(old.ledger.commit(&transaction), next);
    match committed {
        Ok(()) => assert!(is_there, "committed, and not seen by the next leader"),
        // Whoever looked too late has had its session ended by the take-over.
        Err(Failure::Unknown(_) | Failure::Unavailable(_)) => {}
        Err(failure) => panic!("{failure}"),
    }
    assert_eq!(sees(&new, &job).await, is_there, "written after the take-over");
    assert_eq!(old.ledger.commit(&transaction).await, Err(Failure::Deposed { current: new.epoch() }));
}

/// A transaction comes while a take-over is half way: it has to wait, and then to see what came of it.
pub(crate) async fn a_transaction_meets_a_take_over_half_way(database: &Database) {
    let old = Term::begin(database).await;
    let (job, transaction) = of_a_job(&old);
    let ledger = database.connect().await;
    let barrier = database.barrier("leadership").await;
    let by = take_over("b");
    let late = async {
        database.stands_still().await;
        let committing = async {
            database.waits_for_epoch().await;
            barrier.lift().await;
        };
        tokio::join!(old.ledger.commit(&transaction), committing).0
    };
    let (began, committed) = tokio::join!(ledger.take_over(&by), late);
    let new = Term { began: began.unwrap(), ledger };
    assert_eq!(committed, Err(Failure::Deposed { current: new.epoch() }));
    assert!(!sees(&new, &job).await);
}

#[tokio::test]
async fn a_transaction_half_way_is_whole_before_the_next_term_or_never() {
    let Some(database) = Database::new().await else { return };
    a_take_over_meets_a_transaction_half_way(&database).await;
}

#[tokio::test]
async fn a_transaction_that_waited_for_a_take_over_writes_nothing() {
    let Some(database) = Database::new().await else { return };
    a_transaction_meets_a_take_over_half_way(&database).await;
}

#[tokio::test]
async fn a_stuck_transaction_of_an_earlier_term_is_ended_by_the_next() {
    let Some(database) = Database::new().await else { return };
    let old = Term::begin(&database).await;
    let (job, transaction) = of_a_job(&old);
    let barrier = database.barrier("runs").await;
    let next = async {
        database.stands_still().await;
        Term::begin(&database).await
    };
    let (committed, new) = tokio::join!(old.ledger.commit(&transaction), next);
    assert!(matches!(committed, Err(Failure::Unknown(_))), "{committed:?}");
    assert!(!sees(&new, &job).await);
    barrier.lift().await;
    assert_eq!(old.ledger.commit(&transaction).await, Err(Failure::Deposed { current: new.epoch() }));
    assert!(!sees(&new, &job).await);
}

#[tokio::test]
async fn a_frozen_leaders_session_does_not_hold_up_the_next() {
    let Some(database) = Database::new().await else { return };
    let old = Term::begin(&database).await;
    let mut frozen = database.outsider_named(&format!("punctual/{}/frozen", old.epoch().0)).await;
    execute(&mut frozen, &format!("BEGIN; SELECT fence({})", old.epoch().0)).await;
    let new = Term::begin(&database).await;
    assert!(new.epoch() > old.epoch());
    assert!(is_ended(frozen).await);
}

#[tokio::test]
async fn nobodys_session_is_ended_but_an_earlier_leaders() {
    let Some(database) = Database::new().await else { return };
    let old = Term::begin(&database).await;
    let mut shell = database.outsider_named("a shell").await;
    execute(&mut shell, &format!("BEGIN; SELECT fence({})", old.epoch().0)).await;
    let refused = old.ledger.take_over(&take_over("b")).await;
    assert!(matches!(refused, Err(Failure::Unavailable(_))), "{refused:?}");
    execute(&mut shell, "COMMIT").await;
    assert!(Term::begin(&database).await.epoch() > old.epoch());
}

#[tokio::test]
async fn a_reader_sees_nothing_of_a_write_half_way() {
    let Some(database) = Database::new().await else { return };
    let term = Term::begin(&database).await;
    let (job, transaction) = of_a_job(&term);
    let barrier = database.barrier("runs").await;
    let reading = async {
        database.stands_still().await;
        let reader = Term { ledger: database.connect().await, began: term.began.clone() };
        let saw = sees(&reader, &job).await;
        barrier.lift().await;
        saw
    };
    let (committed, saw) = tokio::join!(term.ledger.commit(&transaction), reading);
    assert_eq!(committed, Ok(()));
    assert!(!saw);
    assert!(sees(&term, &job).await);
}
