//! The one home of the clocks: everything else gets the time as a parameter.

#![expect(clippy::disallowed_methods, reason = "the one home of the clocks")]

#[cfg(debug_assertions)]
use std::path::PathBuf;
#[cfg(debug_assertions)]
use std::sync::LazyLock;
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
    set_wrong(Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)))
}

/// For tests with real processes, which cannot set the machine's clock: `PUNCTUAL_TEST_CLOCK` names a file that says by
/// how many seconds the wall clock is wrong. It is not in what users get.
#[cfg(debug_assertions)]
fn set_wrong(wall: Timestamp) -> Timestamp {
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("PUNCTUAL_TEST_CLOCK").map(PathBuf::from));
    let said = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let wrong: i64 = said.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Timestamp::from_micros(wall.as_micros().saturating_add(wrong.saturating_mul(1_000_000)))
}

#[cfg(not(debug_assertions))]
fn set_wrong(wall: Timestamp) -> Timestamp {
    wall
}

/// Time since boot, the machine's sleep included.
fn boot() -> Boot {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Boot(Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default()))
}
