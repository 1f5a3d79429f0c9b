//! How far the server's wall clock is from the boot-time clock of this machine.
//!
//! Measured on the stream, as NTP does it, from the round trip with the least delay of the last few; only the server's
//! clock says when a fire is due, so that agents with wrong wall clocks still start tasks at the right instant.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Boot, Now, Wall};

const SAMPLES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Offset {
    samples: VecDeque<Sample>,
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

    fn best(&self, now: Now) -> i64 {
        let best = self.samples.iter().min_by_key(|sample| sample.delay);
        best.map_or(now.wall.0.saturating_sub(now.boot.0), |sample| sample.offset)
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
