//! The clocks of one machine, as functions of the simulation's own time.

use std::time::Duration;

use executor_agent::time as agent;
use scheduler_core::time::{Boot, Now, Timestamp};

/// What the calendar shows when the simulation begins.
const BEGIN: i64 = 1_700_000_000_000_000;

/// The simulation's own time, in microseconds since it began: what no machine can read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(pub u64);

impl Instant {
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// What a right clock shows.
    pub fn wall(self) -> Timestamp {
        Timestamp::from_micros(BEGIN + self.micros())
    }

    fn micros(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

/// Boot time never jumps. Wall time is wrong by `offset`, and drifts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    booted: i64,
    offset: i64,
    /// Millionths, counted from `drifts_since`.
    drift: i64,
    drifts_since: i64,
}

impl Clock {
    pub(crate) fn new(booted: Duration, offset: i64) -> Self {
        Self { booted: i64::try_from(booted.as_micros()).unwrap_or(0), offset, ..Self::default() }
    }

    fn boot_micros(&self, now: Instant) -> i64 {
        self.booted + now.micros()
    }

    /// How far its wall clock is ahead of a right one, in microseconds.
    pub(crate) fn error(&self, now: Instant) -> i64 {
        self.offset + (now.micros() - self.drifts_since) * self.drift / 1_000_000
    }

    pub(crate) fn wall(&self, now: Instant) -> Timestamp {
        Timestamp::from_micros(BEGIN + now.micros() + self.error(now))
    }

    pub(crate) fn server(&self, now: Instant) -> Now {
        let boot = u64::try_from(self.boot_micros(now)).unwrap_or(0);
        Now { wall: self.wall(now), boot: Boot(Duration::from_micros(boot)) }
    }

    pub(crate) fn agent(&self, now: Instant) -> agent::Now {
        agent::Now { wall: agent::Wall(self.wall(now).as_micros()), boot: agent::Boot(self.boot_micros(now)) }
    }

    /// When this clock's boot time reaches `boot`.
    pub(crate) fn when_server(&self, boot: Boot) -> Instant {
        let micros = i64::try_from(boot.0.as_micros()).unwrap_or(i64::MAX);
        Instant(u64::try_from(micros.saturating_sub(self.booted)).unwrap_or(0))
    }

    pub(crate) fn when_agent(&self, boot: agent::Boot) -> Instant {
        Instant(u64::try_from(boot.0.saturating_sub(self.booted)).unwrap_or(0))
    }

    /// Sets the wall clock wrong by `offset` from now on, drifting by `drift` millionths.
    pub(crate) fn set(&mut self, now: Instant, offset: i64, drift: i64) {
        *self = Self { booted: self.booted, offset, drift, drifts_since: now.micros() };
    }
}
