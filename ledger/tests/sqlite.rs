//! The contract suite against SQLite files, and what only they have.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod contract;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use ledger::sqlite::{Clock, Sqlite};
use scheduler_core::ids::AttemptId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, LateOutcome};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Row, SqliteConnection};

use contract::samples::{assigned, created, full_attempt, full_run, job, run, run_id, seconds_after};
use contract::{Access, AccessBackend, Backend, Ledger, Term, samples};

struct File {
    path: PathBuf,
    clock: Arc<AtomicI64>,
    /// Deleted at the end.
    _folder: tempfile::TempDir,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(samples::NOW.as_micros()));
        Self { path: folder.path().join("ledger.sqlite"), clock, _folder: folder }
    }

    async fn open(&self) -> Sqlite {
        let micros = Arc::clone(&self.clock);
        let clock: Clock = Arc::new(move || Timestamp::from_micros(micros.load(Ordering::SeqCst)));
        Sqlite::open(&self.path, clock).await.unwrap()
    }

    /// What another program has of the file: a shell, a backup.
    async fn outsider(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(&self.path).connect().await.unwrap()
    }
}

#[async_trait]
impl Backend for File {
    async fn connect(&self) -> Arc<dyn Ledger> {
        Arc::new(self.open().await)
    }

    async fn set_clock(&self, time: Timestamp) {
        self.clock.store(time.as_micros(), Ordering::SeqCst);
    }
}

#[async_trait]
impl AccessBackend for File {
    async fn access(&self) -> Arc<dyn Access> {
        Arc::new(self.open().await)
    }
}

macro_rules! case {
    ($module:ident::$name:ident) => {
        #[tokio::test]
        async fn $name() {
            contract::$module::$name(&File::new()).await;
        }
    };
}

for_each_case!(case);
for_each_access_case!(case);

#[tokio::test]
async fn a_locked_file_is_unavailable_until_it_is_free() {
    let file = File::new();
    let term = Term::begin(&file).await;
    let mut transaction = term.transaction();
    transaction.jobs.push(created(job(1, "default", "a")));
    let mut outside = file.outsider().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut outside).await.unwrap();
    let answer = term.ledger.commit(&transaction).await;
    assert!(matches!(answer, Err(Failure::Unavailable(_))), "{answer:?}");
    assert_eq!(term.ledger.count_jobs().await.unwrap(), 0, "reads wait for nobody");
    sqlx::query("ROLLBACK").execute(&mut outside).await.unwrap();
    assert_eq!(term.ledger.commit(&transaction).await, Ok(()));
    assert_eq!(term.ledger.count_jobs().await.unwrap(), 1);
}

#[tokio::test]
async fn late_words_are_noted_with_lost_attempts_only() {
    let file = File::new();
    let term = Term::begin(&file).await;
    let job = job(1, "default", "a");
    let note = |run: u128, number: u32| LateOutcome {
        attempt: AttemptId { run: run_id(run), number },
        outcome: format!("FAILED EXIT_{run}{number}"),
        time: seconds_after(50),
    };
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered = vec![full_run(1, &job), assigned(run(2, &job), "agent")];
        transaction.attempts = vec![(run_id(1), full_attempt(2, "lost")), (run_id(1), samples::attempt(3, "not-lost"))];
        transaction.late_outcomes = vec![note(1, 1), note(1, 2), note(1, 3), note(2, 1), note(9, 1), note(9, 2)];
    })
    .await;
    let noted = "SELECT first_late_outcome AS outcome, first_late_outcome_time AS time FROM runs \
         WHERE first_late_outcome IS NOT NULL OR first_late_outcome_time IS NOT NULL \
         UNION ALL SELECT late_outcome, late_outcome_time FROM attempts WHERE late_outcome IS NOT NULL";
    let rows = sqlx::query(noted).fetch_all(&mut file.outsider().await).await.unwrap();
    let rows: Vec<(String, i64)> = rows.iter().map(|row| (row.get("outcome"), row.get("time"))).collect();
    let time = seconds_after(50).as_micros();
    assert_eq!(rows, [("FAILED EXIT_11".to_owned(), time), ("FAILED EXIT_12".to_owned(), time)]);
}

#[tokio::test]
async fn every_change_of_a_job_is_recorded_once() {
    let file = File::new();
    let term = Term::begin(&file).await;
    let first = created(samples::full_job(1));
    let mut second = first.clone();
    second.job.revision += 1;
    second.job.pause = None;
    second.note = "resumed".to_owned();
    for write in [&first, &second, &second] {
        term.commit_jobs([write.clone()]).await;
    }
    let recorded = "SELECT revision, note, definition = (SELECT definition FROM jobs) AS defined, pause IS NULL AS free \
         FROM job_revisions ORDER BY revision";
    let rows = sqlx::query(recorded).fetch_all(&mut file.outsider().await).await.unwrap();
    let rows: Vec<(i64, String, bool, bool)> =
        rows.iter().map(|row| (row.get("revision"), row.get("note"), row.get("defined"), row.get("free"))).collect();
    assert_eq!(rows, [(9, String::new(), true, false), (10, "resumed".to_owned(), true, true)]);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_opened() {
    let file = File::new();
    drop(file.connect().await);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, X'00', 0)";
    sqlx::query(newer).execute(&mut file.outsider().await).await.unwrap();
    sqlx::query("ALTER TABLE runs ADD COLUMN later TEXT").execute(&mut file.outsider().await).await.unwrap();
    let term = Term::begin(&file).await;
    let job = job(1, "default", "a");
    term.commit(|transaction| {
        transaction.jobs.push(created(job.clone()));
        transaction.entered.push(run(1, &job));
    })
    .await;
    assert_eq!(term.load().await.unended, [(run(1, &job), None)]);
}
