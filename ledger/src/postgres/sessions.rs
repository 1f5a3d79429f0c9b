//! Connections to Postgres, a bounded number, each used by one call at a time.
//!
//! There is no waiting for a database that is away: who finds it so is told at once. A connection whose call was
//! dropped half way, or which failed, is closed and never used again, so that nothing is open that nobody looks after.
//!
//! What was sent on a connection that was then closed may still be on its way, and be carried out later, over rows that
//! have been written since. So nothing is written before the session of such a connection has ended in Postgres.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use scheduler_core::ids::Epoch;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{failure, sql};

/// How long a call waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long a connection may take to come about, or to answer after it was idle.
const ANSWER: Duration = Duration::from_secs(1);
/// How long sessions may take to end: longer than the database waits for that, see [`sql::END_FOR_SURE`].
const ENDS: Duration = Duration::from_secs(2);
const OPEN: &str = "because it is given back by who lets go of it";

pub(super) struct Sessions {
    options: PgConnectOptions,
    purpose: Purpose,
    idle: Mutex<Vec<Idle>>,
    /// Those that were dropped half way and may not have ended.
    doubtful: Mutex<Vec<Backend>>,
    turns: Semaphore,
}

/// What connections are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An idle one is asked whether it still works before it is used: nobody repeats a read.
    Read,
    /// Of one that is dropped half way it is made sure that it does nothing more.
    Write,
}

struct Idle {
    connection: PgConnection,
    epoch: Option<Epoch>,
    /// `None`: it only reads.
    backend: Option<Backend>,
}

/// The session at the other end of a connection; Postgres uses numbers of processes again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Backend {
    pid: i32,
    began: i64,
}

impl Sessions {
    pub(super) fn new(options: PgConnectOptions, most: usize, purpose: Purpose) -> Self {
        let turns = Semaphore::new(most);
        Self { options, purpose, idle: Mutex::default(), doubtful: Mutex::default(), turns }
    }

    /// A connection for one call.
    pub(super) async fn take(&self) -> sqlx::Result<Session<'_>> {
        let turn = within(TURN, async { Ok(self.turns.acquire().await) }).await?;
        let turn = turn.expect("because nobody closes it");
        let mut idle = self.next_idle();
        if self.purpose == Purpose::Read
            && let Some(found) = &mut idle
            && within(ANSWER, found.connection.ping()).await.is_err()
        {
            self.idle().clear();
            idle = None;
        }
        let idle = match idle {
            Some(idle) => idle,
            None => within(ANSWER, self.connect()).await?,
        };
        let mut session = Session { idle: Some(idle), home: self, _turn: turn };
        let settled = self.end_doubtful(&mut session).await;
        settled.inspect_err(|error| self.forget_if_away(error))?;
        Ok(session)
    }

    async fn connect(&self) -> sqlx::Result<Idle> {
        let mut connection = self.options.connect().await?;
        let backend = match self.purpose {
            Purpose::Read => None,
            Purpose::Write => {
                let own = sqlx::query(sql::OWN_SESSION).fetch_one(&mut connection).await?;
                Some(Backend { pid: own.try_get("pid")?, began: own.try_get("began")? })
            }
        };
        Ok(Idle { connection, epoch: None, backend })
    }

    /// Ends the sessions of connections that were dropped, and waits until they are gone.
    async fn end_doubtful(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let doubtful = self.doubtful().clone();
        for backend in doubtful {
            let ended = sqlx::query_scalar(sql::END_FOR_SURE).bind(backend.pid).bind(backend.began);
            // That of nobody is none.
            let is_gone = within(ENDS, ended.fetch_optional(&mut *connection)).await?.unwrap_or(true);
            if !is_gone {
                return Err(sqlx::Error::Protocol("a session with an unknown outcome has not ended yet".to_owned()));
            }
            self.doubtful().retain(|other| *other != backend);
        }
        Ok(())
    }

    /// The same, named after the epoch under which it will write, so that a take-over knows whom to end (rule 5).
    pub(super) async fn take_for(&self, epoch: Epoch, node: &str) -> sqlx::Result<Session<'_>> {
        let mut session = self.take().await?;
        if session.open().epoch != Some(epoch) {
            let name = sqlx::query(sql::NAME_SESSION).bind(application_name(epoch, node));
            let named = within(ANSWER, name.execute(&mut *session)).await;
            named.inspect_err(|error| self.forget_if_away(error))?;
            session.open().epoch = Some(epoch);
        }
        Ok(session)
    }

    /// The same, with a transaction that sees the ledger as it is now, and writes nothing.
    pub(super) async fn snapshot(&self) -> sqlx::Result<Session<'_>> {
        let mut session = self.take().await?;
        let begun = within(ANSWER, sqlx::query(sql::BEGIN_SNAPSHOT).execute(&mut *session)).await;
        begun.inspect_err(|error| self.forget_if_away(error))?;
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

    fn doubtful(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.doubtful.lock().expect("because nobody panics while holding it")
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
    /// `None`: given back.
    idle: Option<Idle>,
    home: &'s Sessions,
    _turn: SemaphorePermit<'s>,
}

impl Session<'_> {
    /// Keeps the connection, if the answer to its last statement says that it is as good as before.
    pub(super) fn after<T>(mut self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        match &answer {
            Err(error) if failure::ends_the_connection(error) => self.home.forget_if_away(error),
            _ => self.home.idle().extend(self.idle.take()),
        }
        answer
    }

    /// Ends the transaction of [`Sessions::snapshot`]: dropped without this, it ends with its connection.
    pub(super) async fn end(mut self) -> sqlx::Result<()> {
        let ended = within(ANSWER, sqlx::query(sql::END_SNAPSHOT).execute(&mut *self)).await;
        self.after(ended.map(drop))
    }

    fn open(&mut self) -> &mut Idle {
        self.idle.as_mut().expect(OPEN)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let backend = self.idle.take().and_then(|dropped| dropped.backend);
        self.home.doubtful().extend(backend);
    }
}

impl Deref for Session<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.idle.as_ref().expect(OPEN).connection
    }
}

impl DerefMut for Session<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.open().connection
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
