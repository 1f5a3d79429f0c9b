//! How long things are kept and how far clocks may differ, in every back end.

use std::time::Duration;

/// A deleted job is known to leaders for this long.
pub(crate) const DELETED_JOB_EXPIRY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rule 6: how far a decision may be ahead of the ledger's clock, by intent (250 ms) and by clocks that differ (5 s).
pub(crate) const FURTHEST_AHEAD: Duration = Duration::from_millis(250 + 5_000);
/// The number of a request that is older may be used again.
pub(crate) const REQUEST_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// Rows that are later than this before the watermark are not purged (rule 10).
pub(crate) const STAYS: Duration = Duration::from_secs(3_600);
/// Expired jobs that one batch of a purge looks at.
pub(crate) const EXPIRED_JOBS: u32 = 16;
