//! Who may be a server of this ledger (PROTOCOL.md, rule 16): one that decides without etcd has the lock alone, nodes of
//! a cluster share it. It belongs to a session, so that it is free when its holder is gone, however it went.
//!
//! The ledger has the name of the cluster that uses it. Nodes of another one are turned away while it does; when nobody is
//! left of it, the next may have the ledger.

use std::io::ErrorKind;
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::Mutex;

use super::sessions::{named, within};
use super::{OpenError, options_of, sql};

/// How long the holder may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// A server that was just killed may still have it: so often it is tried again, and after so long.
const TRIES: u32 = 15;
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// A Postgres that does not answer in time, on a busy machine, is asked so often.
const SLOW_TRIES: u32 = 5;

/// How a server holds the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    Alone,
    Shared,
}

/// Why the lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// By its name, as far as Postgres keeps it.
    #[error("the ledger is in use by {0}")]
    Held(String),
    #[error("the ledger is in use by the nodes of cluster {0}: say --cluster {0} to be one of them")]
    OtherCluster(String),
    #[error("a session that had the ledger is just ending")]
    Ending,
    #[error("whether another server uses the ledger cannot be told: {0}")]
    Unavailable(#[from] sqlx::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The lock, held while this lives and Postgres does.
#[derive(Debug)]
pub struct Lock {
    options: PgConnectOptions,
    hold: Hold,
    holder: String,
    /// Whose nodes have it together; until it is told, nobody's.
    cluster: OnceLock<String>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    session: Option<PgConnection>,
    /// Of the session that had it last.
    pid: i32,
}

impl Lock {
    /// Takes the lock; `holder` is what another server will be told of us.
    pub async fn take(url: &str, hold: Hold, holder: &str) -> Result<Self, LockError> {
        let holder = named(holder);
        let options = options_of(url)?.application_name(&holder);
        let lock = Self { options, hold, holder, cluster: OnceLock::new(), held: Mutex::default() };
        lock.try_for_a_while().await?;
        Ok(lock)
    }

    /// Has it together with the nodes of that cluster, and with nobody else. The tables are there by then.
    pub async fn claim(&self, cluster: &str) -> Result<(), LockError> {
        self.held.lock().await.session = None;
        // Told twice, it stays what it was told first.
        let _ = self.cluster.set(cluster.to_owned());
        self.try_for_a_while().await
    }

    async fn try_for_a_while(&self) -> Result<(), LockError> {
        let mut tries = 1;
        loop {
            let Err(error) = self.prove().await else { return Ok(()) };
            let most = match &error {
                LockError::Held(_) | LockError::OtherCluster(_) | LockError::Ending => TRIES,
                LockError::Unavailable(sqlx::Error::Io(error)) if error.kind() == ErrorKind::TimedOut => SLOW_TRIES,
                LockError::Unavailable(_) | LockError::Open(_) => 1,
            };
            if tries >= most {
                return Err(error);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
            tries += 1;
        }
    }

    /// Answers whether the lock was held at some instant after the call. Where the session has ended, it is taken
    /// again, in another one.
    pub async fn prove(&self) -> Result<(), LockError> {
        let mut held = self.held.lock().await;
        if let Some(session) = &mut held.session {
            if within(ANSWER, session.ping()).await.is_ok() {
                return Ok(());
            }
            held.session = None;
        }
        let mut session = within(ANSWER, self.options.connect()).await?;
        if within(ANSWER, self.try_lock(&mut session)).await? {
            if let Some(cluster) = self.cluster.get() {
                self.belong(&mut session, cluster).await?;
            }
            held.pid = within(ANSWER, sqlx::query_scalar(sql::OWN_PID).fetch_one(&mut session)).await?;
            held.session = Some(session);
            return Ok(());
        }
        let other = sqlx::query(sql::LOCK_HOLDER).bind(self.key()).fetch_optional(&mut session);
        let Some(other) = within(ANSWER, other).await? else {
            return Err(LockError::Ending);
        };
        let (pid, name): (i32, String) = (other.try_get("pid")?, other.try_get("application_name")?);
        if (pid, name.as_str()) == (held.pid, self.holder.as_str()) {
            // Postgres has not noticed the end of our own connection.
            within(ANSWER, sqlx::query(sql::END_SESSION).bind(pid).execute(&mut session)).await?;
            return Err(LockError::Ending);
        }
        Err(LockError::Held(name))
    }

    /// Finds that the ledger is the cluster's, or makes it so, if no other's node has it.
    async fn belong(&self, session: &mut PgConnection, cluster: &str) -> Result<(), LockError> {
        let named = sqlx::query(sql::NAME_CLUSTER).bind(cluster);
        within(ANSWER, named.execute(&mut *session)).await?;
        let name: String = within(ANSWER, sqlx::query_scalar(sql::CLUSTER).fetch_one(&mut *session)).await?;
        if name == cluster {
            return Ok(());
        }
        // Ours is in the way, too.
        self.lock_by(session, sql::UNLOCK_SHARED).await?;
        if !self.lock_by(session, sql::TRY_LOCK_ALONE).await? {
            return Err(LockError::OtherCluster(name));
        }
        let renamed = sqlx::query(sql::RENAME_CLUSTER).bind(cluster);
        within(ANSWER, renamed.execute(&mut *session)).await?;
        self.lock_by(session, sql::TRY_LOCK_SHARED).await?;
        self.lock_by(session, sql::UNLOCK_ALONE).await?;
        Ok(())
    }

    async fn lock_by(&self, session: &mut PgConnection, text: &'static str) -> sqlx::Result<bool> {
        within(ANSWER, sqlx::query_scalar(text).bind(self.key()).fetch_one(session)).await
    }

    async fn try_lock(&self, session: &mut PgConnection) -> sqlx::Result<bool> {
        let text = match self.hold {
            Hold::Alone => sql::TRY_LOCK_ALONE,
            Hold::Shared => sql::TRY_LOCK_SHARED,
        };
        sqlx::query_scalar(text).bind(self.key()).fetch_one(session).await
    }

    /// `'Punc'`, and 2: beside EPOCH in `migrations/postgres`.
    fn key(&self) -> i64 {
        (i64::from(u32::from_be_bytes(*b"Punc")) << 32) + 2
    }
}
