use sqlx::migrate::MigrateError;

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the ledger's URL is not right: {0}")]
    Url(#[source] sqlx::Error),
    #[error("cannot open the ledger: {0}")]
    Connect(#[source] sqlx::Error),
    #[error("Postgres {found} is too old: {least} or later is needed")]
    TooOld { found: u32, least: u32 },
    #[error("cannot bring the ledger's tables up to date: {0}")]
    Migrate(#[source] MigrateError),
    #[error("the ledger's tables are not up to date: run scheduler-server migrate")]
    NotMigrated,
}
