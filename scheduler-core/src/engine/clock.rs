//! The wall clock as the engine obeys it (rule 17): the boot-time clock, which nobody can set, plus an offset that
//! follows the ledger's wall clock. That is this machine's, or one of its own, which is measured: see `measured`.
//!
//! A small difference is slewed away, so that time neither stands still nor skips an instant. A clock that jumps ahead
//! is doubted for a while: what it says is due would be missed for good if it were wrong. One that goes back is
//! obeyed at once: the watermark sees to it that nothing fires twice. While the ledger is away what was measured holds.

use std::time::Duration;

use crate::time::{Boot, Now, Skew, Timestamp, micros};

use super::config::LedgerClock;
use super::measured::{Measured, is_wrong};

/// Differences up to here are slewed away: what clocks drift, and what time services set them right by.
const SLEWED: Duration = Duration::from_secs(5);
/// How long a clock that is ahead by more must have stayed so.
const DOUBT: Duration = Duration::from_secs(10);
/// A twentieth of the time that passes: a second's difference is gone in 20 s, and a minute is never shorter than 57 s.
const SLEW: i64 = 20;
/// While it slews ahead, whoever sleeps looks at the clock this often: what is due is at most 50 ms late for it.
const LOOK: Duration = Duration::from_secs(1);

/// How the ledger's wall clock was set, where that is more than a correction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockJump {
    /// It says that it is this much later; that is not believed yet.
    Doubted(Duration),
    /// It was this far ahead for long enough: what it says is obeyed.
    Ahead(Duration),
    /// It was put back by so much, and is obeyed.
    Back(Duration),
}

/// How the machine's own clock is, by the ledger's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MachineClock {
    Wrong(Skew),
    Right,
}

/// A jump ahead that is not believed yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Doubt {
    since: Boot,
    offset: i64,
}

/// What is obeyed, and why it differs from the ledger's wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    of_ledger: LedgerClock,
    boot: Boot,
    /// Wall less boot, in microseconds, as obeyed.
    offset: i64,
    doubt: Option<Doubt>,
    slews_ahead: bool,
    /// Wall less boot, by the machine's own clock.
    machine: i64,
    /// `None`: never yet, or nothing to measure.
    measured: Option<Measured>,
    is_wrong: bool,
}

impl Clock {
    pub(super) fn new(of_ledger: LedgerClock, machine: Now) -> Self {
        let offset = offset(machine);
        Self {
            of_ledger,
            boot: machine.boot,
            offset,
            doubt: None,
            slews_ahead: false,
            machine: offset,
            measured: None,
            is_wrong: false,
        }
    }

    /// A ledger with a clock of its own has read it at some instant between these two.
    pub(super) fn measure(&mut self, asked: Boot, answered: Boot, time: Timestamp) {
        if self.of_ledger == LedgerClock::ThisMachines {
            return;
        }
        let measured = Measured::new(asked, answered, time);
        let before = self.measured.replace(self.measured.map_or(measured, |before| before.narrowed(measured)));
        if before.is_none() {
            // Nothing was decided by the machine's.
            self.take(measured.offset());
        }
    }

    /// How far the machine's clock is from the ledger's, at least; `None`: not known.
    pub(super) fn skew(&self) -> Option<Skew> {
        self.measured.map(|measured| measured.skew_of(self.machine))
    }

    /// Whether the machine's clock has become wrong, or right again.
    pub(super) fn judge_machine(&mut self) -> Option<MachineClock> {
        let skew = self.skew()?;
        let is_wrong = is_wrong(self.is_wrong, skew);
        let was = std::mem::replace(&mut self.is_wrong, is_wrong);
        match (was, is_wrong) {
            (false, true) => Some(MachineClock::Wrong(skew)),
            (true, false) => Some(MachineClock::Right),
            (true, true) | (false, false) => None,
        }
    }

    /// The time to go by, and whether the ledger's clock has jumped. Who decides nothing by it need not come near it
    /// slowly.
    pub(super) fn obey(&mut self, machine: Now, decides: bool) -> (Now, Option<ClockJump>) {
        let passed = micros(machine.boot.since(self.boot));
        self.boot = self.boot.max(machine.boot);
        self.machine = offset(machine);
        let (said, looked) = self.measured.map_or((self.machine, machine.boot), |it| (it.offset(), it.at));
        let ahead = said.saturating_sub(self.offset);
        self.slews_ahead = false;
        let mut jump = None;
        if ahead.unsigned_abs() <= micros(SLEWED).unsigned_abs() {
            self.doubt = None;
            let most = if decides { passed / SLEW } else { i64::MAX };
            let step = ahead.clamp(-most, most);
            self.offset += step;
            self.slews_ahead = step < ahead;
        } else if ahead < 0 {
            jump = Some(ClockJump::Back(Duration::from_micros(ahead.unsigned_abs())));
            self.take(said);
        } else {
            let by = Duration::from_micros(ahead.unsigned_abs());
            let same = |doubt: &Doubt| said.abs_diff(doubt.offset) <= micros(SLEWED).unsigned_abs();
            match self.doubt.filter(same) {
                Some(doubt) if looked.since(doubt.since) >= DOUBT => {
                    jump = Some(ClockJump::Ahead(by));
                    self.take(said);
                }
                Some(_) => {}
                None => {
                    jump = Some(ClockJump::Doubted(by));
                    self.doubt = Some(Doubt { since: looked, offset: said });
                }
            }
        }
        let wall = Timestamp::from_micros(micros(machine.boot.0).saturating_add(self.offset));
        (Now { wall, boot: machine.boot }, jump)
    }

    fn take(&mut self, offset: i64) {
        self.offset = offset;
        self.doubt = None;
    }

    /// When to look again, whatever else there is to do. A clock that is measured shows nothing new before that.
    pub(super) fn next_look(&self) -> Option<Boot> {
        let doubt = self.doubt.filter(|_| self.measured.is_none()).map(|doubt| doubt.since.saturating_add(DOUBT));
        doubt.or_else(|| self.slews_ahead.then(|| self.boot.saturating_add(LOOK)))
    }
}

fn offset(now: Now) -> i64 {
    now.wall.as_micros().saturating_sub(micros(now.boot.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000;

    /// The machine's clocks so many seconds after the start, the wall clock wrong by `wrong` milliseconds.
    fn machine(seconds: u64, wrong: i64) -> Now {
        let wall = Timestamp::from_secs(START).saturating_add(Duration::from_secs(seconds));
        let wall = Timestamp::from_micros(wall.as_micros() + wrong * 1_000);
        Now { wall, boot: Boot(Duration::from_secs(1_000 + seconds)) }
    }

    /// How far what is obeyed is ahead of a right clock, in milliseconds.
    fn wrong(clock: &mut Clock, seconds: u64, by: i64) -> i64 {
        let (now, _) = clock.obey(machine(seconds, by), true);
        (now.wall.as_micros() - machine(seconds, 0).wall.as_micros()) / 1_000
    }

    #[test]
    fn a_small_difference_is_slewed_away_and_time_goes_on_all_the_while() {
        let mut clock = Clock::new(LedgerClock::ThisMachines, machine(0, 0));
        assert_eq!(wrong(&mut clock, 1, 1_000), 50);
        assert_eq!(clock.next_look(), Some(Boot(Duration::from_secs(1_002))));
        assert_eq!(wrong(&mut clock, 11, 1_000), 550);
        assert_eq!(wrong(&mut clock, 30, 1_000), 1_000);
        assert_eq!(clock.next_look(), None);
        assert_eq!(wrong(&mut clock, 40, 0), 500);
        assert_eq!(wrong(&mut clock, 60, 0), 0);
    }

    #[test]
    fn a_jump_ahead_is_obeyed_only_after_it_has_stayed_so_for_ten_seconds() {
        let mut clock = Clock::new(LedgerClock::ThisMachines, machine(0, 0));
        let hour = 3_600_000;
        let (_, jump) = clock.obey(machine(1, hour), true);
        assert_eq!(jump, Some(ClockJump::Doubted(Duration::from_secs(3_600))));
        assert_eq!(clock.next_look(), Some(Boot(Duration::from_secs(1_011))));
        assert_eq!(wrong(&mut clock, 10, hour), 0);
        // It jumps again: the ten seconds begin anew.
        assert_eq!(wrong(&mut clock, 10, 2 * hour), 0);
        assert_eq!(wrong(&mut clock, 19, 2 * hour), 0);
        let (_, jump) = clock.obey(machine(20, 2 * hour), true);
        assert_eq!(jump, Some(ClockJump::Ahead(Duration::from_secs(7_200))));
        assert_eq!(wrong(&mut clock, 21, 2 * hour), 2 * hour);
    }

    #[test]
    fn a_jump_ahead_that_is_taken_back_in_time_never_happened() {
        let mut clock = Clock::new(LedgerClock::ThisMachines, machine(0, 0));
        assert_eq!(wrong(&mut clock, 1, 3_600_000), 0);
        assert_eq!(wrong(&mut clock, 9, 0), 0);
        assert_eq!(wrong(&mut clock, 10, 3_600_000), 0);
        assert_eq!(wrong(&mut clock, 19, 3_600_000), 0, "it is doubted anew");
    }

    #[test]
    fn a_clock_that_is_put_back_is_obeyed_at_once() {
        let mut clock = Clock::new(LedgerClock::ThisMachines, machine(0, 0));
        let (_, jump) = clock.obey(machine(1, -600_000), true);
        assert_eq!(jump, Some(ClockJump::Back(Duration::from_secs(600))));
        assert_eq!(wrong(&mut clock, 2, -600_000), -600_000);
    }

    /// A node whose machine's clock is right, and a ledger's that is `ahead` of it.
    fn look(clock: &mut Clock, seconds: u64, ahead: i64) {
        let now = machine(seconds, 0);
        clock.measure(now.boot, now.boot, machine(seconds, ahead).wall);
    }

    #[test]
    fn the_first_look_at_the_ledgers_clock_is_believed_and_the_machines_is_not() {
        let mut clock = Clock::new(LedgerClock::ItsOwn, machine(0, 0));
        look(&mut clock, 1, 3_600_000);
        assert_eq!(wrong(&mut clock, 1, 0), 3_600_000);
        assert_eq!(wrong(&mut clock, 2, -77_000), 3_600_000);
        assert_eq!(clock.skew(), Some(Skew(-3_677_000_000)));
    }

    #[test]
    fn a_jump_of_the_ledgers_clock_is_not_obeyed_before_a_second_look() {
        let mut clock = Clock::new(LedgerClock::ItsOwn, machine(0, 0));
        look(&mut clock, 1, 0);
        look(&mut clock, 11, 60_000);
        assert_eq!(wrong(&mut clock, 11, 0), 0);
        assert_eq!(wrong(&mut clock, 100, 0), 0, "nobody has looked since");
        assert_eq!(clock.next_look(), None);
        look(&mut clock, 101, 60_000);
        assert_eq!(wrong(&mut clock, 101, 0), 60_000);
    }

    #[test]
    fn who_decides_nothing_takes_a_small_difference_at_once() {
        let mut clock = Clock::new(LedgerClock::ItsOwn, machine(0, 0));
        look(&mut clock, 1, 0);
        look(&mut clock, 2, 4_000);
        let (now, _) = clock.obey(machine(3, 0), false);
        assert_eq!(now.wall, machine(3, 4_000).wall);
    }
}
