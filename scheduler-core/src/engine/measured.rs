//! The ledger's clock as far as it is known (rule 17): somewhere between two bounds.
//!
//! The ledger reads its clock between the question and the answer, so that each answer says how far it is from the
//! boot-time clock, give or take the round trip. A slow answer bounds little and therefore changes little. One that
//! contradicts what was known shows that the clock was set.

use std::time::Duration;

use crate::time::{Boot, Skew, Timestamp, micros};

/// What a clock may gain or lose on another while nobody looks: one part in two thousand.
const DRIFT: i64 = 2_000;
/// A machine's clock that was warned of is right again when it is nearer than this.
const RIGHT: Duration = Duration::from_millis(250);

/// The ledger's wall clock less the boot-time clock, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Measured {
    low: i64,
    high: i64,
    /// When the last answer came.
    pub(super) at: Boot,
}

impl Measured {
    pub(super) fn new(asked: Boot, answered: Boot, time: Timestamp) -> Self {
        let less = |boot: Boot| time.as_micros().saturating_sub(micros(boot.0));
        Self { low: less(answered), high: less(asked), at: answered }
    }

    /// With what a later answer says.
    pub(super) fn narrowed(self, later: Self) -> Self {
        let drift = micros(later.at.since(self.at)) / DRIFT;
        let (low, high) = (later.low.max(self.low - drift), later.high.min(self.high + drift));
        if low <= high { Self { low, high, at: later.at } } else { later }
    }

    pub(super) fn offset(self) -> i64 {
        self.low.midpoint(self.high)
    }

    /// How far a clock that is `offset` from the boot-time clock is from the ledger's, at least.
    pub(super) fn skew_of(self, offset: i64) -> Skew {
        Skew(offset.saturating_sub(offset.clamp(self.low, self.high)))
    }
}

/// Whether a machine's clock, which was wrong or not, is wrong now.
pub(super) fn is_wrong(was: bool, skew: Skew) -> bool {
    skew.size() > if was { RIGHT } else { Skew::WARNED }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(millis: u64) -> Boot {
        Boot(Duration::from_millis(millis))
    }

    /// By a ledger whose clock is an hour further than the boot-time clock, and which looked at it at `read`.
    fn answer(asked: u64, read: i64, answered: u64) -> Measured {
        Measured::new(boot(asked), boot(answered), Timestamp::from_millis(3_600_000 + read))
    }

    fn wrong_by(measured: Measured) -> i64 {
        measured.offset() - 3_600_000_000
    }

    #[test]
    fn a_slow_answer_says_little_and_does_not_spoil_what_is_known() {
        // Half of the round trip is all that it can be wrong by.
        let slow = answer(1_000, 1_800, 1_800);
        assert_eq!(wrong_by(slow), 400_000);
        let quick = slow.narrowed(answer(2_000, 2_001, 2_002));
        assert!(wrong_by(quick).abs() <= 1_000, "{} µs", wrong_by(quick));
        for read in [12_000, 12_600, 13_000] {
            let after = quick.narrowed(answer(12_000, read, 13_000));
            assert!(wrong_by(after).abs() <= 7_000, "{} µs after 11 s", wrong_by(after));
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_though_it_contradicts_what_was_known() {
        let known = answer(1_000, 1_001, 1_002);
        assert_eq!(wrong_by(known.narrowed(answer(2_000, 5_001, 2_002))), 3_000_000);
        assert_eq!(wrong_by(known.narrowed(answer(2_000, -1_999, 2_002))), -4_000_000);
    }

    #[test]
    fn a_clock_within_what_was_measured_is_not_called_wrong() {
        let measured = answer(1_000, 1_000, 1_400);
        let skew = |offset: i64| measured.skew_of(3_600_000_000 + offset);
        assert_eq!((skew(-400_000), skew(0)), (Skew(0), Skew(0)));
        assert_eq!((skew(700_000), skew(-900_000)), (Skew(700_000), Skew(-500_000)));
    }

    #[test]
    fn a_clock_near_the_limit_is_not_called_wrong_and_right_in_turn() {
        assert!(!is_wrong(false, Skew(-500_000)) && is_wrong(false, Skew(-500_001)));
        assert!(is_wrong(true, Skew(300_000)) && !is_wrong(true, Skew(250_000)));
    }
}
