//! The CLI's clock. It says how long ago something was, and whether a schedule still has a
//! fire; the server judges by its own.

use chrono::{DateTime, Utc};

#[allow(clippy::disallowed_methods, reason = "the one home of the CLI's clock")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
