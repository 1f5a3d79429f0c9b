//! What was sent on a connection that is given up arrives later, when the same has been done on another one and time has
//! gone on (PROTOCOL.md, rules 3 and 5).

use std::sync::Arc;
use std::time::Duration;

use ledger::postgres::Postgres;
use punctual_tests::Proxy;
use scheduler_core::run::{Run, RunState};
use scheduler_core::txn::Failure;
use tokio::task::JoinSet;

use crate::contract::samples::{assigned, created, ended, job, run};
use crate::contract::{Ledger, Term, take_over};
use crate::database::Database;

/// Longer than the ledger waits for an answer to a commit.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// A term over a wire that the test holds up.
async fn over_a_wire(database: &Database) -> (Term, Proxy) {
    let proxy = Proxy::to(database.server.port());
    let url = database.server.url_at(proxy.port());
    let ledger: Arc<dyn Ledger> = Arc::new(Postgres::open(&url, "a").await.unwrap());
    let began = ledger.take_over(&take_over("a")).await.unwrap();
    (Term { ledger, began }, proxy)
}

/// Has a run begin and end, with the beginning held up on its way; answers how the run is when that has arrived.
async fn begin_late(database: &Database, term: &Term, proxy: Proxy, give_up: impl FnOnce(&Proxy) + Send) -> Vec<Run> {
    let job = job(1, "default", "a");
    let entered = assigned(run(1, &job), "agent");
    term.commit(|transaction| {
        transaction.jobs.push(created(job));
        transaction.entered.push(entered.clone());
    })
    .await;

    let begun = Run { state: RunState::Running, ..entered };
    let mut begins = term.transaction();
    begins.updated.push(begun.clone());
    proxy.hold();
    let (ledger, late) = (Arc::clone(&term.ledger), begins.clone());
    let mut sent = JoinSet::new();
    sent.spawn(async move { ledger.commit(&late).await });
    tokio::task::block_in_place(|| give_up(&proxy));
    let answer = tokio::time::timeout(GIVEN_UP, sent.join_next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(answer, Err(Failure::Unknown(_))), "{answer:?}");

    assert_eq!(term.ledger.commit(&begins).await, Ok(()));
    term.commit(|transaction| transaction.updated.push(ended(begun, RunState::Succeeded))).await;
    proxy.let_go();
    // Postgres ends a session when it has carried out what it got and finds its client gone.
    database.until("(SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^punctual/[0-9]+/a$') <= 1").await;
    term.load().await.unended.into_iter().map(|(run, _)| run).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_after_it_was_repeated_does_not_undo_what_came_since() {
    let Some(database) = Database::new().await else { return };
    let (term, proxy) = over_a_wire(&database).await;
    assert_eq!(begin_late(&database, &term, proxy, Proxy::hang_up).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_answers_in_time_does_nothing_after_it_was_repeated() {
    let Some(database) = Database::new().await else { return };
    let (term, proxy) = over_a_wire(&database).await;
    assert_eq!(begin_late(&database, &term, proxy, |_| ()).await, []);
}

#[tokio::test]
async fn a_session_whose_outcome_is_unknown_is_ended_before_anything_else_is_written() {
    let Some(database) = Database::new().await else { return };
    let term = Term::begin(&database).await;
    let job = job(1, "default", "a");
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job.clone()));
    transaction.entered.push(run(1, &job));
    let barrier = database.barrier("runs").await;
    {
        let commit = term.ledger.commit(&transaction);
        tokio::pin!(commit);
        tokio::select! {
            biased;
            answer = &mut commit => panic!("{answer:?}"),
            () = database.stands_still() => {}
        }
    }
    // Of other jobs, and so not in the way of the one that stands at the barrier.
    term.commit_jobs([created(crate::contract::samples::job(2, "default", "b"))]).await;
    let standing = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'punctual/%' \
         AND wait_event_type = 'Lock'";
    let standing: i64 = sqlx::query_scalar(standing).fetch_one(&mut database.outsider().await).await.unwrap();
    assert_eq!(standing, 0, "what was given up still waits for its turn");
    barrier.lift().await;
    assert_eq!(term.load().await.unended, [], "what was given up is not done later");
}
