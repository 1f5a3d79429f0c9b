//! The proleptic Gregorian calendar in integers: days since 1970-01-01, months and weekdays.
//!
//! Searches live in here, at a few nanoseconds a call; a date type would check on every step what the
//! searches know.

pub(super) const DAY: i64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01.
const MARCH_BASED_EPOCH: i64 = 719_468;
const DAYS_IN_400_YEARS: u32 = 146_097;

/// A date, its month from 1 and its day from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct YearMonthDay {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
}

/// The number of the first day of a month, of the years 1 to a million.
#[inline]
pub(super) fn days(year: i64, month: u32) -> i64 {
    // Years that begin in March have their leap day at the end.
    let march_year = year as u32 - u32::from(month <= 2);
    let march_month = if month <= 2 { month + 9 } else { month - 3 };
    let century = march_year / 100;
    let days = march_year * 365 + march_year / 4 - century + century / 4 + (153 * march_month + 2) / 5;
    i64::from(days) - MARCH_BASED_EPOCH
}

/// The number of a year's first day.
pub(super) fn days_of_year(year: i64) -> i64 {
    days(year, 1)
}

/// The date of a day between the years 1 and a million.
///
/// Quotients and remainders come from one multiplication each, after Neri and Schneider, "Euclidean affine
/// functions and their application to calendar algorithms" (2022).
#[inline]
pub(super) fn date(days: i64) -> YearMonthDay {
    /// 2^32 / 1461, rounded up: the upper half of a product is a quotient by 1461, the lower the remainder.
    const BY_FOUR_YEARS: u64 = 2_939_745;
    let quarters = 4 * (days + MARCH_BASED_EPOCH) as u32 + 3;
    let century = quarters / DAYS_IN_400_YEARS;
    let product = BY_FOUR_YEARS * u64::from((quarters % DAYS_IN_400_YEARS) | 3);
    let year_of_century = (product >> 32) as u32;
    let day_of_year = product as u32 / BY_FOUR_YEARS as u32 / 4;
    // 2141/65536 is a little more than 5/153, months from March on having 153 days in five.
    let months = 2_141 * day_of_year + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2_141 + 1);
    let next_year = u32::from(month > 12);
    YearMonthDay { year: i64::from(100 * century + year_of_century + next_year), month: month - 12 * next_year, day }
}

#[inline]
pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[inline]
fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Sunday is 0.
#[inline]
pub(super) fn weekday(days: i64) -> u32 {
    // 0000-03-01, the epoch that makes all numbers positive, was a Wednesday.
    ((days + MARCH_BASED_EPOCH) as u32 + 3) % 7
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn every_day_of_a_cycle_is_the_one_that_chrono_knows() {
        for number in days_of_year(1969)..days_of_year(2371) {
            let known = NaiveDate::from_epoch_days(i32::try_from(number).unwrap()).unwrap();
            let ours = date(number);
            assert_eq!((ours.year, ours.month, ours.day), (i64::from(known.year()), known.month(), known.day()));
            assert_eq!(weekday(number), known.weekday().num_days_from_sunday());
            assert_eq!(days(ours.year, ours.month) + i64::from(ours.day) - 1, number);
            assert_eq!(days_in_month(ours.year, ours.month), u32::from(known.num_days_in_month()));
        }
    }
}
