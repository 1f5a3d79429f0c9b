//! The wall clock of this machine, which its servers go by too.

use chrono::{DateTime, Utc};

#[expect(clippy::disallowed_methods, reason = "the one home of the tests' wall clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
