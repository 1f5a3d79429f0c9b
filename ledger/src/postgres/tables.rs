//! Bringing the tables up to date, while other servers use them: what waits for a lock would make all others wait
//! behind it, so it gives up after a second and tries again (rule 33).

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::postgres::PgConnectOptions;

use super::{connect, failure};
use crate::open::OpenError;

const LOCK_TIMEOUT: &str = "1s";
const TRIES: u32 = 60;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

pub(super) async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    let options = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]).application_name("punctual migrate");
    let mut tries = 1;
    loop {
        // A connection each: one that failed may still hold the lock on migrations.
        let mut connection = connect(&options).await?;
        match migrator().run_direct(None, &mut connection, false).await {
            Ok(()) => return Ok(()),
            Err(error) if tries < TRIES && failure::is_locked(&error) => tokio::time::sleep(BETWEEN_TRIES).await,
            Err(error) => return Err(OpenError::Migrate(error)),
        }
        tries += 1;
    }
}

pub(super) async fn check(options: &PgConnectOptions) -> Result<(), OpenError> {
    let mut connection = connect(options).await?;
    let migrator = migrator();
    // A database without the table of migrations has had none.
    let applied = connection.list_applied_migrations(&migrator.table_name).await.unwrap_or_default();
    let applied: BTreeSet<i64> = applied.iter().map(|migration| migration.version).collect();
    if migrator.iter().any(|migration| !applied.contains(&migration.version)) {
        return Err(OpenError::NotMigrated);
    }
    Ok(())
}

/// A database that a newer version has migrated further is taken as it is: migrations are additive (rule 33).
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/postgres");
    migrator.set_ignore_missing(true);
    migrator
}
