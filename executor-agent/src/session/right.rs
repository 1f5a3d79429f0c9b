//! The right to run: until when tasks may live without hearing from the leader again.
//!
//! It counts from when a heartbeat was *sent*, by the boot-time clock, and only a confirmation extends it; a Welcome
//! alone gives none. The leader declares attempts LOST one `agent_ttl` after its last confirmation, so all that is
//! here must have happened before that: tasks are asked to end, then killed `margin / 4` before the right ends, the
//! supervisors kill by their own clocks at its end, and `margin` is left for slow clocks and a busy machine.

use std::time::Duration;

use crate::time::Boot;

#[derive(Debug, Default)]
pub(super) struct Right {
    end: Option<Boot>,
    /// The TTL that `end` was computed with.
    ttl: Duration,
}

/// What is kept back of a TTL.
pub(super) fn margin(ttl: Duration) -> Duration {
    (ttl / 10).min(Duration::from_secs(2))
}

impl Right {
    /// A heartbeat sent then has been confirmed. A confirmation never shortens the right: what a leader of a longer TTL has given
    /// lasts, and the next one waits for that.
    pub(super) fn confirm(&mut self, sent: Boot, ttl: Duration) -> Option<Boot> {
        let end = sent + (ttl - margin(ttl));
        if self.end.is_some_and(|old| end <= old) {
            return None;
        }
        self.end = Some(end);
        self.ttl = ttl;
        self.end
    }

    /// When every task must have been killed.
    pub(super) fn kill_at(&self) -> Option<Boot> {
        self.end.map(|end| end - margin(self.ttl) / 4)
    }

    /// When a task with this grace is asked to end, so that its kill falls in time. Grace is capped, so that a task with a
    /// long one is not stopped at every hiccup.
    pub(super) fn stop_at(&self, kill_grace: Duration) -> Option<Boot> {
        self.kill_at().map(|kill| kill - kill_grace.min(self.ttl / 5))
    }

    /// The earliest of all [`Self::stop_at`]: from then on nothing new is started.
    pub(super) fn first_stop(&self) -> Option<Boot> {
        self.stop_at(Duration::MAX)
    }

    pub(super) fn allows_start(&self, now: Boot) -> bool {
        self.first_stop().is_some_and(|stop| now < stop)
    }

    /// How long a task in this process that was killed may take to go before the process is aborted: the process must be
    /// gone within the margin.
    pub(super) fn abort_after(&self) -> Duration {
        margin(self.ttl) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn everything_is_dead_before_the_leader_gives_the_attempts_away() {
        let mut right = Right::default();
        assert!(!right.allows_start(Boot(0)), "no heartbeat was confirmed");
        let sent = Boot(1_000_000);
        assert_eq!(right.confirm(sent, TTL), Some(sent + Duration::from_secs(9)));
        let kill = right.kill_at().expect("confirmed");
        assert!(kill + right.abort_after() < sent + TTL);
        assert!(right.stop_at(Duration::from_secs(3_600)).expect("confirmed") > sent, "grace is capped");
        assert!(right.stop_at(Duration::ZERO).expect("confirmed") == kill);
    }

    #[test]
    fn a_late_confirmation_of_an_early_heartbeat_does_not_shorten_the_right() {
        let mut right = Right::default();
        right.confirm(Boot(5_000_000), TTL);
        assert_eq!(right.confirm(Boot(4_000_000), TTL), None);
        assert_eq!(right.confirm(Boot(5_500_000), Duration::from_secs(2)), None);
    }
}
