//! Instants as the agent's machines take them: always a parameter, never read here.
//!
//! Two clocks, because they answer different questions: the boot-time clock (which also counts suspends) measures
//! the right to run and every deadline; the wall clock only dates what is shown to people.

use std::ops::{Add, Sub};
use std::time::Duration;

use prost_types::Timestamp;

/// An instant of the boot-time clock, in microseconds since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boot(pub i64);

/// An instant of a wall clock, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall(pub i64);

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub wall: Wall,
    pub boot: Boot,
}

/// Durations beyond what an instant can hold end at its limit.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Boot {
    /// The time from `earlier` to this instant; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Boot {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Boot {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

impl From<Timestamp> for Wall {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.seconds.saturating_mul(1_000_000).saturating_add(i64::from(timestamp.nanos / 1_000)))
    }
}

impl From<Wall> for Timestamp {
    fn from(wall: Wall) -> Self {
        let nanos =
            i32::try_from(wall.0.rem_euclid(1_000_000) * 1_000).expect("because it is below a thousand million");
        Self { seconds: wall.0.div_euclid(1_000_000), nanos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_wire_to_the_microsecond() {
        for micros in [0, 1, 999_999, 1_700_000_000_123_456, -1, -1_000_001] {
            assert_eq!(Wall::from(Timestamp::from(Wall(micros))), Wall(micros));
        }
    }

    #[test]
    fn a_duration_beyond_the_clock_is_not_an_overflow() {
        assert_eq!(Boot(5) + Duration::MAX, Boot(i64::MAX));
        assert_eq!(Boot(5).since(Boot(9)), Duration::ZERO);
    }
}
