//! What Postgres's errors mean to the leader and to readers.

use scheduler_core::txn::Failure;
use sqlx::error::DatabaseError;

/// SQLSTATEs (postgresql.org/docs/current/errcodes-appendix.html): whole codes, or the two characters of a class.
mod state {
    /// An error in the data that `migrations/postgres` raises.
    pub(super) const REFUSED: &str = "PN001";
    pub(super) const DATA_EXCEPTION: &str = "22";
    pub(super) const CONSTRAINT: &str = "23";
    /// One statement would write one row twice.
    pub(super) const CARDINALITY: &str = "21000";
    /// A value too large for its index, and the like.
    pub(super) const LIMIT: &str = "54";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    /// The session is being ended from outside.
    pub(super) const OPERATOR: &str = "57P";
    /// The session was ended for being idle in a transaction.
    pub(super) const IDLE: &str = "25P03";
}

const ONE_ROW_A_FIRE: &str = "runs_by_fire";

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(DatabaseError::code).map(Into::into).unwrap_or_default()
}

/// Nothing was asked for yet: whatever it is, nothing was written.
pub(super) fn before_commit(error: sqlx::Error) -> Failure {
    Failure::Unavailable(error.to_string())
}

/// A statement that commits itself failed. What Postgres says of it, it has rolled back; but of a session that is
/// being ended, and of a connection that broke, nobody knows.
pub(super) fn at_commit(error: sqlx::Error) -> Failure {
    let code = code(&error);
    let is = |class: &str| code.starts_with(class);
    match &error {
        sqlx::Error::Encode(_) => Failure::Refused(error.to_string()),
        sqlx::Error::Database(_) if is(state::OPERATOR) => Failure::Unknown(error.to_string()),
        sqlx::Error::Database(_)
            if [state::REFUSED, state::DATA_EXCEPTION, state::CONSTRAINT, state::CARDINALITY, state::LIMIT]
                .into_iter()
                .any(is) =>
        {
            Failure::Refused(error.to_string())
        }
        sqlx::Error::Database(_) => Failure::Unavailable(error.to_string()),
        _ => Failure::Unknown(error.to_string()),
    }
}

/// Whether another row has the instant of one that was to be entered.
pub(super) fn is_conflict(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::constraint) == Some(ONE_ROW_A_FIRE)
}

/// Whether somebody else holds a lock that was waited for in vain.
pub(super) fn is_locked(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref().is_some_and(|error| code(error) == state::LOCK_NOT_AVAILABLE) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether the connection is of no use any more: all but an error of one statement.
pub(super) fn ends_the_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            let code = code(error);
            code.starts_with(state::OPERATOR) || code == state::IDLE
        }
        sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::RowNotFound => false,
        _ => true,
    }
}
