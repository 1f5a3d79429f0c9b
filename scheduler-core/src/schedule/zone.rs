//! Time zones as tables of our own: where a zone's clocks change, and by how much.
//!
//! A table is read from chrono-tz once for each zone that is used, so that a step of a search costs no more
//! than two array reads. chrono-tz's tables end with 2099; the rules of its last years are carried on for one
//! Gregorian cycle, so that a summer hour of 2150 is one. Nothing here knows of schedules.

use std::fmt;
use std::sync::OnceLock;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::civil::{self, DAY};

/// Seconds since 1970-01-01T00:00:00Z.
pub(super) type Utc = i64;

/// Seconds since 1970-01-01T00:00:00 on the zone's own clocks.
pub(super) type Civil = i64;

static ZONES: [OnceLock<Zone>; TZ_VARIANTS.len()] = [const { OnceLock::new() }; TZ_VARIANTS.len()];

/// The last year that chrono-tz's tables cover.
const LAST_YEAR_OF_DATA: i64 = 2099;
/// 2100-01-01T00:00:00Z: later changes are rules carried on.
pub(super) const RULES_ONLY_FROM: Utc = 4_102_444_800;
/// The last year that ours cover.
const LAST_YEAR: i64 = 2500;
/// After 28 years every date is back on its weekday (between 1901 and 2099).
const WEEKDAY_CYCLE: i64 = 28;
/// No zone has two changes within less (a test walks all of them by the day).
const PROBE: i64 = 7 * DAY;
/// One entry of a zone's index covers 2^24 s, about half a year.
const INDEX_SHIFT: u32 = 24;

pub(super) struct Zone {
    name: &'static str,
    /// All changes, between two that never happen: one before all time, which brings the first offset, and
    /// one after all time.
    changes: Box<[Change]>,
    /// For each stretch of 2^24 s from 1970 on: the index of the segment in force at its begin.
    index: Box<[u16]>,
}

#[derive(Clone, Copy)]
struct Change {
    at: Utc,
    /// The offset from `at` on.
    offset: i32,
}

/// A stretch of time in which a zone's offset does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    index: usize,
    /// Its first second; the first segment has no begin.
    pub(super) start: Utc,
    /// The second after its last; the last segment has no end.
    pub(super) end: Utc,
    pub(super) offset: i64,
    /// The offset before `start`; in the first segment its own.
    pub(super) offset_before: i64,
    /// The offset from `end` on; in the last segment its own.
    pub(super) offset_after: i64,
}

impl Zone {
    pub(super) fn utc() -> &'static Self {
        Self::of(Tz::UTC)
    }

    /// Empty is UTC. The error says what would be right.
    pub(super) fn named(name: &str) -> Result<&'static Self, String> {
        if name.is_empty() {
            return Ok(Self::utc());
        }
        if let Ok(zone) = name.parse::<Tz>() {
            return Ok(Self::of(zone));
        }
        let data = chrono_tz::IANA_TZDB_VERSION;
        let unknown = format!("{name:?} is not a zone of the IANA time zone database ({data})");
        Err(match TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)) {
            Some(zone) => format!("{unknown}; did you mean {:?}?", zone.name()),
            None => format!("{unknown}; names look like \"Europe/Paris\" or \"UTC\""),
        })
    }

    fn of(zone: Tz) -> &'static Self {
        ZONES[zone as usize].get_or_init(|| Self::read(zone))
    }

    fn read(zone: Tz) -> Self {
        let mut changes = vec![Change { at: Utc::MIN, offset: offset_at(zone, 0) }];
        read_changes(zone, &mut changes);
        carry_on(&mut changes);
        let index = index(&changes);
        let last = changes[changes.len() - 1].offset;
        changes.push(Change { at: Utc::MAX, offset: last });
        Self { name: zone.name(), changes: changes.into(), index }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    #[inline]
    pub(super) fn segment_at(&self, time: Utc) -> Segment {
        let stretch = usize::try_from(time >> INDEX_SHIFT).unwrap_or(0).min(self.index.len() - 1);
        let mut index = usize::from(self.index[stretch]);
        while self.changes[index + 1].at <= time && index + 2 < self.changes.len() {
            index += 1;
        }
        self.segment(index)
    }

    #[inline]
    fn segment(&self, index: usize) -> Segment {
        let Change { at: start, offset } = self.changes[index];
        let Change { at: end, offset: offset_after } = self.changes[index + 1];
        let offset_before = self.changes[index.saturating_sub(1)].offset;
        Segment {
            index,
            start,
            end,
            offset: i64::from(offset),
            offset_before: i64::from(offset_before),
            offset_after: i64::from(offset_after),
        }
    }

    /// The segment after this one, or `None` after the last.
    #[inline]
    pub(super) fn following(&self, segment: &Segment) -> Option<Segment> {
        (segment.index + 2 < self.changes.len()).then(|| self.segment(segment.index + 1))
    }

    /// The segment before this one, or `None` before the first.
    #[inline]
    pub(super) fn preceding(&self, segment: &Segment) -> Option<Segment> {
        segment.index.checked_sub(1).map(|index| self.segment(index))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn offset_at(zone: Tz, time: Utc) -> i32 {
    let time = DateTime::from_timestamp(time, 0).expect("because chrono knows every second of 1970 to 2100");
    zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc()
}

/// Adds all changes between 1970 and the end of chrono-tz's data.
fn read_changes(zone: Tz, changes: &mut Vec<Change>) {
    let end = civil::days_of_year(LAST_YEAR_OF_DATA + 1) * DAY;
    let (mut time, mut offset) = (0, offset_at(zone, 0));
    while time < end {
        let later = (time + PROBE).min(end);
        let new = offset_at(zone, later);
        if new != offset {
            changes.push(Change { at: first_second(zone, time, later, new), offset: new });
            offset = new;
        }
        time = later;
    }
}

/// Where between `before` and `later` the offset becomes `new`.
fn first_second(zone: Tz, mut before: Utc, mut later: Utc, new: i32) -> Utc {
    while later - before > 1 {
        let middle = before + (later - before) / 2;
        if offset_at(zone, middle) == new {
            later = middle;
        } else {
            before = middle;
        }
    }
    later
}

/// Repeats for each later year the changes of a year at the end of the data that has the same days on the
/// same weekdays.
fn carry_on(changes: &mut Vec<Change>) {
    for year in LAST_YEAR_OF_DATA + 1..=LAST_YEAR {
        let first = civil::days_of_year(year);
        let length = civil::days_of_year(year + 1) - first;
        let model = (LAST_YEAR_OF_DATA - WEEKDAY_CYCLE + 1..=LAST_YEAR_OF_DATA)
            .find(|&model| {
                let model_first = civil::days_of_year(model);
                civil::weekday(model_first) == civil::weekday(first)
                    && civil::days_of_year(model + 1) - model_first == length
            })
            .expect("because 28 years have each kind of year");
        let model_first = civil::days_of_year(model);
        let span = model_first * DAY..(model_first + length) * DAY;
        let begin = changes.partition_point(|change| change.at < span.start);
        let end = changes.partition_point(|change| change.at < span.end);
        for i in begin..end {
            let Change { at, offset } = changes[i];
            changes.push(Change { at: at + (first - model_first) * DAY, offset });
        }
    }
}

fn index(changes: &[Change]) -> Box<[u16]> {
    let stretches = changes.last().map_or(0, |last| last.at.max(0) >> INDEX_SHIFT) + 2;
    (0..stretches)
        .map(|stretch| {
            let begin = stretch << INDEX_SHIFT;
            u16::try_from(changes.partition_point(|change| change.at <= begin) - 1)
                .expect("because a zone has a few changes a year")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zone_has_a_change_that_the_probes_miss() {
        // Past 2040 zones only repeat their rules, but for Morocco's, whose changes lie weeks apart.
        let (all, morocco) = (civil::days_of_year(2041) * DAY, civil::days_of_year(2100) * DAY);
        for zone in TZ_VARIANTS {
            let end = if zone == Tz::Africa__Casablanca { morocco } else { all };
            let table = Zone::of(zone);
            assert_eq!(table.name(), zone.name());
            let mut segment = table.segment_at(0);
            for time in (0..end).step_by(86_400) {
                if time >= segment.end {
                    segment = table.segment_at(time);
                }
                assert_eq!(segment.offset, i64::from(offset_at(zone, time)), "{} at {time}", zone.name());
            }
        }
    }

    #[test]
    fn no_segment_is_shorter_than_the_changes_at_its_ends() {
        for zone in TZ_VARIANTS {
            let table = Zone::of(zone);
            let mut segment = table.segment_at(0);
            while let Some(next) = table.following(&segment) {
                let length = next.end.saturating_sub(next.start);
                let shift = (next.offset - next.offset_before).abs() + (next.offset_after - next.offset).abs();
                assert!(length > 2 * shift, "{} at {}", zone.name(), next.start);
                segment = next;
            }
        }
    }

    #[test]
    fn the_rules_of_2099_hold_after_2099() {
        let paris = Zone::named("Europe/Paris").unwrap();
        // Sunday 2150-03-29 and Sunday 2150-10-25, 01:00 UTC.
        let spring = (civil::days(2150, 3) + 28) * DAY + 3_600;
        let autumn = (civil::days(2150, 10) + 24) * DAY + 3_600;
        assert_eq!(paris.segment_at(spring - 1).offset, 3_600);
        assert_eq!(paris.segment_at(spring).offset, 7_200);
        assert_eq!(paris.segment_at(autumn - 1).offset, 7_200);
        assert_eq!(paris.segment_at(autumn).offset, 3_600);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        assert!(Zone::named("europe/paris").unwrap_err().contains("did you mean \"Europe/Paris\"?"));
        assert!(Zone::named("Mars/Olympus").unwrap_err().contains("names look like"));
    }
}
