//! Who may be a server of the ledger (PROTOCOL.md, rule 16).

use ledger::postgres::{Hold, Lock, LockError};
use punctual_tests::Proxy;
use sqlx::Connection;

use crate::database::Database;

async fn take(database: &Database, hold: Hold, holder: &str) -> Result<Lock, LockError> {
    Lock::take(&database.server.url(), hold, holder).await
}

fn refused_by(answer: Result<impl std::fmt::Debug, LockError>) -> String {
    match answer {
        Err(LockError::Held(holder)) => holder,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_second_server_is_told_who_has_the_ledger() {
    let Some(database) = Database::empty() else { return };
    let name = "server a (pid 1) at http://127.0.0.1:7117";
    let first = take(&database, Hold::Alone, name).await.unwrap();
    assert_eq!(refused_by(take(&database, Hold::Alone, "server b").await), name);
    assert_eq!(refused_by(take(&database, Hold::Shared, "server c").await), name);
    first.prove().await.unwrap();
    drop(first);
    take(&database, Hold::Alone, "server b").await.unwrap();
}

#[tokio::test]
async fn a_postgres_that_does_not_answer_in_time_is_asked_again() {
    let Some(database) = Database::empty() else { return };
    let proxy = Proxy::to(database.server.port());
    proxy.hold_next();
    let lock = Lock::take(&database.server.url_at(proxy.port()), Hold::Alone, "a").await.unwrap();
    assert!(proxy.kept() > 0, "the first question has not arrived");
    lock.prove().await.unwrap();
}

#[tokio::test]
async fn nodes_of_a_cluster_share_the_ledger_and_no_other_server_gets_it() {
    let Some(database) = Database::empty() else { return };
    let nodes = [take(&database, Hold::Shared, "a").await.unwrap(), take(&database, Hold::Shared, "a").await.unwrap()];
    assert_eq!(refused_by(take(&database, Hold::Alone, "b").await), "a");
    for node in &nodes {
        node.prove().await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_that_went_with_its_session_is_taken_again_unless_another_server_was_faster() {
    let Some(mut database) = Database::empty() else { return };
    let first = take(&database, Hold::Alone, "a").await.unwrap();
    database.server.kill();
    assert!(matches!(first.prove().await, Err(LockError::Unavailable(_))));
    database.server.come_back();
    first.prove().await.unwrap();

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'a'";
    database.execute(end).await;
    let second = take(&database, Hold::Alone, "b").await.unwrap();
    assert_eq!(refused_by(first.prove().await), "b");
    second.prove().await.unwrap();
}

#[tokio::test]
async fn two_clusters_do_not_share_a_ledger_and_one_may_follow_the_other() {
    let Some(database) = Database::new().await else { return };
    let node = take(&database, Hold::Shared, "a").await.unwrap();
    node.claim("one").await.unwrap();
    let other = take(&database, Hold::Shared, "b").await.unwrap();
    let refused = other.claim("two").await;
    assert!(matches!(&refused, Err(LockError::OtherCluster(name)) if name == "one"), "{refused:?}");
    take(&database, Hold::Shared, "c").await.unwrap().claim("one").await.unwrap();

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('a', 'c')";
    database.execute(end).await;
    other.claim("two").await.unwrap();
    let late = node.prove().await;
    assert!(matches!(&late, Err(LockError::OtherCluster(name)) if name == "two"), "{late:?}");
    other.prove().await.unwrap();
}

#[tokio::test]
async fn a_program_without_a_name_is_in_the_way_too() {
    let Some(database) = Database::empty() else { return };
    let mut outsider = database.outsider().await;
    let key = (i64::from(u32::from_be_bytes(*b"Punc")) << 32) + 2;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(&mut outsider).await.unwrap();
    assert_eq!(refused_by(take(&database, Hold::Alone, "a").await), "another program");
    outsider.close().await.unwrap();
    take(&database, Hold::Alone, "a").await.unwrap();
}
