//! The ledger in one SQLite file, for a single node: the server that runs it holds a lock beside the file,
//! so that there is one process; within it, one connection writes and a few read.
//!
//! WAL with `synchronous = FULL`: a commit that was answered survives the loss of power, and readers never
//! wait for the writer. The ledger's clock is the server's, given at [`Sqlite::open`].

mod audit;
mod batch;
mod commit;
mod failure;
#[cfg(test)]
mod faults;
mod leader;
mod leadership;
mod load;
#[cfg(test)]
mod plans;
mod purge;
mod reads;
mod requests;
mod sql;
mod tokens;
mod writer;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::time::Timestamp;
use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use crate::moving::{MARK, Mark};
use crate::open::OpenError;
use writer::Writer;

/// How long a statement waits for another process that has the file locked (a backup, a shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const READ_CONNECTIONS: u32 = 4;
/// How long a read waits for one of them.
const READ_TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Every batch has a text for each of its lengths; all of them stay prepared.
const PREPARED_STATEMENTS: usize = 256;
/// Pages of the log after which it is copied into the file (32 MiB); SQLite's own 4 MiB would stop the
/// writer several times a second under load.
const CHECKPOINT_PAGES: &str = "8192";
/// The log is cut back to this after a burst.
const LOG_SIZE_LIMIT: &str = "67108864";
/// Memory for pages, in KiB (negative by SQLite's convention): what a burst's transactions change, and the upper pages of
/// the indexes. What else is read anew comes from the system's own cache.
const WRITER_CACHE: &str = "-16384";

/// Where the ledger's clock is read.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A ledger in one file.
pub struct Sqlite {
    writer: Writer,
    readers: SqlitePool,
    clock: Clock,
}

impl Sqlite {
    /// Opens the file, creates it if there is none, and applies the migrations it lacks.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let writing = for_writing(path).create_if_missing(true);
        let mut connection = writing.connect().await.map_err(OpenError::Connect)?;
        migrator().run_direct(None, &mut connection, false).await.map_err(OpenError::Migrate)?;
        check_moves(&mut connection).await?;
        Ok(Self::over(path, writing, connection, clock))
    }

    /// Opens a file that is there and lacks no migration.
    pub async fn open_migrated(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        let writing = for_writing(path);
        let mut connection = writing.connect().await.map_err(OpenError::Connect)?;
        let migrator = migrator();
        // A file without the table of migrations has had none.
        let applied = connection.list_applied_migrations(&migrator.table_name).await.unwrap_or_default();
        let applied: BTreeSet<i64> = applied.iter().map(|migration| migration.version).collect();
        if migrator.iter().any(|migration| !applied.contains(&migration.version)) {
            return Err(OpenError::NotMigrated);
        }
        check_moves(&mut connection).await?;
        Ok(Self::over(path, writing, connection, clock))
    }

    fn over(path: &Path, writing: SqliteConnectOptions, connection: SqliteConnection, clock: Clock) -> Self {
        let readers = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS)
            .acquire_timeout(READ_TURN_TIMEOUT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(plain(path).read_only(true));
        Self { writer: Writer::new(writing, connection), readers, clock }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").finish_non_exhaustive()
    }
}

async fn check_moves(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let mark = sqlx::query(MARK).fetch_optional(connection).await;
    let mark = mark.and_then(|row| row.as_ref().map(Mark::read).transpose()).map_err(OpenError::Move)?;
    Mark::check(mark)
}

/// The file for who has it alone, whatever became of it, with all tables; `made` if there is none.
pub(crate) async fn alone(path: &Path, made: bool) -> Result<SqliteConnection, OpenError> {
    let mut connection = for_writing(path).create_if_missing(made).connect().await.map_err(OpenError::Connect)?;
    migrator().run_direct(None, &mut connection, false).await.map_err(OpenError::Migrate)?;
    Ok(connection)
}

fn plain(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .disable_statement_logging()
}

fn for_writing(path: &Path) -> SqliteConnectOptions {
    plain(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_SIZE_LIMIT)
        .pragma("cache_size", WRITER_CACHE)
}

/// A file that a newer version has migrated further is taken as it is: migrations are additive (rule 33).
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/sqlite");
    migrator.set_ignore_missing(true);
    migrator
}
