//! The one home of the clocks: everything else gets the time as a parameter.

#![expect(clippy::disallowed_methods, reason = "the one home of the clocks")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use scheduler_core::time::{Boot, Now, Timestamp};

/// Both clocks.
pub fn now() -> Now {
    Now { wall: wall(), boot: boot() }
}

/// The machine's wall clock.
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Time since boot, the machine's sleep included.
fn boot() -> Boot {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Boot(Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default()))
}
