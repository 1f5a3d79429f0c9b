//! What is known of one instant of a job, for whoever asks what became of it.

use scheduler_core::job::Job;
use scheduler_core::time::Timestamp;

use crate::reader::{Revision, StoredRun};

/// Read in one snapshot, so that its parts agree.
#[derive(Debug, Clone, PartialEq)]
pub struct FireRecord {
    /// The job that had the name at the instant, as it is now; before any had, the one that Get finds.
    pub job: Job,
    /// What held at the instant; nothing before the job was created.
    pub revision: Option<Revision>,
    /// Of a disabled job: the change that disabled it.
    pub disabled_by: Option<Revision>,
    /// The next change that settled what came before it.
    pub next: Option<Revision>,
    /// When a calendar of the job was changed for the first time since.
    pub calendar_change: Option<Timestamp>,
    /// The row of the instant, or the one whose span it is in.
    pub row: Option<StoredRun>,
    /// The revision that the row names.
    pub row_revision: Option<Revision>,
    /// The latest run that a backfill made of the instant.
    pub backfilled: Option<StoredRun>,
    /// The first instant of the job that has a row; what came before may have been purged.
    pub first_covered: Option<Timestamp>,
    /// The last instant of the job that a row covers.
    pub last_covered: Option<Timestamp>,
    /// Up to here every fire has been decided.
    pub watermark: Timestamp,
}
