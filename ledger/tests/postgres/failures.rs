//! Postgres goes away and comes back; the ledger stays open all the while.

use std::pin::pin;
use std::time::Duration;

use ledger::Unreadable;
use scheduler_core::txn::Failure;

use crate::contract::samples::{created, job, request, run};
use crate::contract::{Backend as _, Ledger, Term};
use crate::database::{Database, execute};

/// Long for an answer, and short for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, answer).await.expect("because who is away is known to be")
}

#[tokio::test]
async fn the_outcome_of_a_commit_that_postgres_died_in_is_unknown_and_the_same_again_makes_it_so() {
    let Some(mut database) = Database::new().await else { return };
    let term = Term::begin(&database).await;
    let job = job(1, "default", "a");
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job.clone()));
    transaction.entered.push(run(1, &job));
    let barrier = database.barrier("runs").await;
    let ledger = std::sync::Arc::clone(&term.ledger);
    let sent = transaction.clone();
    let mut commit = Box::pin(async move { ledger.commit(&sent).await });
    tokio::select! {
        biased;
        answer = &mut commit => panic!("{answer:?}"),
        () = database.stands_still() => {}
    }
    database.server.kill();
    let answer = in_time(commit).await;
    assert!(matches!(answer, Err(Failure::Unknown(_))), "{answer:?}");
    drop(barrier);

    database.server.come_back();
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()));
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()));
    assert_eq!(term.load().await.unended.len(), 1);
}

#[tokio::test]
async fn who_asks_while_postgres_is_away_is_told_at_once_and_served_when_it_is_back() {
    let Some(mut database) = Database::new().await else { return };
    let term = Term::begin(&database).await;
    assert_eq!(term.ledger.count_jobs().await.unwrap(), 0);
    database.server.kill();
    let transaction = term.transaction();
    // Of what was under way nobody knows; after that it is known to be away.
    let _ = in_time(term.ledger.commit(&transaction)).await;
    for _ in 0..3 {
        let answer = in_time(term.ledger.commit(&transaction)).await;
        assert!(matches!(answer, Err(Failure::Unavailable(_))), "{answer:?}");
        assert!(matches!(in_time(term.ledger.count_jobs()).await, Err(Unreadable::Unavailable(_))));
        assert!(in_time(term.ledger.ping()).await.is_err());
        assert!(matches!(in_time(term.ledger.survey()).await, Err(Failure::Unavailable(_))));
    }
    database.server.come_back();
    term.ledger.ping().await.unwrap();
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()));
    assert_eq!(term.load().await.jobs, []);
}

#[tokio::test]
async fn a_reader_does_not_notice_that_postgres_was_away() {
    let Some(mut database) = Database::new().await else { return };
    let ledger = database.connect().await;
    ledger.ping().await.unwrap();
    database.server.kill();
    database.server.come_back();
    ledger.ping().await.unwrap();
    assert_eq!(ledger.count_jobs().await.unwrap(), 0);
}

#[tokio::test]
async fn more_readers_than_connections_take_turns() {
    let Some(database) = Database::new().await else { return };
    let ledger = database.connect().await;
    let reads = (0..100).map(|_| ledger.count_jobs());
    for read in futures::future::join_all(reads).await {
        assert_eq!(read.unwrap(), 0);
    }
    let mut outsider = database.outsider().await;
    let open: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'punctual/-/%'")
            .fetch_one(&mut outsider)
            .await
            .unwrap();
    assert!((1..=8).contains(&open), "{open}");
}

#[tokio::test]
async fn a_crowd_of_readers_does_not_keep_the_leader_from_reading() {
    let Some(database) = Database::new().await else { return };
    let ledger = database.connect().await;
    let mut slow = database.outsider().await;
    execute(&mut slow, "BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE").await;
    let crowd = (0..100).map(|_| ledger.count_jobs());
    let mut crowd = pin!(futures::future::join_all(crowd));
    let is_there = "(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock') >= 8";
    tokio::select! {
        biased;
        _ = &mut crowd => panic!("the table is locked"),
        () = database.until(is_there) => {}
    }
    let asked = async {
        ledger.survey().await.unwrap();
        ledger.find_requests(&[request("1").key]).await.unwrap();
    };
    tokio::select! {
        biased;
        () = asked => {}
        _ = &mut crowd => panic!("the leader waits for all readers"),
    }
}

#[tokio::test]
async fn what_was_committed_outlives_a_crash_of_postgres() {
    let Some(mut database) = Database::new().await else { return };
    let term = Term::begin(&database).await;
    for n in 1..=20 {
        let job = job(n, "default", &format!("job-{n}"));
        term.commit(|transaction| transaction.jobs.push(created(job))).await;
        if n % 10 == 0 {
            database.server.kill();
            database.server.come_back();
            // The session that died with it.
            let _ = term.ledger.commit(&term.transaction()).await;
        }
        assert_eq!(jobs(&*term.ledger).await, n);
    }
}

async fn jobs(ledger: &dyn Ledger) -> u128 {
    u128::from(ledger.count_jobs().await.unwrap())
}
