//! What SQLite's errors mean to the leader and to readers.

use scheduler_core::txn::Failure;

use crate::reader::Unreadable;

/// Primary result codes (sqlite.org/rescode.html), the low byte of the extended ones.
const SQLITE_BUSY: i32 = 5;
const SQLITE_TOOBIG: i32 = 18;
const SQLITE_FULL: i32 = 13;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_MISMATCH: i32 = 20;
const SQLITE_CONSTRAINT_UNIQUE: i32 = 2067;

fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    extended_code(error).map(|code| code & 0xff)
}

/// An error before COMMIT was sent: whatever it is, the transaction is rolled back.
pub(super) fn before_commit(error: sqlx::Error) -> Failure {
    match primary_code(&error) {
        Some(SQLITE_CONSTRAINT | SQLITE_MISMATCH | SQLITE_TOOBIG) => Failure::Refused(error.to_string()),
        _ if matches!(error, sqlx::Error::Encode(_)) => Failure::Refused(error.to_string()),
        _ => Failure::Unavailable(error.to_string()),
    }
}

/// COMMIT itself failed. Without a lock or without room it has written nothing that a later reader would
/// take for committed; after anything else (the sync of the log, say) a restart may find it done.
pub(super) fn at_commit(error: sqlx::Error) -> Failure {
    match primary_code(&error) {
        Some(SQLITE_BUSY | SQLITE_FULL) => Failure::Unavailable(error.to_string()),
        _ => Failure::Unknown(error.to_string()),
    }
}

pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    extended_code(error) == Some(SQLITE_CONSTRAINT_UNIQUE)
}

impl From<sqlx::Error> for Unreadable {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
