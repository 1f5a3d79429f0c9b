//! What a ledger says of a move that it is part of, and who may use it then.

use scheduler_core::time::Timestamp;

use crate::open::OpenError;
use crate::rows::{Columns, Values};

const FROM: &str = "FROM";
const TO: &str = "TO";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// It came from the other one; else it went there.
    pub(crate) came: bool,
    /// Without a password.
    pub(crate) other: String,
    /// Of the source, when the move began.
    pub(crate) epoch: i64,
    pub(crate) began: Timestamp,
    pub(crate) finished: Option<Timestamp>,
}

impl Mark {
    pub(crate) fn read(row: &impl Columns) -> sqlx::Result<Self> {
        Ok(Self {
            came: row.get::<&str>("direction")? == FROM,
            other: row.get("other")?,
            epoch: row.get("epoch")?,
            began: Timestamp::from_micros(row.get("begin_time")?),
            finished: row.get::<Option<i64>>("finish_time")?.map(Timestamp::from_micros),
        })
    }

    pub(crate) fn put(&self, values: &mut impl Values) {
        values
            .put(if self.came { FROM } else { TO })
            .put(self.other.as_str())
            .put(self.epoch)
            .put(self.began.as_micros())
            .put(self.finished.map(Timestamp::as_micros));
    }

    /// Nobody uses a ledger that is half there, or that goes on elsewhere.
    pub(crate) fn check(mark: Option<Self>) -> Result<(), OpenError> {
        match mark {
            Some(Self { came: true, finished: None, other, .. }) => Err(OpenError::HalfMoved { from: other }),
            Some(Self { came: false, finished: Some(_), other, .. }) => Err(OpenError::Moved { to: other }),
            _ => Ok(()),
        }
    }
}
