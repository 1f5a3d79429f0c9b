//! The days of an expression: which days of a month match its day, month, weekday and year fields.

use super::unit::{FIRST_YEAR, LAST_YEAR};
use super::values::Values;
use crate::schedule::civil::{self, YearMonthDay};

/// A search gives up when it has seen one Gregorian cycle: every month then repeats.
const CYCLE_YEARS: i64 = 400;
/// Day 1 to day 31 as bits.
const ALL_DAYS: u32 = u32::MAX << 1;
const ALL_MONTHS: u16 = 0x1ffe;
const ALL_WEEKDAYS: u8 = 0x7f;
/// A bit for the same weekday in each of six weeks.
const WEEKLY: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28 | 1 << 35;
const SUNDAY: u32 = 0;
const SATURDAY: u32 = 6;

/// The fields that have to do with days, as compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct DayFields {
    /// Bit d is day d.
    pub(in super::super) of_month: u32,
    /// Bit d is `dW`, the weekday nearest to day d within its month.
    pub(in super::super) nearest: u32,
    /// `L`
    pub(in super::super) last: bool,
    /// `LW`
    pub(in super::super) last_weekday: bool,
    /// Bit d is weekday d, Sunday 0.
    pub(in super::super) weekdays: u8,
    /// `d#n`: bit d of the element n − 1.
    pub(in super::super) nth: [u8; 5],
    /// `dL`: bit d.
    pub(in super::super) last_of: u8,
    /// Bit m is month m.
    pub(in super::super) months: u16,
    pub(in super::super) combine: Combine,
    /// None is every year.
    pub(in super::super) years: Option<Box<Values>>,
}

/// How the two day fields go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Combine {
    Either,
    Both,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Days {
    pub(in super::super) fields: DayFields,
    /// The weekdays, where these alone decide: most expressions need no look at the month.
    plain: Option<u8>,
    /// No form that depends on the month's length or where a weekday lies in it.
    simple: bool,
}

impl DayFields {
    pub(in super::super) fn every_day_of_month(&self) -> bool {
        self.of_month == ALL_DAYS
    }

    pub(in super::super) fn every_weekday(&self) -> bool {
        self.weekdays == ALL_WEEKDAYS
    }

    pub(in super::super) fn every_month(&self) -> bool {
        self.months == ALL_MONTHS
    }

    fn plain_weekdays(&self) -> Option<u8> {
        if !self.every_month() || self.years.is_some() {
            return None;
        }
        match self.combine {
            Combine::Either => (self.every_day_of_month() || self.every_weekday()).then_some(ALL_WEEKDAYS),
            Combine::Both if !self.every_day_of_month() => None,
            Combine::Both if self.every_weekday() => Some(ALL_WEEKDAYS),
            Combine::Both => (!self.has_weekdays_of_month()).then_some(self.weekdays),
        }
    }

    /// `d#n` or `dL`
    fn has_weekdays_of_month(&self) -> bool {
        self.nth != [0; 5] || self.last_of != 0
    }
}

impl Days {
    pub(super) fn new(fields: DayFields) -> Self {
        let plain = fields.plain_weekdays();
        let simple = fields.nearest == 0 && !fields.last && !fields.last_weekday && !fields.has_weekdays_of_month();
        Self { fields, plain, simple }
    }

    /// Whether any day of any year matches.
    pub(super) fn has_any(&self) -> bool {
        self.next(civil::days_of_year(i64::from(FIRST_YEAR))).is_some()
    }

    /// The last year named, if any is.
    pub(super) fn last_year(&self) -> Option<i64> {
        self.fields.years.as_ref().and_then(|_| self.prev_year(i64::from(LAST_YEAR)))
    }

    /// The first matching day that is not before `from`.
    #[inline]
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let Some(weekdays) = self.plain else { return self.next_by_month(from) };
        let ahead = u32::from(weekdays) << 7 | u32::from(weekdays);
        Some(from + i64::from((ahead >> civil::weekday(from)).trailing_zeros()))
    }

    fn next_by_month(&self, from: i64) -> Option<i64> {
        let YearMonthDay { mut year, mut month, day } = civil::date(from);
        let mut earliest = day;
        let give_up = year + CYCLE_YEARS;
        loop {
            let possible = self.next_year(year).filter(|&possible| possible <= give_up)?;
            if possible > year {
                (year, month, earliest) = (possible, 1, 1);
            }
            let months = u32::from(self.fields.months) & (u32::MAX << month);
            if months == 0 {
                (year, month, earliest) = (year + 1, 1, 1);
                continue;
            }
            if months.trailing_zeros() > month {
                (month, earliest) = (months.trailing_zeros(), 1);
            }
            let first = civil::days(year, month);
            let days = self.in_month(year, month, first) & (u32::MAX << earliest);
            if days != 0 {
                return Some(first + i64::from(days.trailing_zeros()) - 1);
            }
            (month, earliest) = (month + 1, 1);
        }
    }

    /// The last matching day that is not after `from`.
    pub(super) fn prev(&self, from: i64) -> Option<i64> {
        let Some(weekdays) = self.plain else { return self.prev_by_month(from) };
        // The week of `from` in the upper seven bits, the week before in the lower.
        let today = civil::weekday(from) + 7;
        let behind = (u32::from(weekdays) << 7 | u32::from(weekdays)) & ((2 << today) - 1);
        Some(from - i64::from(today - (31 - behind.leading_zeros())))
    }

    fn prev_by_month(&self, from: i64) -> Option<i64> {
        let YearMonthDay { mut year, mut month, day } = civil::date(from);
        let mut latest = day;
        let give_up = (year - CYCLE_YEARS).max(i64::from(FIRST_YEAR) - 1);
        loop {
            let possible = self.prev_year(year).filter(|&possible| possible >= give_up)?;
            if possible < year {
                (year, month, latest) = (possible, 12, 31);
            }
            let months = u32::from(self.fields.months) & ((2 << month) - 1);
            if months == 0 {
                (year, month, latest) = (year - 1, 12, 31);
                continue;
            }
            let highest = 31 - months.leading_zeros();
            if highest < month {
                (month, latest) = (highest, 31);
            }
            let first = civil::days(year, month);
            let days = self.in_month(year, month, first) & (u32::MAX >> (31 - latest));
            if days != 0 {
                return Some(first + i64::from(31 - days.leading_zeros()) - 1);
            }
            (month, latest) = (month - 1, 31);
        }
    }

    /// How many matching days there are in `from..to`.
    pub(super) fn count(&self, from: i64, to: i64) -> u64 {
        let mut count = 0;
        let mut day = from;
        while day < to {
            let YearMonthDay { year, month, day: of_month } = civil::date(day);
            let first = day - i64::from(of_month) + 1;
            let after = first + i64::from(civil::days_in_month(year, month));
            if self.fields.months >> month & 1 == 1 && self.has_year(year) {
                let mut days = self.in_month(year, month, first) & (u32::MAX << of_month);
                if after > to {
                    days &= (1 << (to - first + 1)) - 1;
                }
                count += u64::from(days.count_ones());
            }
            day = after;
        }
        count
    }

    fn has_year(&self, year: i64) -> bool {
        self.fields.years.is_none() || self.next_year(year) == Some(year)
    }

    fn next_year(&self, year: i64) -> Option<i64> {
        let Some(years) = &self.fields.years else { return Some(year) };
        let index = u32::try_from((year - i64::from(FIRST_YEAR)).max(0)).ok()?;
        years.next(index).map(|index| i64::from(index + FIRST_YEAR))
    }

    fn prev_year(&self, year: i64) -> Option<i64> {
        let Some(years) = &self.fields.years else { return Some(year) };
        let index = u32::try_from(year.min(i64::from(LAST_YEAR)) - i64::from(FIRST_YEAR)).ok()?;
        years.prev(index).map(|index| i64::from(index + FIRST_YEAR))
    }

    /// The matching days of a month that begins with day number `first`: bit d is day d.
    #[inline]
    fn in_month(&self, year: i64, month: u32, first: i64) -> u32 {
        let month = Month { length: civil::days_in_month(year, month), starts_on: civil::weekday(first) };
        let (by_day, by_weekday) = if self.simple {
            (self.fields.of_month, month.on(self.fields.weekdays))
        } else {
            (self.by_day_of_month(month), self.by_weekday(month))
        };
        let days = match self.fields.combine {
            Combine::Either => by_day | by_weekday,
            Combine::Both => by_day & by_weekday,
        };
        days & month.days()
    }

    fn by_day_of_month(&self, month: Month) -> u32 {
        let mut days = self.fields.of_month;
        if self.fields.last {
            days |= 1 << month.length;
        }
        if self.fields.last_weekday {
            days |= 1 << month.nearest_weekday(month.length);
        }
        let mut nearest = self.fields.nearest & month.days();
        while nearest != 0 {
            days |= 1 << month.nearest_weekday(nearest.trailing_zeros());
            nearest &= nearest - 1;
        }
        days
    }

    fn by_weekday(&self, month: Month) -> u32 {
        let mut days = month.on(self.fields.weekdays);
        for (week, &weekdays) in self.fields.nth.iter().enumerate() {
            days |= month.on(weekdays) & (0xfe << (7 * week));
        }
        days | month.on(self.fields.last_of) & (u32::MAX << (month.length - 6))
    }
}

#[derive(Clone, Copy)]
struct Month {
    length: u32,
    /// The weekday of day 1.
    starts_on: u32,
}

impl Month {
    #[inline]
    fn days(self) -> u32 {
        (u32::MAX >> (31 - self.length)) & ALL_DAYS
    }

    /// The days that are on one of `weekdays`; bits above the month's length may be set too.
    #[inline]
    fn on(self, weekdays: u8) -> u32 {
        let from_first = (u64::from(weekdays) * WEEKLY) >> self.starts_on;
        (from_first << 1) as u32
    }

    /// The day from Monday to Friday that is nearest to `day` without leaving the month.
    fn nearest_weekday(self, day: u32) -> u32 {
        match (self.starts_on + day - 1) % 7 {
            SATURDAY if day == 1 => 3,
            SATURDAY => day - 1,
            SUNDAY if day == self.length => day - 2,
            SUNDAY => day + 1,
            _ => day,
        }
    }
}
