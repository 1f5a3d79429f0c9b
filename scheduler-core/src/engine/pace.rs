//! How fast the leader has been of late, for whoever asks how it is doing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Boot;

use super::request::{Rates, Stats};

/// What "of late" means.
const WINDOW: Duration = Duration::from_secs(10);
/// How often the counts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Hand-outs that are remembered: of more in the window, the latest.
const MOST: usize = 4_096;

#[derive(Default)]
pub(super) struct Pace {
    counts: VecDeque<(Boot, Stats)>,
    lateness: VecDeque<(Boot, Duration)>,
}

impl Pace {
    /// Called before anything is done at `now`: the counts are those since the last time that anything was.
    pub(super) fn look(&mut self, now: Boot, stats: &Stats) {
        if self.counts.back().is_none_or(|(last, _)| now.since(*last) >= LOOK_EVERY) {
            self.counts.push_back((now, *stats));
        }
        // The last one before the window is where it begins.
        while self.counts.get(1).is_some_and(|(second, _)| now.since(*second) >= WINDOW) {
            self.counts.pop_front();
        }
        while self.lateness.front().is_some_and(|(sent, _)| now.since(*sent) > WINDOW) {
            self.lateness.pop_front();
        }
    }

    /// An attempt was handed out so long after it was due.
    pub(super) fn handed_out(&mut self, now: Boot, late: Duration) {
        if self.lateness.len() == MOST {
            self.lateness.pop_front();
        }
        self.lateness.push_back((now, late));
    }

    pub(super) fn rates(&self, now: Boot, stats: &Stats) -> Rates {
        let Some((start, before)) = self.counts.front() else { return Rates::default() };
        let seconds = now.since(*start).min(WINDOW).max(LOOK_EVERY).as_secs_f64();
        let rate = |of: fn(&Stats) -> u64| {
            #[expect(clippy::cast_precision_loss, reason = "counts of ten seconds")]
            let count = of(stats).saturating_sub(of(before)) as f64;
            count / seconds
        };
        Rates {
            fires: rate(|stats| stats.fires_entered + stats.fires_missed + stats.fires_skipped),
            dispatches: rate(|stats| stats.attempts_assigned),
            completions: rate(|stats| stats.runs_ended),
        }
    }

    /// What `percent` of the hand-outs did not exceed; none of none.
    pub(super) fn lateness(&self, percent: usize) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.lateness.iter().map(|(_, late)| *late).collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Boot {
        Boot(Duration::from_secs(seconds))
    }

    fn ended(runs_ended: u64) -> Stats {
        Stats { runs_ended, ..Stats::default() }
    }

    fn completions(pace: &Pace, now: Boot, stats: Stats) -> u64 {
        (pace.rates(now, &stats).completions * 100.0).round() as u64
    }

    #[test]
    fn rates_are_those_of_the_last_ten_seconds() {
        let mut pace = Pace::default();
        assert_eq!(pace.rates(at(5), &ended(9)), Rates::default());
        for second in 0..=60 {
            pace.look(at(second), &ended(second * 3));
        }
        assert_eq!(completions(&pace, at(60), ended(180)), 300);
        assert!(pace.counts.len() <= 12);
        // Nothing came for a minute, then a burst.
        pace.look(at(120), &ended(180));
        assert_eq!(completions(&pace, at(120), ended(230)), 500);
    }

    #[test]
    fn lateness_is_that_of_the_latest_hand_outs() {
        let mut pace = Pace::default();
        assert_eq!(pace.lateness(50), None);
        for n in 1..=100 {
            pace.handed_out(at(1), Duration::from_millis(n));
        }
        assert_eq!([50, 99].map(|percent| pace.lateness(percent)), [50, 99].map(|n| Some(Duration::from_millis(n))));
        pace.look(at(12), &ended(0));
        assert_eq!(pace.lateness(99), None);
        for _ in 0..2 * MOST {
            pace.handed_out(at(12), Duration::ZERO);
        }
        assert_eq!(pace.lateness.len(), MOST);
    }
}
