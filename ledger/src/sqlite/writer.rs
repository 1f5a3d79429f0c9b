//! The one connection that writes. Transactions wait for it in turn, each begins with `BEGIN IMMEDIATE`.
//!
//! A transaction whose future is dropped is rolled back by the connection's thread before the next begins.
//! A connection that is not as it should be (its thread is gone, or SQLite ended a transaction on its own)
//! is replaced when the next transaction finds it so.

use scheduler_core::txn::Failure;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::{failure, sql};

pub(super) struct Writer {
    options: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self { options, connection: Mutex::new(Some(connection)) }
    }

    /// Waits for the turn.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { options: &self.options, connection: self.connection.lock().await }
    }
}

/// The right to run one transaction.
pub(super) struct Turn<'w> {
    options: &'w SqliteConnectOptions,
    connection: MutexGuard<'w, Option<SqliteConnection>>,
}

impl Turn<'_> {
    pub(super) async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, Failure> {
        if !self.is_sound().await {
            // Its thread closes it; what it had not committed is rolled back.
            *self.connection = None;
        }
        if self.connection.is_none() {
            *self.connection = Some(self.options.connect().await.map_err(failure::before_commit)?);
        }
        let connection = self.connection.as_mut().expect("because it was just set");
        connection.begin_with(sql::BEGIN).await.map_err(failure::before_commit)
    }

    /// Whether the connection answers and is outside of any transaction. The ping comes after a rollback
    /// that a dropped future left to be done.
    async fn is_sound(&mut self) -> bool {
        match self.connection.as_mut() {
            Some(connection) => connection.ping().await.is_ok() && !connection.is_in_transaction(),
            None => false,
        }
    }
}

pub(super) async fn commit(transaction: Transaction<'_, Sqlite>) -> Result<(), Failure> {
    transaction.commit().await.map_err(failure::at_commit)
}
