//! Tables that are brought up to date while others use them (PROTOCOL.md, rule 33).

use ledger::OpenError;
use ledger::postgres::Postgres;
use sqlx::AssertSqlSafe;

use crate::contract::Term;
use crate::contract::samples::{created, job, run};
use crate::database::{Database, execute};

#[tokio::test]
async fn two_servers_that_start_at_once_both_find_the_tables() {
    let Some(database) = Database::empty() else { return };
    let (one, other) = tokio::join!(database.open(), database.open());
    drop((one, other));
    Postgres::open_migrated(&database.server.url(), "a").await.unwrap();
}

#[tokio::test]
async fn a_server_that_may_not_migrate_says_what_is_to_be_done() {
    let Some(database) = Database::empty() else { return };
    let refused = Postgres::open_migrated(&database.server.url(), "a").await;
    assert!(matches!(refused, Err(OpenError::NotMigrated)), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_opened() {
    let Some(database) = Database::new().await else { return };
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, '\\x00', 0); ALTER TABLE runs ADD COLUMN later TEXT";
    database.execute(newer).await;
    let term = Term::begin(&database).await;
    let job = job(1, "default", "a");
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.push(run(1, &job));
    })
    .await;
    assert_eq!(term.load().await.unended, [(run(1, &job), None)]);
}

#[tokio::test]
async fn a_migration_that_waits_for_a_lock_gives_way_and_tries_again() {
    let Some(database) = Database::new().await else { return };
    let mut busy = database.outsider().await;
    execute(&mut busy, "BEGIN; LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE").await;
    let waits = |except: &str| {
        format!(
            "EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'punctual migrate' \
             AND wait_event_type = 'Lock' AND pid NOT IN (0{except}))"
        )
    };
    let freed = async {
        database.until(&waits("")).await;
        let first: i32 = sqlx::query_scalar(AssertSqlSafe(
            "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE application_name = 'punctual migrate'".to_owned(),
        ))
        .fetch_one(&mut busy)
        .await
        .unwrap();
        database.until(&waits(&format!(", {first}"))).await;
        execute(&mut busy, "COMMIT").await;
    };
    tokio::join!(database.open(), freed);
}

#[tokio::test]
async fn what_is_no_ledger_says_so() {
    let Some(database) = Database::empty() else { return };
    let url = |rest: &str| format!("{}{rest}", database.server.url());
    for wrong in [url("?sslmode=certainly"), url("-that-is-not-there"), url("?sslmode=require")] {
        assert!(Postgres::open(&wrong, "a").await.is_err(), "{wrong}");
    }
}
