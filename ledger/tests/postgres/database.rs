//! A Postgres of one test, and what the test does to it from outside.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ledger::postgres::Postgres;
use scheduler_core::time::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::contract::{Access, AccessBackend, Backend, Ledger, samples};

/// How often a condition is looked at.
const PROBE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// The advisory lock that stands for a barrier.
const BARRIER: i64 = 4_711;

/// A server of its own for each test, whose ledger has a clock that the test sets.
pub(crate) struct Database {
    pub(crate) server: punctual_tests::Postgres,
}

impl Database {
    pub(crate) async fn new() -> Option<Self> {
        Self::with(&["fsync=off"]).await
    }

    /// With settings of the server.
    pub(crate) async fn with(settings: &[&'static str]) -> Option<Self> {
        let database = Self { server: punctual_tests::Postgres::with(settings)? };
        drop(database.open().await);
        database.set_clock(samples::NOW).await;
        Some(database)
    }

    /// One without tables.
    pub(crate) fn empty() -> Option<Self> {
        Some(Self { server: punctual_tests::Postgres::start()? })
    }

    pub(crate) async fn open(&self) -> Postgres {
        Postgres::open(&self.server.url(), "a").await.unwrap()
    }

    /// What another program has of the database: a shell, a backup.
    pub(crate) async fn outsider(&self) -> PgConnection {
        self.outsider_named("").await
    }

    pub(crate) async fn outsider_named(&self, name: &str) -> PgConnection {
        let options: PgConnectOptions = self.server.url().parse().unwrap();
        options.application_name(name).connect().await.unwrap()
    }

    pub(crate) async fn execute(&self, text: &str) {
        let mut outsider = self.outsider().await;
        execute(&mut outsider, text).await;
        outsider.close().await.unwrap();
    }

    /// Stops whatever writes to a table before it does, until the barrier is lifted.
    pub(crate) async fn barrier(&self, table: &str) -> Barrier {
        let mut session = self.outsider().await;
        let text = format!(
            "SELECT pg_advisory_lock({BARRIER});
             CREATE OR REPLACE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared({BARRIER}); RETURN NULL; END';
             CREATE OR REPLACE TRIGGER stands_still BEFORE INSERT OR UPDATE ON {table}
             FOR EACH STATEMENT EXECUTE FUNCTION stand_still();"
        );
        execute(&mut session, &text).await;
        Barrier { session }
    }

    /// Waits until somebody stands at the barrier.
    pub(crate) async fn stands_still(&self) {
        self.waits_for(&format!("objid = {BARRIER}")).await;
    }

    /// Waits until somebody waits for EPOCH.
    pub(crate) async fn waits_for_epoch(&self) {
        self.waits_for("objid = 1").await;
    }

    async fn waits_for(&self, lock: &str) {
        let condition =
            format!("EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND {lock})");
        self.until(&condition).await;
    }

    /// Waits for a condition of SQL.
    pub(crate) async fn until(&self, condition: &str) {
        let mut outsider = self.outsider().await;
        let query = format!("SELECT {condition}");
        let becomes_true = async {
            loop {
                let is_true: bool =
                    sqlx::query_scalar(AssertSqlSafe(query.clone())).fetch_one(&mut outsider).await.unwrap();
                if is_true {
                    return;
                }
                tokio::time::sleep(PROBE).await;
            }
        };
        tokio::time::timeout(PATIENCE, becomes_true).await.unwrap_or_else(|_| panic!("waited in vain for {condition}"));
    }
}

pub(crate) async fn execute(connection: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap();
}

/// Whether the server has ended a session.
pub(crate) async fn is_ended(mut session: PgConnection) -> bool {
    sqlx::raw_sql("SELECT 1").execute(&mut session).await.is_err()
}

pub(crate) struct Barrier {
    session: PgConnection,
}

impl Barrier {
    pub(crate) async fn lift(self) {
        self.session.close().await.unwrap();
    }
}

#[async_trait]
impl AccessBackend for Database {
    async fn access(&self) -> Arc<dyn Access> {
        Arc::new(self.open().await)
    }
}

#[async_trait]
impl Backend for Database {
    async fn connect(&self) -> Arc<dyn Ledger> {
        Arc::new(self.open().await)
    }

    async fn set_clock(&self, time: Timestamp) {
        let micros = time.as_micros();
        self.execute(&format!(
            "CREATE OR REPLACE FUNCTION ledger_clock() RETURNS BIGINT LANGUAGE sql VOLATILE AS 'SELECT {micros}::bigint'"
        ))
        .await;
    }

    /// A call that has been sent goes on without us.
    fn stops_with_its_caller(&self) -> bool {
        false
    }
}
