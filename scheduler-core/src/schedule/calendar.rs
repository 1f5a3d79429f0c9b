//! Calendars: named sets of dates that have no fires.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::civil::{self, DAY};
use super::zone::{Civil, Utc, Zone};
use crate::Violations;

/// The most ranges that a calendar may list.
const MOST_DATES: usize = 10_000;

/// A definition: the dates, in their zone, on which schedules that name the calendar do not fire.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calendar {
    pub name: String,
    /// A name of the IANA time zone database; empty is UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    pub dates: Vec<DateRange>,
}

/// A day, 1970-01-01 to 9999-12-31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Days since 1970-01-01.
    number: i32,
}

/// Whole days, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateRange {
    pub first: Date,
    pub last: Date,
}

/// A calendar as schedules ask it: ascending ranges that neither overlap nor touch.
#[derive(Debug, PartialEq, Eq)]
pub struct Exclusion {
    name: String,
    zone: ZoneRef,
    ranges: Box<[DateRange]>,
}

#[derive(Clone, Copy, Debug)]
struct ZoneRef(&'static Zone);

impl PartialEq for ZoneRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for ZoneRef {}

impl Exclusion {
    /// The violations' paths start at the calendar's root.
    pub fn new(calendar: &Calendar) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let zone = Zone::named(&calendar.time_zone).unwrap_or_else(|description| {
            violations.add("time_zone", description);
            Zone::utc()
        });
        if calendar.dates.len() > MOST_DATES {
            violations.add("dates", format!("{} are above {MOST_DATES}, the most", calendar.dates.len()));
        }
        for (i, range) in calendar.dates.iter().enumerate() {
            if range.first > range.last {
                let DateRange { first, last } = range;
                violations.add(format!("dates[{i}]"), format!("{first} is after {last}; the earlier date comes first"));
            }
        }
        let exclusion =
            Self { name: calendar.name.clone(), zone: ZoneRef(zone), ranges: merged(calendar.dates.clone()).into() };
        violations.or(exclusion)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// If `time` is on an excluded date: a later second up to which all are excluded. It is where the dates
    /// end or the clocks change: those that go back over midnight bring an excluded date back.
    pub(super) fn excluded_until(&self, time: Utc) -> Option<Utc> {
        let segment = self.zone.0.segment_at(time);
        let range = self.range_at(time + segment.offset)?;
        Some(((i64::from(range.last.number) + 1) * DAY - segment.offset).min(segment.end))
    }

    /// If `time` is on an excluded date: a second not later since which all are excluded.
    pub(super) fn excluded_since(&self, time: Utc) -> Option<Utc> {
        let segment = self.zone.0.segment_at(time);
        let range = self.range_at(time + segment.offset)?;
        Some((i64::from(range.first.number) * DAY - segment.offset).max(segment.start))
    }

    fn range_at(&self, civil: Civil) -> Option<&DateRange> {
        let day = civil.div_euclid(DAY);
        let after = self.ranges.partition_point(|range| i64::from(range.first.number) <= day);
        let range = &self.ranges[after.checked_sub(1)?];
        (day <= i64::from(range.last.number)).then_some(range)
    }
}

fn merged(mut ranges: Vec<DateRange>) -> Vec<DateRange> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, range| {
        let joins = next.first.number <= range.last.number.saturating_add(1);
        if joins {
            range.last = range.last.max(next.last);
        }
        joins
    });
    ranges
}

impl Date {
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let possible = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=civil::days_in_month(i64::from(year), month)).contains(&day);
        let number = possible.then(|| civil::days(i64::from(year), month) + i64::from(day) - 1)?;
        Some(Self { number: i32::try_from(number).ok()? })
    }
}

impl From<Date> for DateRange {
    fn from(date: Date) -> Self {
        Self { first: date, last: date }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil::YearMonthDay { year, month, day } = civil::date(i64::from(self.number));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('-');
        let mut number = |width: usize| {
            let part = parts.next()?;
            (part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<u32>().ok())?
        };
        let (year, month, day) = (number(4), number(2), number(2));
        let date = match (year, month, day, parts.next()) {
            (Some(year), Some(month), Some(day), None) => {
                i32::try_from(year).ok().and_then(|year| Self::new(year, month, day))
            }
            _ => None,
        };
        date.ok_or_else(|| format!("{text:?} is not a date of 1970 to 9999; dates look like 2026-12-25"))
    }
}

/// A single date, or `first/last`.
impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.last == self.first { Ok(()) } else { write!(f, "/{}", self.last) }
    }
}

impl FromStr for DateRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((first, last)) => Ok(Self { first: first.parse()?, last: last.parse()? }),
            None => text.parse::<Date>().map(Self::from),
        }
    }
}

impl Serialize for DateRange {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DateRange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(time_zone: &str, dates: &[&str]) -> Calendar {
        let dates = dates.iter().map(|text| text.parse().unwrap()).collect();
        Calendar { name: "holidays".into(), time_zone: time_zone.into(), dates }
    }

    fn utc(text: &str) -> Utc {
        text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp()
    }

    #[test]
    fn a_date_is_excluded_by_the_clocks_of_its_zone() {
        let exclusion = Exclusion::new(&calendar("Asia/Kolkata", &["2026-12-25"])).unwrap();
        assert_eq!(exclusion.excluded_until(utc("2026-12-24T18:29:59Z")), None);
        let end = Some(utc("2026-12-25T18:30:00Z"));
        assert_eq!(exclusion.excluded_until(utc("2026-12-24T18:30:00Z")), end);
        assert_eq!(exclusion.excluded_until(utc("2026-12-25T18:29:59Z")), end);
        assert_eq!(exclusion.excluded_until(utc("2026-12-25T18:30:00Z")), None);
        assert_eq!(exclusion.excluded_since(utc("2026-12-25T18:29:59Z")), Some(utc("2026-12-24T18:30:00Z")));
    }

    #[test]
    fn ranges_that_touch_are_left_in_one_step() {
        let dates = ["2026-12-31/2027-01-02", "2026-12-24/2026-12-30", "2026-12-25"];
        let exclusion = Exclusion::new(&calendar("", &dates)).unwrap();
        assert_eq!(exclusion.excluded_until(utc("2026-12-24T00:00:00Z")), Some(utc("2027-01-03T00:00:00Z")));
    }

    #[test]
    fn a_date_that_begins_in_a_gap_begins_after_it() {
        let exclusion = Exclusion::new(&calendar("America/Sao_Paulo", &["2018-11-04"])).unwrap();
        assert_eq!(exclusion.excluded_until(utc("2018-11-04T02:59:59Z")), None);
        assert_eq!(exclusion.excluded_since(utc("2018-11-04T12:00:00Z")), Some(utc("2018-11-04T03:00:00Z")));
    }

    #[test]
    fn bad_dates_are_refused_by_name() {
        for text in ["2026-02-29", "1969-12-31", "2026-1-01", "26-01-01", "2026-01-01-", "", "2026-01-01/"] {
            assert!(text.parse::<DateRange>().is_err(), "{text}");
        }
        let reversed = Exclusion::new(&calendar("", &["2026-12-25/2026-12-24"])).unwrap_err();
        assert_eq!(reversed.0[0].field, "dates[0]");
        assert_eq!(Exclusion::new(&calendar("Nowhere", &[])).unwrap_err().0[0].field, "time_zone");
    }

    #[test]
    fn a_calendar_is_stored_as_it_is_written() {
        let stored = r#"{"name":"holidays","time_zone":"Europe/Paris","dates":["2026-12-24/2027-01-01","2027-05-01"]}"#;
        let calendar: Calendar = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&calendar).unwrap(), stored);
    }
}
