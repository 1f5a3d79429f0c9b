//! The ledger in a Postgres database, for one node or many.
//!
//! What the leader writes is one call of a function for each transaction, committed by itself, under the advisory lock
//! EPOCH (PROTOCOL.md, rules 4 and 5): a leader that freezes between two calls holds nothing, and one whose session is
//! stuck is ended by the next leader. The ledger's clock is the database's. One ledger has one database: its advisory
//! locks are the database's too.

mod audit;
mod call;
mod failure;
mod leader;
mod load;
mod lock;
mod purge;
mod reads;
mod records;
mod sessions;
mod sql;
mod tables;
mod tokens;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use scheduler_core::ids::Epoch;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Transaction;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};

use crate::moving::{MARK, Mark};
use crate::open::OpenError;
use sessions::{Purpose, Sessions, application_name, within};

pub use lock::{Hold, Lock, LockError};

/// The oldest version that still gets cures, when this was written.
const LEAST_VERSION: u32 = 14;
/// At most 3 transactions are in flight, and purges beside them.
const LEADER_SESSIONS: usize = 6;
const READER_SESSIONS: usize = 8;
/// What the leader reads waits for nobody else's reads.
const LEADER_READER_SESSIONS: usize = 4;
/// A take-over that has waited so many milliseconds for EPOCH ends the sessions that hold it (rule 5).
const DEPOSES_AFTER_MS: &str = "200";

/// How long the first connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Lists are put together from parts; those that come again stay prepared.
const PREPARED_STATEMENTS: usize = 256;

/// What every session sets. Statements are written to walk the indexes that there are: what Postgres believes of how much
/// is in a table may be long out of date when a plan rests on it. A peer that is gone is noticed in seconds.
const SESSION: [(&str, &str); 10] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("idle_session_timeout", "0"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
];
/// What bounds the harm that a leader does that is stuck: its calls wait for no lock and last no time. They find rows by
/// their keys, so that one plan is right for all.
const LEADER_SESSION: [(&str, &str); 4] = [
    ("lock_timeout", "2s"),
    ("statement_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "500ms"),
    ("plan_cache_mode", "force_generic_plan"),
];
/// Readers may take a while, and hold up nobody. A list is planned for the values that it is asked for.
const READER_SESSION: [(&str, &str); 4] = [
    ("lock_timeout", "2s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("plan_cache_mode", "force_custom_plan"),
];

/// A ledger in one database.
pub struct Postgres {
    node: String,
    leading: Sessions,
    surveying: Sessions,
    reading: Sessions,
}

impl Postgres {
    /// Opens the database of a `postgres://` URL and applies the migrations it lacks; `node` is who sessions are named
    /// after.
    pub async fn open(url: &str, node: &str) -> Result<Self, OpenError> {
        let options = options_of(url)?;
        tables::migrate(&options).await?;
        Self::over(options, node).await
    }

    /// Opens one that lacks no migration.
    pub async fn open_migrated(url: &str, node: &str) -> Result<Self, OpenError> {
        let options = options_of(url)?;
        tables::check(&options).await?;
        Self::over(options, node).await
    }

    async fn over(options: PgConnectOptions, node: &str) -> Result<Self, OpenError> {
        let mut connection = connect(&options).await?;
        let mark = sqlx::query(MARK).fetch_optional(&mut connection).await;
        let mark = mark.and_then(|row| row.as_ref().map(Mark::read).transpose()).map_err(OpenError::Move)?;
        Mark::check(mark)?;
        // What was acknowledged is durable, whatever this database's default is.
        let syncs = sqlx::query(sql::COMMITS_AT_ONCE).fetch_one(&mut connection).await;
        let syncs: bool = syncs.and_then(|row| row.try_get("syncs")).map_err(OpenError::Connect)?;
        let durable = (!syncs).then_some(("synchronous_commit", "on"));
        let options = options.options(durable);
        let leading =
            options.clone().options(LEADER_SESSION).application_name(&application_name(Epoch::default(), node));
        let reading = options.options(READER_SESSION);
        let named = |who: &str| reading.clone().application_name(&sessions::named(&format!("punctual/{who}/{node}")));
        let this = Self {
            node: node.to_owned(),
            leading: Sessions::new(leading, LEADER_SESSIONS, Purpose::Write),
            surveying: Sessions::new(named("leader"), LEADER_READER_SESSIONS, Purpose::Read),
            reading: Sessions::new(named("-"), READER_SESSIONS, Purpose::Read),
        };
        // It decides nothing: whoever cannot rehearse is only slower the first time.
        let _ = this.rehearse().await;
        Ok(this)
    }

    /// Commits nothing, under an epoch that nobody has: the types of the arguments are asked for one by one, once a
    /// connection, and the first commit of a term should not have to wait for that.
    async fn rehearse(&self) -> sqlx::Result<()> {
        let mut session = self.leading.take().await?;
        let nobody = Transaction::new(Epoch(-1), Timestamp::MIN);
        let answer = within(CONNECT, call::commit(&mut session, &nobody)).await;
        session.after(answer).map(drop)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// The database for who has it alone, whatever became of it, with all tables.
pub(crate) async fn alone(url: &str) -> Result<PgConnection, OpenError> {
    let options = options_of(url)?;
    tables::migrate(&options).await?;
    let durable = [("synchronous_commit", "on"), ("statement_timeout", "0")];
    let mut connection = connect(&options.options(durable).application_name("punctual move")).await?;
    // One that was killed may have left a statement behind, which is carried out yet.
    let left: bool = sqlx::query_scalar(sql::END_MOVES).fetch_one(&mut connection).await.map_err(OpenError::Move)?;
    if left {
        return Err(OpenError::Move(sqlx::Error::Protocol("an earlier move has not ended yet".to_owned())));
    }
    Ok(connection)
}

/// What a URL says, TLS included (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`).
fn options_of(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(OpenError::Url)?;
    Ok(options.options(SESSION).statement_cache_capacity(PREPARED_STATEMENTS).disable_statement_logging())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let connection = within(CONNECT, options.connect()).await.map_err(OpenError::Connect)?;
    let found = connection.server_version_num().unwrap_or_default() / 10_000;
    if found < LEAST_VERSION {
        return Err(OpenError::TooOld { found, least: LEAST_VERSION });
    }
    Ok(connection)
}
