//! The search for the next and the previous fire: civil times first, instants when one is found.
//!
//! A zone's segments each show a stretch of civil time, their window. Where clocks were put back, two windows
//! would share what is repeated: the overlap policy says whose it is. Where they were put forward, no window
//! has what is swallowed: the gap policy says whether it counts as the segment's first instant.

use super::Cron;
use crate::schedule::civil::{self, DAY};
use crate::schedule::zone::{Civil, Segment, Utc};
use crate::schedule::{Gap, Overlap};
use crate::time::Timestamp;

/// One Gregorian cycle: after it, civil times repeat.
const LONGEST_SEARCH: i64 = 146_097 * DAY;
/// Fires lie from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z, the years that a timestamp can be written in.
pub(super) const LAST_SECOND: Utc = 253_402_300_799;
/// Stands for "no civil time found", later and earlier than any.
const NEVER: Civil = Civil::MAX;
const NEVER_BEFORE: Civil = Civil::MIN;

impl Cron {
    /// The first fire strictly after `after`.
    pub(in super::super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.next_instant((after.as_secs() + 1).max(0)).map(Timestamp::from_secs)
    }

    /// The last fire strictly before `before`.
    pub(in super::super) fn prev(&self, before: Timestamp) -> Option<Timestamp> {
        // Whole seconds that are strictly before are up to the one before the next whole second.
        let before =
            if before == Timestamp::from_secs(before.as_secs()) { before.as_secs() } else { before.as_secs() + 1 };
        self.prev_instant((before - 1).min(LAST_SECOND)).map(Timestamp::from_secs)
    }

    /// The first fire that is not before `from`.
    #[inline]
    pub(super) fn next_instant(&self, from: Utc) -> Option<Utc> {
        if from > self.last {
            return None;
        }
        let mut segment = self.zone.segment_at(from);
        let mut begin = if from == segment.start && self.fills_gap_before(&segment) {
            segment.start + segment.offset_before
        } else {
            (from + segment.offset).max(self.window_start(&segment))
        };
        let mut found = self.next_civil(begin).unwrap_or(NEVER);
        loop {
            if found < self.window_end(&segment) {
                let instant = (found - segment.offset).max(segment.start);
                return (instant <= LAST_SECOND).then_some(instant);
            }
            segment = self.zone.following(&segment)?;
            if segment.start - from > LONGEST_SEARCH {
                return None;
            }
            if self.fills_gap_before(&segment) {
                continue;
            }
            let start = self.window_start(&segment);
            if found < start || begin > start {
                begin = start;
                found = self.next_civil(begin).unwrap_or(NEVER);
            } else if found == NEVER {
                return None;
            }
        }
    }

    /// The last fire that is not after `from`.
    pub(super) fn prev_instant(&self, from: Utc) -> Option<Utc> {
        if from < 0 {
            return None;
        }
        // From far ahead, the search begins where the fires, or the years named, end.
        let years_end = self.days.last_year().map_or(LAST_SECOND, |year| (civil::days_of_year(year + 1) + 1) * DAY);
        let from = from.min(self.last).min(years_end);
        let mut segment = self.zone.segment_at(from);
        let mut begin = (from + segment.offset).min(self.window_end(&segment) - 1);
        let mut found = self.prev_civil(begin).unwrap_or(NEVER_BEFORE);
        loop {
            let start = if self.fills_gap_before(&segment) {
                segment.start + segment.offset_before
            } else {
                self.window_start(&segment)
            };
            if found >= start && found != NEVER_BEFORE {
                let instant = (found - segment.offset).max(segment.start);
                return (instant >= 0).then_some(instant);
            }
            segment = self.zone.preceding(&segment)?;
            if from - segment.end > LONGEST_SEARCH {
                return None;
            }
            let end = self.window_end(&segment) - 1;
            if found > end || begin < end {
                begin = end;
                found = self.prev_civil(begin).unwrap_or(NEVER_BEFORE);
            } else if found == NEVER_BEFORE {
                return None;
            }
        }
    }

    /// How many fires there are in `(after, until]`.
    pub(in super::super) fn count(&self, after: Timestamp, until: Timestamp) -> u64 {
        self.count_instants(after.as_secs() + 1, until.as_secs())
    }

    /// How many fires there are from `from` on, up to and with `to`.
    fn count_instants(&self, from: Utc, to: Utc) -> u64 {
        let (from, to) = (from.max(0), to.min(LAST_SECOND));
        let mut count = 0;
        let mut segment = self.zone.segment_at(from);
        while segment.start <= to {
            let begin = (from.max(segment.start).saturating_add(segment.offset)).max(self.window_start(&segment));
            let end = (to.min(segment.end - 1) + 1 + segment.offset).min(self.window_end(&segment));
            count += self.count_civil(begin, end);
            if from <= segment.start && self.fires_after_gap(&segment) {
                count += 1;
            }
            match self.zone.following(&segment) {
                Some(next) => segment = next,
                None => break,
            }
        }
        count
    }

    /// Whether the segment begins with a fire that stands for civil times swallowed before it, and for none
    /// of its own.
    fn fires_after_gap(&self, segment: &Segment) -> bool {
        self.fills_gap_before(segment)
            && self.next_civil(segment.start + segment.offset_before).is_some_and(|found| {
                found < segment.start + segment.offset
                    && self.next_civil(segment.start + segment.offset) != Some(segment.start + segment.offset)
            })
    }

    /// Whether the segment follows a gap whose civil times count as its first instant.
    #[inline]
    fn fills_gap_before(&self, segment: &Segment) -> bool {
        self.gap == Gap::NextValid && segment.offset > segment.offset_before
    }

    /// The first civil time that is the segment's own.
    #[inline]
    fn window_start(&self, segment: &Segment) -> Civil {
        let offset = match self.overlap {
            Overlap::First => segment.offset.max(segment.offset_before),
            Overlap::Last | Overlap::Both => segment.offset,
        };
        segment.start.saturating_add(offset)
    }

    /// The civil time after the last that is the segment's own.
    #[inline]
    fn window_end(&self, segment: &Segment) -> Civil {
        let offset = match self.overlap {
            Overlap::Last => segment.offset.min(segment.offset_after),
            Overlap::First | Overlap::Both => segment.offset,
        };
        segment.end.saturating_add(offset)
    }

    /// The first matching civil time that is not before `from`.
    #[inline]
    pub(in super::super) fn next_civil(&self, from: Civil) -> Option<Civil> {
        let (day, time) = split(from);
        let today = self.clock.next(time);
        let found = self.days.next(if today.is_some() { day } else { day + 1 })?;
        let time = today.filter(|_| found == day).unwrap_or_else(|| self.clock.first());
        Some(found * DAY + i64::from(time))
    }

    /// The last matching civil time that is not after `from`.
    pub(in super::super) fn prev_civil(&self, from: Civil) -> Option<Civil> {
        let (day, time) = split(from);
        let today = self.clock.prev(time);
        let found = self.days.prev(if today.is_some() { day } else { day - 1 })?;
        let time = today.filter(|_| found == day).unwrap_or_else(|| self.clock.last());
        Some(found * DAY + i64::from(time))
    }

    /// How many matching civil times there are in `from..to`.
    fn count_civil(&self, from: Civil, to: Civil) -> u64 {
        if from >= to {
            return 0;
        }
        let ((first, begin), (last, end)) = (split(from), split(to));
        let before = |day, time| if self.days.next(day) == Some(day) { self.clock.count_before(time) } else { 0 };
        self.days.count(first, last) * self.clock.per_day() + before(last, end) - before(first, begin)
    }
}

/// Day and second of the day; civil times searched are later than 400 years before 1970.
#[inline]
fn split(civil: Civil) -> (i64, u32) {
    let positive = (civil + LONGEST_SEARCH) as u64;
    ((positive / DAY as u64) as i64 - LONGEST_SEARCH / DAY, (positive % DAY as u64) as u32)
}
