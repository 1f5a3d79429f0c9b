//! Backfills: runs for instants of the past that nobody ran, entered a few at a time.

use std::sync::Arc;

use crate::ids::{BackfillId, JobUid};
use crate::job::JobKey;
use crate::run::Reason;
use crate::time::Timestamp;

/// The most runs that one backfill may have: its instants are held in memory until they are entered.
pub const MOST_RUNS: u32 = 10_000;

/// A backfill as it was asked for, and how far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backfill {
    pub id: BackfillId,
    pub job_uid: JobUid,
    pub job_key: JobKey,
    /// The revision whose schedule gave the instants.
    pub job_revision: i64,
    pub author: String,
    /// Inclusive.
    pub start_time: Timestamp,
    /// Exclusive.
    pub end_time: Timestamp,
    /// How many of its runs may be unended at a time.
    pub concurrency: u32,
    /// Ascending. They are settled when it begins: an edit of the job, of a calendar or of the time zone data changes
    /// what its runs do, never which there are.
    pub instants: Arc<[Timestamp]>,
    pub create_time: Timestamp,
    pub progress: Progress,
}

/// How far a backfill is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// How many of its instants have their run, from the first on.
    pub entered: u32,
    /// Since when no more are entered: all are, or the rest was dropped.
    pub closed_time: Option<Timestamp>,
    /// Why the rest was dropped: the job was disabled or deleted.
    pub dropped: Option<Reason>,
}

impl Backfill {
    /// The instant that comes next.
    pub fn next(&self) -> Option<Timestamp> {
        self.instants.get(self.progress.entered as usize).copied().filter(|_| self.progress.closed_time.is_none())
    }

    pub fn fires(&self) -> u32 {
        u32::try_from(self.instants.len()).unwrap_or(u32::MAX)
    }
}
