//! Faults, and the guard against one, that can only be brought about or seen from inside.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::ids::NodeId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, RequestKey, RequestRow, TakeOver, Transaction};

use super::Sqlite;
use crate::leader::Leader;

const NOW: Timestamp = Timestamp::from_secs(1_770_000_000);

fn request(n: usize) -> RequestRow {
    let key = RequestKey { namespace: "default".to_owned(), method: "CreateJob".to_owned(), request_id: n.to_string() };
    RequestRow { key, digest: "d".repeat(3_000), resource: String::new(), time: NOW }
}

async fn ledger(folder: &tempfile::TempDir) -> (Sqlite, Transaction) {
    let ledger = Sqlite::open(&folder.path().join("ledger.sqlite"), Arc::new(|| NOW)).await.unwrap();
    let take_over = TakeOver {
        node: NodeId::from("a"),
        agent_ttl: Duration::from_secs(10),
        schedule_version: String::new(),
        election: None,
        instead_of: None,
    };
    let epoch = ledger.take_over(&take_over).await.unwrap().epoch;
    let mut transaction = Transaction::new(epoch, NOW);
    transaction.requests = (0..1_000).map(request).collect();
    (ledger, transaction)
}

async fn limit_pages(ledger: &Sqlite, pages: &'static str) {
    let mut turn = ledger.writer.turn().await;
    let mut transaction = turn.begin().await.unwrap();
    sqlx::query(pages).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_unavailable_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, transaction) = ledger(&folder).await;
    let keys: Vec<_> = transaction.requests.iter().map(|request| request.key.clone()).collect();
    // As many pages as the file has now, however many that are.
    limit_pages(&ledger, "PRAGMA max_page_count = 1").await;
    let answer = ledger.commit(&transaction).await;
    assert!(matches!(answer, Err(Failure::Unavailable(_))), "{answer:?}");
    assert_eq!(ledger.find_requests(&keys).await, Ok(vec![]));
    limit_pages(&ledger, "PRAGMA max_page_count = 1000000").await;
    assert_eq!(ledger.commit(&transaction).await, Ok(()));
    assert_eq!(ledger.find_requests(&keys).await.map(|found| found.len()), Ok(1_000));
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_itself_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, transaction) = ledger(&folder).await;
    let mut turn = ledger.writer.turn().await;
    let mut ended = turn.begin().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut *ended).await.unwrap();
    drop(ended);
    drop(turn);
    assert_eq!(ledger.commit(&transaction).await, Ok(()));
}

#[tokio::test]
async fn a_power_cut_would_lose_a_commit_that_is_not_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, _) = ledger(&folder).await;
    let mut turn = ledger.writer.turn().await;
    let mut transaction = turn.begin().await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *transaction).await.unwrap();
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *transaction).await.unwrap();
    // 2 is FULL: the log is synced at every commit.
    assert_eq!((synchronous, journal.as_str()), (2, "wal"));
}
