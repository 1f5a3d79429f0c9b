//! How far the server's wall clock is from the boot-time clock of this machine.
//!
//! Measured on the stream, as NTP does it, from the round trip with the least delay of the last few; only the server's
//! clock says when a fire is due, so that agents with wrong wall clocks still start tasks at the right instant.

use std::collections::VecDeque;
use std::time::Duration;

use super::input::Notice;
use crate::time::{Boot, Now, Wall};

const SAMPLES: usize = 8;
/// A machine's clock that is further from the server's is warned of …
const WRONG: Duration = Duration::from_millis(500);
/// … until it is nearer than this.
const RIGHT: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct Offset {
    samples: VecDeque<Sample>,
    is_wrong: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    delay: Duration,
    /// Server's wall clock less our boot-time clock, in microseconds.
    offset: i64,
}

impl Offset {
    /// A Welcome says only when the server sent it, and the Hello may have waited there: a first guess, on which any
    /// confirmation improves.
    pub(super) fn welcomed(&mut self, now: Boot, server: Wall) {
        self.samples.clear();
        self.push(Sample { delay: Duration::MAX, offset: server.0.saturating_sub(now.0) });
    }

    /// A heartbeat sent at `sent` was received and its confirmation sent at these instants of the server.
    pub(super) fn confirmed(&mut self, now: Boot, sent: Boot, server_received: Wall, server_sent: Wall) {
        let held = Duration::from_micros(u64::try_from(server_sent.0.saturating_sub(server_received.0)).unwrap_or(0));
        let there = server_received.0.saturating_sub(sent.0);
        let back = server_sent.0.saturating_sub(now.0);
        self.push(Sample { delay: now.since(sent).saturating_sub(held), offset: there.midpoint(back) });
    }

    /// The server's wall clock at an instant of ours; before any measurement our own wall clock must do.
    pub(super) fn server_time(&self, now: Now, at: Boot) -> Wall {
        Wall(at.0.saturating_add(self.best(now)))
    }

    /// The instant of our clock at which the server's shows this.
    pub(super) fn boot_time(&self, now: Now, server: Wall) -> Boot {
        Boot(server.0.saturating_sub(self.best(now)))
    }

    /// Whether this machine's clock has become wrong by the server's, or right again: of what a round trip cannot tell it
    /// gets the benefit.
    pub(super) fn judge_machine(&mut self, now: Now) -> Option<Notice> {
        let best = self.quickest().filter(|sample| sample.delay < Duration::MAX)?;
        let ahead = machine(now).saturating_sub(best.offset);
        let size = Duration::from_micros(ahead.unsigned_abs()).saturating_sub(best.delay / 2);
        let is_wrong = size > if self.is_wrong { RIGHT } else { WRONG };
        let was = std::mem::replace(&mut self.is_wrong, is_wrong);
        match (was, is_wrong) {
            (false, true) => Some(Notice::ClockWrong { by: size, ahead: ahead > 0 }),
            (true, false) => Some(Notice::ClockRight),
            (true, true) | (false, false) => None,
        }
    }

    fn best(&self, now: Now) -> i64 {
        self.quickest().map_or(machine(now), |sample| sample.offset)
    }

    fn quickest(&self) -> Option<Sample> {
        self.samples.iter().min_by_key(|sample| sample.delay).copied()
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

/// Our own wall clock less our boot-time clock, in microseconds.
fn machine(now: Now) -> i64 {
    now.wall.0.saturating_sub(now.boot.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_warned_of_once_and_a_slow_server_is_none() {
        let mut offset = Offset::default();
        let now = |boot: i64, ahead: i64| Now { wall: Wall(7_000_000_000 + boot + ahead), boot: Boot(boot) };
        let server = |boot: i64| Wall(7_000_000_000 + boot);
        offset.welcomed(Boot(1_000), server(1_000));
        assert_eq!(
            offset.judge_machine(now(1_000, 3_600_000_000)),
            None,
            "a Welcome may have been on its way for long"
        );
        // Two seconds there and nothing back: the clocks may be a second apart, or not at all.
        offset.confirmed(Boot(3_000_000), Boot(1_000_000), server(3_000_000), server(3_000_000));
        assert_eq!(offset.judge_machine(now(3_000_000, 0)), None);
        offset.confirmed(Boot(4_000_000), Boot(4_000_000), server(4_000_000), server(4_000_000));
        assert_eq!(offset.judge_machine(now(4_000_000, -500_000)), None);
        let wrong = Notice::ClockWrong { by: Duration::from_millis(501), ahead: false };
        assert_eq!(offset.judge_machine(now(4_000_000, -501_000)), Some(wrong));
        assert_eq!(offset.judge_machine(now(5_000_000, 300_000)), None, "it has been said");
        assert_eq!(offset.judge_machine(now(5_000_000, 250_000)), Some(Notice::ClockRight));
    }

    #[test]
    fn a_task_starts_by_the_servers_clock_not_by_a_wrong_wall_clock() {
        let mut offset = Offset::default();
        let now = Now { wall: Wall(9_000_000_000), boot: Boot(1_000) };
        assert_eq!(offset.boot_time(now, Wall(9_000_000_500)), Boot(1_500), "no measurement yet");
        offset.welcomed(Boot(1_000), Wall(5_000_000));
        assert_eq!(offset.boot_time(now, Wall(5_000_100)), Boot(1_100));
        // There and back 200 µs each, 50 µs held: the server was 200 µs further than the Welcome made believe.
        offset.confirmed(Boot(2_450), Boot(2_000), Wall(5_001_400), Wall(5_001_450));
        assert_eq!(offset.boot_time(now, Wall(5_001_400)), Boot(2_200));
        // A slow round trip does not spoil the estimate.
        offset.confirmed(Boot(90_000), Boot(3_000), Wall(5_080_000), Wall(5_080_000));
        assert_eq!(offset.server_time(now, Boot(2_200)), Wall(5_001_400));
    }
}
