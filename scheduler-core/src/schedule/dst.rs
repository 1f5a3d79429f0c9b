//! The changes of the clocks that move a schedule's fires, in words, for previews.

use super::cron::Cron;
use super::zone::{Civil, Segment};
use super::{Gap, Overlap, words};
use crate::time::Timestamp;

/// A change of the clocks that swallows, repeats or moves a fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DstChange {
    /// The first instant of the new offset.
    pub time: Timestamp,
    pub kind: ChangeKind,
    /// What it does to the schedule, in words.
    pub effect: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The clocks are put forward: civil times do not exist.
    Gap,
    /// The clocks are put back: civil times occur twice.
    Overlap,
}

const HOUR: i64 = 3_600;
/// After so many changes without an effect there is none: the rules of every zone repeat after 28 years.
const MOST_CHANGES: usize = 64;

/// The first change of the clocks after `after` that has an effect on `cron`.
pub(super) fn next_change(cron: &Cron, after: Timestamp) -> Option<DstChange> {
    let mut segment = cron.zone.segment_at(after.as_secs().max(0));
    for _ in 0..MOST_CHANGES {
        segment = cron.zone.following(&segment)?;
        if let Some(change) = effect(cron, &segment) {
            return Some(change);
        }
    }
    None
}

fn effect(cron: &Cron, segment: &Segment) -> Option<DstChange> {
    let (before, now) = (segment.offset_before, segment.offset);
    let (kind, begin, end) = if now > before {
        (ChangeKind::Gap, segment.start + before, segment.start + now)
    } else {
        (ChangeKind::Overlap, segment.start + now, segment.start + before)
    };
    let first = cron.next_civil(begin).filter(|&first| first < end)?;
    if cron.interval_like && cron.clock.is_hourly() && (now - before) % HOUR == 0 {
        // Every hour has the same fires, so that no one can tell that an hour is missing or repeated.
        return None;
    }
    let last = cron.prev_civil(end - 1).unwrap_or(first);
    let effect = match kind {
        ChangeKind::Gap => gap_effect(cron, first, last, end),
        ChangeKind::Overlap => overlap_effect(cron, first, last),
    };
    Some(DstChange { time: Timestamp::from_secs(segment.start), kind, effect })
}

fn gap_effect(cron: &Cron, first: Civil, last: Civil, end: Civil) -> String {
    let times = times(first, last);
    let are = if first == last { "does" } else { "do" };
    match cron.gap {
        Gap::NextValid => format!("{times} {are} not exist: it fires once at {} instead", words::civil(end)),
        Gap::Skip => format!("{times} {are} not exist: no fire"),
    }
}

fn overlap_effect(cron: &Cron, first: Civil, last: Civil) -> String {
    let times = times(first, last);
    let occur = if first == last { "occurs" } else { "occur" };
    let which = match cron.overlap {
        Overlap::First => "the first time only",
        Overlap::Last => "the second time only",
        Overlap::Both => "both times",
    };
    format!("{times} {occur} twice: it fires {which}")
}

fn times(first: Civil, last: Civil) -> String {
    if first == last { words::civil(first) } else { format!("{} to {}", words::civil(first), words::civil(last)) }
}
