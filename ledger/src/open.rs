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
    #[error("{from} is being moved to this ledger, and not all of it is here: ask for the move again")]
    HalfMoved { from: String },
    #[error("this ledger was moved to {to}, and goes on there")]
    Moved { to: String },
    #[error("cannot tell whether the ledger is being moved: {0}")]
    Move(#[source] sqlx::Error),
}
