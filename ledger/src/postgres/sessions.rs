//! Connections to Postgres, a bounded number, each used by one call at a time.
//!
//! There is no waiting for a database that is away: who finds it so is told at once. A connection whose call was
//! dropped half way, or which failed, is closed and never used again, so that nothing is open that nobody looks after.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use scheduler_core::ids::Epoch;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{failure, sql};

/// How long a call waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long a connection may take to come about, or to answer after it was idle.
const ANSWER: Duration = Duration::from_secs(1);

pub(super) struct Sessions {
    options: PgConnectOptions,
    /// Asks an idle connection whether it still works before it is used: for calls that nobody repeats.
    asks_first: bool,
    idle: Mutex<Vec<Idle>>,
    turns: Semaphore,
}

struct Idle {
    connection: PgConnection,
    epoch: Option<Epoch>,
}

impl Sessions {
    pub(super) fn new(options: PgConnectOptions, most: usize, asks_first: bool) -> Self {
        Self { options, asks_first, idle: Mutex::default(), turns: Semaphore::new(most) }
    }

    /// A connection for one call.
    pub(super) async fn take(&self) -> sqlx::Result<Session<'_>> {
        let turn = within(TURN, async { Ok(self.turns.acquire().await) }).await?;
        let turn = turn.expect("because nobody closes it");
        while let Some(mut idle) = self.next_idle() {
            if !self.asks_first || within(ANSWER, idle.connection.ping()).await.is_ok() {
                return Ok(Session { idle, home: self, _turn: turn });
            }
        }
        let connection = within(ANSWER, self.options.connect()).await?;
        Ok(Session { idle: Idle { connection, epoch: None }, home: self, _turn: turn })
    }

    /// The same, named after the epoch under which it will write, so that a take-over knows whom to end (rule 5).
    pub(super) async fn take_for(&self, epoch: Epoch, node: &str) -> sqlx::Result<Session<'_>> {
        let mut session = self.take().await?;
        if session.idle.epoch != Some(epoch) {
            let name = sqlx::query(sql::NAME_SESSION).bind(application_name(epoch, node));
            let named = name.execute(&mut *session).await;
            named.inspect_err(|error| self.forget_if_away(error))?;
            session.idle.epoch = Some(epoch);
        }
        Ok(session)
    }

    /// The same, with a transaction that sees the ledger as it is now, and writes nothing.
    pub(super) async fn snapshot(&self) -> sqlx::Result<Session<'_>> {
        let mut session = self.take().await?;
        sqlx::query(sql::BEGIN_SNAPSHOT).execute(&mut *session).await?;
        Ok(session)
    }

    /// When one connection is found dead, those that are idle are too.
    fn forget_if_away(&self, error: &sqlx::Error) {
        if failure::ends_the_connection(error) {
            self.idle().clear();
        }
    }

    fn next_idle(&self) -> Option<Idle> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().expect("because nobody panics while holding it")
    }
}

/// `punctual/EPOCH/NODE`, as long as Postgres takes it; [`sql`]'s take-over reads the epoch from it.
pub(super) fn application_name(epoch: Epoch, node: &str) -> String {
    named(&format!("punctual/{}/{node}", epoch.0))
}

/// As long as Postgres takes the name of an application.
pub(super) fn named(name: &str) -> String {
    const LONGEST: usize = 63;
    let end = (0..=LONGEST.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    name[..end.unwrap_or_default()].to_owned()
}

/// A connection that is closed when this is dropped, unless it is given back.
pub(super) struct Session<'s> {
    idle: Idle,
    home: &'s Sessions,
    _turn: SemaphorePermit<'s>,
}

impl Session<'_> {
    /// Keeps the connection, if the answer to its last statement says that it is as good as before.
    pub(super) fn after<T>(self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        match &answer {
            Err(error) if failure::ends_the_connection(error) => self.home.forget_if_away(error),
            _ => self.home.idle().push(self.idle),
        }
        answer
    }

    /// Ends the transaction of [`Sessions::snapshot`]: dropped without this, it ends with its connection.
    pub(super) async fn end(mut self) -> sqlx::Result<()> {
        let ended = sqlx::query(sql::END_SNAPSHOT).execute(&mut *self).await;
        self.after(ended.map(drop))
    }
}

impl Deref for Session<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.idle.connection
    }
}

impl DerefMut for Session<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.idle.connection
    }
}

/// An answer that does not come in time is none.
pub(super) async fn within<T>(time: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match tokio::time::timeout(time, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_epoch() {
        let name = application_name(Epoch(17), &"ü".repeat(60));
        assert!(name.starts_with("punctual/17/ü") && name.len() <= 63, "{name}");
        assert_eq!(application_name(Epoch(1), "a"), "punctual/1/a");
    }
}
