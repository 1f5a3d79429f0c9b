//! The delay that spreads the fires of many jobs: the same for a fire whoever works it out, and whenever.

use std::time::Duration;

use super::hash;
use crate::ids::JobUid;
use crate::time::{Timestamp, micros};

/// A delay from zero up to `bound`, to the microsecond, hashed from the job and the fire.
pub(super) fn delay(bound: Duration, uid: JobUid, scheduled: Timestamp) -> Duration {
    let bound = micros(bound).unsigned_abs();
    if bound == 0 {
        return Duration::ZERO;
    }
    let seed = hash::fnv1a(uid.0.as_bytes()).wrapping_add(scheduled.as_micros().cast_unsigned());
    Duration::from_micros(hash::splitmix(seed) % (bound + 1))
}
