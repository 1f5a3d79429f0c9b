//! The one home of clocks in this crate: everything else is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::time::{Boot, Now, Wall};

/// Both clocks of this machine.
#[expect(clippy::disallowed_methods, reason = "this is the agent's one home of the wall clock")]
pub(crate) fn now() -> Now {
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => crate::time::micros(since),
        Err(before) => -crate::time::micros(before.duration()),
    };
    Now { wall: Wall(wall), boot: boot() }
}

/// The boot-time clock, which goes on while the machine sleeps.
pub(crate) fn boot() -> Boot {
    let time = clock_gettime(ClockId::Boottime);
    Boot(time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000))
}
