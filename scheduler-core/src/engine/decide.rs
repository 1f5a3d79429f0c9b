//! What a job's due fires become: the table of DESIGN.md section 5, as a function.

use std::time::Duration;

use crate::job::OverlapPolicy;
use crate::run::Reason;
use crate::schedule::Compiled;
use crate::time::Timestamp;

use super::config::{MAX_COUNT, MAX_RUNS_A_DECISION};

const TICK: Duration = Duration::from_micros(1);

/// Instants of a schedule that one row decides: all in `(covers_from, last]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) covers_from: Timestamp,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Exact up to [`MAX_COUNT`], which also stands for all above.
    pub(super) count: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    Missed(Span, Reason),
    Skipped(Span, Reason),
    /// A run.
    Start(Span),
    /// A run, for which the oldest active one is cancelled.
    Displace(Span),
}

/// A job's due fires and what decides about them.
pub(super) struct Due<'a> {
    pub(super) compiled: &'a Compiled,
    /// Exclusive.
    pub(super) after: Timestamp,
    /// Inclusive.
    pub(super) until: Timestamp,
    pub(super) grace: Duration,
    pub(super) coalesce: bool,
    pub(super) overlap: OverlapPolicy,
    pub(super) max_instances: u32,
    pub(super) max_queued: u32,
    /// Runs that have not ended and whose time has come.
    pub(super) active: usize,
    /// Those of them that wait for a slot.
    pub(super) waiting: usize,
}

impl Due<'_> {
    /// Rows that cover every due instant once, ascending and without gaps.
    pub(super) fn decide(&self) -> Vec<Decision> {
        let mut rows = Vec::new();
        let late_until = self.late_until();
        let mut after = self.after;
        if let Some(missed) = span(self.compiled, after, late_until) {
            rows.push(Decision::Missed(missed, Reason::Late));
            after = missed.last;
        }
        if self.coalesce {
            if let Some(due) = span(self.compiled, after, self.until) {
                rows.push(self.one(due, 0));
            }
            return rows;
        }
        if let Some(too_many) = self.before_the_latest(after) {
            rows.push(Decision::Missed(too_many, Reason::TooManyDue));
            after = too_many.last;
        }
        let mut started = 0;
        while let Some(instant) = self.compiled.next(after).filter(|instant| *instant <= self.until) {
            let row = self.one(Span { covers_from: after, first: instant, last: instant, count: 1 }, started);
            started += usize::from(matches!(row, Decision::Start(_)));
            rows.push(row);
            after = instant;
        }
        rows
    }

    /// The last microsecond whose fires are later than the grace allows.
    fn late_until(&self) -> Timestamp {
        self.until.saturating_sub(self.grace).saturating_sub(self.compiled.jitter_bound()).saturating_sub(TICK)
    }

    /// What becomes of one run-to-be, `started` others of this decision being active already.
    fn one(&self, span: Span, started: usize) -> Decision {
        let active = self.active + started;
        if active < self.max_instances as usize {
            return Decision::Start(span);
        }
        match self.overlap {
            OverlapPolicy::Skip => Decision::Skipped(span, Reason::Overlap),
            OverlapPolicy::Queue => {
                let free = (self.max_instances as usize).saturating_sub(self.active);
                let waiting = self.waiting + started.saturating_sub(free);
                if waiting < self.max_queued as usize {
                    Decision::Start(span)
                } else {
                    Decision::Skipped(span, Reason::QueueFull)
                }
            }
            OverlapPolicy::CancelRunning => Decision::Displace(span),
        }
    }

    /// Of more instants than one decision may make runs of, those before the latest.
    fn before_the_latest(&self, after: Timestamp) -> Option<Span> {
        let mut kept = 0;
        let mut before = self.until.saturating_add(TICK);
        while let Some(instant) = self.compiled.prev(before).filter(|instant| *instant > after) {
            if kept == MAX_RUNS_A_DECISION {
                return span(self.compiled, after, instant);
            }
            kept += 1;
            before = instant;
        }
        None
    }
}

/// All instants in `(after, until]` as one span, or none. Long spans are not walked.
pub(super) fn span(compiled: &Compiled, after: Timestamp, until: Timestamp) -> Option<Span> {
    let first = compiled.next(after).filter(|first| *first <= until)?;
    let last = match compiled.next(first) {
        Some(second) if second <= until => compiled.prev(until.saturating_add(TICK))?,
        _ => first,
    };
    let count = if first == last { 1 } else { compiled.count(after, last, MAX_COUNT).fires };
    Some(Span { covers_from: after, first, last, count })
}
