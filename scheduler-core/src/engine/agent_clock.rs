//! How far the clock of an agent's machine is from the ledger's, by what its heartbeats say. Nothing is decided by it: tasks
//! start by the server's clock, and rights end by the boot-time clock.

use std::collections::VecDeque;

use crate::time::{Skew, Timestamp};

/// Heartbeats that are remembered: of what was set since, the last of them says nothing any more.
const SAMPLES: usize = 8;

#[derive(Default, Debug)]
pub(super) struct AgentClock {
    samples: VecDeque<Skew>,
}

impl AgentClock {
    pub(super) fn said(&mut self, sent: Option<Timestamp>, received: Timestamp) {
        let Some(sent) = sent else { return };
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Skew(sent.as_micros().saturating_sub(received.as_micros())));
    }

    /// A heartbeat is late by the time that it was on its way, never early: the one that looks latest was the quickest.
    pub(super) fn skew(&self) -> Option<Skew> {
        self.samples.iter().copied().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_clock_is_judged_by_its_quickest_heartbeat_and_followed_when_it_is_set() {
        let mut clock = AgentClock::default();
        assert_eq!(clock.skew(), None);
        let said = |clock: &mut AgentClock, ahead: i64, late: i64| {
            clock.said(Some(Timestamp::from_millis(50_000 + ahead)), Timestamp::from_millis(50_000 + late));
            clock.skew().map(|skew| skew.0 / 1_000)
        };
        assert_eq!(said(&mut clock, 3_000, 40), Some(2_960));
        assert_eq!(said(&mut clock, 3_000, 1), Some(2_999));
        assert_eq!(said(&mut clock, 3_000, 900), Some(2_999), "one that was held up says nothing");
        let after = (0..SAMPLES).map(|_| said(&mut clock, -7_000, 2)).last().flatten();
        assert_eq!(after, Some(-7_002), "it was put back");
    }
}
