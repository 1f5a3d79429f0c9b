//! A ledger that is carried over to another one, there and back, with every kind of row.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::moving::{MoveError, Moved, Place, carry};
use ledger::postgres::Postgres;
use ledger::sqlite::Sqlite;
use ledger::{Leader, OpenError, Reader, RunFilter, Tokens};
use scheduler_core::agent::{Cordon, LogChunk, LogSource};
use scheduler_core::calendar::{self, Calendar, CalendarKey};
use scheduler_core::ids::{AgentId, AttemptId, FencingToken};
use scheduler_core::txn::{CalendarWrite, CordonWrite, LateOutcome, Transaction};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use crate::contract::samples::{
    NOW, created, event, full_attempt, full_job, full_run, job, manual_run, request, run, run_id, seconds_after,
};
use crate::contract::{backfills, take_over, tokens};
use crate::database::Database;

/// Of one transaction; more than one batch of a move holds.
const MANY: u128 = 1_300;

async fn sqlite(path: &Path) -> Sqlite {
    Sqlite::open(path, Arc::new(|| NOW)).await.unwrap()
}

/// Rows of every table.
async fn fill(path: &Path) {
    let ledger = sqlite(path).await;
    let began = ledger.take_over(&take_over("a")).await.unwrap();
    let (full, plain) = (full_job(1), job(2, "default", "plain"));
    let mut first = Transaction::new(began.epoch, NOW);
    first.jobs = vec![created(full.clone()), created(plain.clone())];
    first.requests = vec![request("one")];
    first.audit = vec![event(1)];
    first.entered = vec![full_run(1, &full)];
    first.entered.extend((2..MANY).map(|n| if n % 2 == 0 { manual_run(n, &plain) } else { run(n, &plain) }));
    first.attempts = vec![(run_id(1), full_attempt(2, "second")), (run_id(1), full_attempt(3, "third"))];
    first.backfills = vec![backfills::backfill(1, &plain)];
    first.calendars = vec![CalendarWrite::Put(calendar())];
    let cordon = Cordon { note: "disk".to_owned(), author: "bob".to_owned(), time: seconds_after(1) };
    first.cordons = vec![CordonWrite { agent: AgentId::from("ill"), cordon: Some(cordon) }];
    first.logs = (1..450).map(chunk).collect();
    first.watermark = Some(seconds_after(3));
    first.token_ceiling = Some(FencingToken(began.token_ceiling.0 + 7));
    ledger.commit(&first).await.unwrap();
    let mut second = Transaction::new(began.epoch, NOW);
    second.late_outcomes = vec![LateOutcome {
        attempt: AttemptId { run: run_id(1), number: 2 },
        outcome: "SUCCEEDED".to_owned(),
        time: seconds_after(9),
    }];
    ledger.commit(&second).await.unwrap();
    ledger.create_token(&tokens::new(1)).await.unwrap();
}

fn calendar() -> Calendar {
    Calendar {
        key: CalendarKey { namespace: "default".to_owned(), calendar_id: "holidays".to_owned() },
        definition: calendar::Definition {
            display_name: "Holidays".to_owned(),
            description: "of all".to_owned(),
            dates: Default::default(),
        },
        revision: 2,
        change_seq: 5,
        create_time: NOW,
        update_time: seconds_after(1),
    }
}

fn chunk(sequence: u64) -> LogChunk {
    LogChunk {
        attempt: AttemptId { run: run_id(1), number: 1 },
        sequence,
        source: LogSource::Stderr,
        time: seconds_after(sequence),
        data: vec![0, 255, 10],
        cut_bytes: sequence,
    }
}

async fn move_between(from: Place<'_>, to: Place<'_>) -> Result<Moved, MoveError> {
    carry((from, "the source"), (to, "the target"), || NOW, |_| ()).await
}

/// All that is in a file, but for where it came from.
async fn dump(path: &Path) -> Vec<String> {
    let mut file = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let mut dump = Vec::new();
    for table in tables(&mut file).await {
        let columns = columns(&mut file, &table).await;
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let lines = format!("SELECT {} FROM {table} ORDER BY 1", quoted.join(" || ', ' || "));
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(lines)).fetch_all(&mut file).await.unwrap();
        assert!(!lines.is_empty(), "the test has no row of {table}");
        dump.extend(lines.into_iter().map(|line| format!("{table}: {line}")));
    }
    file.close().await.unwrap();
    dump
}

async fn tables(file: &mut SqliteConnection) -> Vec<String> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND name NOT IN ('_sqlx_migrations', 'moves') ORDER BY name";
    sqlx::query_scalar(tables).fetch_all(file).await.unwrap()
}

async fn columns(file: &mut SqliteConnection, table: &str) -> Vec<String> {
    let columns = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY name");
    sqlx::query_scalar(AssertSqlSafe(columns)).fetch_all(file).await.unwrap()
}

fn file(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[tokio::test]
async fn everything_arrives_in_postgres_and_comes_back_as_it_was() {
    let Some(database) = Database::empty() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (file(&folder, "first.db"), file(&folder, "last.db"));
    fill(&first).await;
    let url = database.server.url();
    let moved = move_between(Place::File(&first), Place::Database(&url)).await.unwrap();
    let before = dump(&first).await;
    assert_eq!(moved, Moved::Now { rows: u64::try_from(before.len()).unwrap() - 1 }, "all but the row of the leader");
    assert_eq!(move_between(Place::File(&first), Place::Database(&url)).await.unwrap(), Moved::Before);

    let ledger = Postgres::open(&url, "b").await.unwrap();
    assert_eq!(ledger.run(run_id(1)).await.unwrap().unwrap().later_attempts.len(), 2);
    drop(ledger);
    move_between(Place::Database(&url), Place::File(&last)).await.unwrap();
    assert_eq!(dump(&last).await, before);
    let moved = Postgres::open(&url, "b").await;
    assert!(matches!(&moved, Err(OpenError::Moved { to }) if to == "the target"), "{moved:?}");
}

#[tokio::test]
async fn a_move_knows_every_column_of_both() {
    let Some(database) = Database::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "ledger.db");
    drop(sqlite(&path).await);
    let mut file = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let mut outsider = database.outsider().await;
    for table in tables(&mut file).await {
        let in_postgres = format!(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}' \
             AND is_generated = 'NEVER' ORDER BY 1"
        );
        let in_postgres: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(in_postgres)).fetch_all(&mut outsider).await.unwrap();
        assert_eq!(columns(&mut file, &table).await, in_postgres, "{table}");
    }
}

#[tokio::test]
async fn a_move_that_is_interrupted_again_and_again_carries_everything_once() {
    let Some(database) = Database::empty() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (first, last) = (file(&folder, "first.db"), file(&folder, "last.db"));
    fill(&first).await;
    let url = database.server.url();
    let mut interruptions = 0;
    loop {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut new = 0;
        let carrying = carry(
            (Place::File(&first), "f"),
            (Place::Database(&url), "d"),
            || NOW,
            |progress| {
                // Each time it comes a batch further.
                new += 1;
                if new > interruptions {
                    tell.send(progress).unwrap();
                }
            },
        );
        tokio::select! {
            biased;
            _ = told.recv() => interruptions += 1,
            moved = carrying => {
                moved.unwrap();
                break;
            }
        }
        let half = Postgres::open(&url, "b").await;
        assert!(matches!(&half, Err(OpenError::HalfMoved { from }) if from == "f"), "{half:?}");
        drop(sqlite(&first).await);
    }
    assert!(interruptions >= 10, "{interruptions}");
    move_between(Place::Database(&url), Place::File(&last)).await.unwrap();
    assert_eq!(dump(&last).await, dump(&first).await);
}

#[tokio::test]
async fn a_ledger_that_was_used_between_two_parts_of_a_move_is_carried_as_it_is_now() {
    let Some(database) = Database::empty() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "first.db");
    fill(&path).await;
    let url = database.server.url();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let carrying = carry(
        (Place::File(&path), "f"),
        (Place::Database(&url), "d"),
        || NOW,
        |progress| {
            if progress.table == "run_logs" {
                tell.send(()).unwrap();
            }
        },
    );
    tokio::select! {
        biased;
        _ = told.recv() => {}
        moved = carrying => panic!("{moved:?}"),
    }
    let used = sqlite(&path).await;
    let began = used.take_over(&take_over("a")).await.unwrap();
    let mut transaction = Transaction::new(began.epoch, NOW);
    transaction.updated = vec![crate::contract::samples::changed(&full_run(1, &full_job(1)))];
    used.commit(&transaction).await.unwrap();
    drop(used);
    carry((Place::File(&path), "f"), (Place::Database(&url), "d"), || NOW, |_| ()).await.unwrap();
    let ledger = Postgres::open(&url, "b").await.unwrap();
    assert_eq!(ledger.run(run_id(1)).await.unwrap().unwrap().run, transaction.updated[0]);
}

#[tokio::test]
async fn a_ledger_in_use_is_not_moved_to() {
    let Some(database) = Database::new().await else { return };
    let term = crate::contract::Term::begin(&database).await;
    term.commit_jobs([created(job(7, "default", "theirs"))]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "first.db");
    fill(&path).await;
    let refused = move_between(Place::File(&path), Place::Database(&database.server.url())).await;
    assert!(matches!(refused, Err(MoveError::NotEmpty)), "{refused:?}");
    assert_eq!(term.load().await.jobs.len(), 1);
    let ledger = sqlite(&path).await;
    let page = ledger::Page { size: 1, after: None };
    assert_eq!(ledger.runs(&RunFilter::default(), &page).await.unwrap().items.len(), 1, "it goes on where it is");
}
