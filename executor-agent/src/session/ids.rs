//! The names that inputs and effects use.

use std::fmt;

use uuid::Uuid;

/// A leader's term. Grows for ever; an agent never follows a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// A stream that the session asked for; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// An attempt: a run and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    pub run: Uuid,
    pub attempt: i32,
}

impl AttemptKey {
    /// The key that a message names, unless it names none.
    pub(crate) fn parse(run_id: &str, attempt: i32) -> Option<Self> {
        let run = Uuid::try_parse(run_id).ok()?;
        (attempt >= 1).then_some(Self { run, attempt })
    }
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.run, self.attempt)
    }
}
