//! The one home of clocks in this crate: everything else is told the time.

#[cfg(debug_assertions)]
use std::path::PathBuf;
#[cfg(debug_assertions)]
use std::sync::LazyLock;
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
    Now { wall: set_wrong(Wall(wall)), boot: boot() }
}

/// For tests with real processes, which cannot set the machine's clock: `PUNCTUAL_TEST_CLOCK` names a file that says by
/// how many seconds the wall clock is wrong. It is not in what users get.
#[cfg(debug_assertions)]
fn set_wrong(wall: Wall) -> Wall {
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("PUNCTUAL_TEST_CLOCK").map(PathBuf::from));
    let said = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let wrong: i64 = said.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Wall(wall.0.saturating_add(wrong.saturating_mul(1_000_000)))
}

#[cfg(not(debug_assertions))]
fn set_wrong(wall: Wall) -> Wall {
    wall
}

/// The boot-time clock, which goes on while the machine sleeps.
pub(crate) fn boot() -> Boot {
    let time = clock_gettime(ClockId::Boottime);
    Boot(time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000))
}
