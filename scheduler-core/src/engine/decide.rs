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

/// Whether the misfire grace counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lateness {
    Counts,
    /// `catch_up` makes up what is late.
    Ignored,
}

/// A job's due fires and what decides about them.
pub(super) struct Due<'a> {
    pub(super) compiled: &'a Compiled,
    /// Exclusive.
    pub(super) after: Timestamp,
    /// Inclusive.
    pub(super) until: Timestamp,
    /// How many instants may still be decided (`max_fires`).
    pub(super) left: Option<u64>,
    pub(super) lateness: Lateness,
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
        let Some(until) = cut(self.compiled, self.after, self.until, self.left) else { return rows };
        let mut after = self.after;
        let late = Some(self.late_until().min(until)).filter(|_| self.lateness == Lateness::Counts);
        if let Some(missed) = late.and_then(|late| self.span(after, late)) {
            rows.push(Decision::Missed(missed, Reason::Late));
            after = missed.last;
        }
        if self.coalesce {
            if let Some(due) = self.span(after, until) {
                rows.push(self.one(due, 0));
            }
            return rows;
        }
        if let Some(too_many) = self.before_the_latest(after, until) {
            rows.push(Decision::Missed(too_many, Reason::TooManyDue));
            after = too_many.last;
        }
        let mut started = 0;
        while let Some(instant) = self.compiled.next(after).filter(|instant| *instant <= until) {
            let row = self.one(Span { covers_from: after, first: instant, last: instant, count: 1 }, started);
            started += usize::from(matches!(row, Decision::Start(_)));
            rows.push(row);
            after = instant;
        }
        rows
    }

    fn span(&self, after: Timestamp, until: Timestamp) -> Option<Span> {
        span(self.compiled, after, until, self.left)
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
    fn before_the_latest(&self, after: Timestamp, until: Timestamp) -> Option<Span> {
        let mut kept = 0;
        let mut before = until.saturating_add(TICK);
        while let Some(instant) = self.compiled.prev(before).filter(|instant| *instant > after) {
            if kept == MAX_RUNS_A_DECISION {
                return self.span(after, instant);
            }
            kept += 1;
            before = instant;
        }
        None
    }
}

/// The last microsecond up to which no more than `left` instants follow `after`; `None`: none is left.
pub(super) fn cut(compiled: &Compiled, after: Timestamp, until: Timestamp, left: Option<u64>) -> Option<Timestamp> {
    let Some(left) = left else { return Some(until) };
    let mut last = after;
    for _ in 0..left {
        match compiled.next(last).filter(|instant| *instant <= until) {
            Some(instant) => last = instant,
            None => return Some(until),
        }
    }
    (left > 0).then_some(last)
}

/// All instants in `(after, until]` as one span, or none. Long spans are not walked, unless every fire counts.
pub(super) fn span(compiled: &Compiled, after: Timestamp, until: Timestamp, left: Option<u64>) -> Option<Span> {
    let first = compiled.next(after).filter(|first| *first <= until)?;
    let last = match compiled.next(first) {
        Some(second) if second <= until => compiled.prev(until.saturating_add(TICK))?,
        _ => first,
    };
    let count = if first == last { 1 } else { compiled.count(after, last, left.unwrap_or(MAX_COUNT)).fires };
    Some(Span { covers_from: after, first, last, count })
}
