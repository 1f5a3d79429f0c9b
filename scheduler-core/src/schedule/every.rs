//! A fixed period of elapsed time: instants in an arithmetic progression, which nothing but its anchor and
//! its period moves.

use std::time::Duration;

use crate::time::{Timestamp, micros};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Every {
    first: i64,
    period: i64,
}

impl Every {
    /// Counts from `start_time` on, or, without one, from one period after `create_time`.
    /// `period` is at least [`super::SHORTEST_EVERY`].
    pub(super) fn new(period: Duration, start_time: Option<Timestamp>, create_time: Timestamp) -> Self {
        let first = start_time.unwrap_or_else(|| create_time.saturating_add(period));
        Self { first: first.as_micros(), period: micros(period) }
    }

    pub(super) fn period(&self) -> Duration {
        Duration::from_micros(self.period.unsigned_abs())
    }

    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.as_micros();
        if after < self.first {
            return Some(Timestamp::from_micros(self.first));
        }
        let passed = after.checked_sub(self.first)? / self.period;
        let offset = passed.checked_add(1)?.checked_mul(self.period)?;
        self.first.checked_add(offset).map(Timestamp::from_micros)
    }

    pub(super) fn prev(&self, before: Timestamp) -> Option<Timestamp> {
        let latest = before.as_micros().checked_sub(1)?;
        if latest < self.first {
            return None;
        }
        let into_period = latest.checked_sub(self.first)? % self.period;
        Some(Timestamp::from_micros(latest - into_period))
    }

    /// How many there are in `(after, until]`.
    pub(super) fn count(&self, after: Timestamp, until: Timestamp) -> u64 {
        let (Some(first), Some(last)) = (self.next(after), self.prev(until.saturating_add(Duration::from_micros(1))))
        else {
            return 0;
        };
        if last < first { 0 } else { ((last.as_micros() - first.as_micros()) / self.period).unsigned_abs() + 1 }
    }
}
