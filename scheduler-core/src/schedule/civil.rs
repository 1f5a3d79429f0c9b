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
#[inline]
pub(super) fn date(days: i64) -> YearMonthDay {
    let days = (days + MARCH_BASED_EPOCH) as u32;
    let cycle = days / DAYS_IN_400_YEARS;
    let day_of_cycle = days % DAYS_IN_400_YEARS;
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    YearMonthDay { year: i64::from(cycle * 400 + year_of_cycle + u32::from(month <= 2)), month, day }
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
