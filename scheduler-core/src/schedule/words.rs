//! Small things in English: lists, times, durations, ordinals.

use std::time::Duration;

use super::civil::{self, DAY};
use super::zone::Civil;

/// `a`, `a and b`, `a, b and c`; `joint` is the last "and".
pub(super) fn list<T: AsRef<str>>(items: &[T], joint: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {joint} {}", first.join(", "), last.as_ref())
        }
    }
}

/// `02:30`, or `02:30:15` where there are seconds.
pub(super) fn time(second_of_day: i64) -> String {
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

/// `2026-03-29 02:30`
pub(super) fn civil(civil: Civil) -> String {
    let civil::YearMonthDay { year, month, day } = civil::date(civil.div_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02} {}", time(civil.rem_euclid(DAY)))
}

/// `1 minute 30 seconds`
pub fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    let units = [
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1_000),
        ("microsecond", 1),
    ];
    let mut rest = micros;
    let mut parts = Vec::new();
    for (name, size) in units {
        if let count @ 1.. = rest / size {
            parts.push(counted(count, name));
        }
        rest %= size;
    }
    if parts.is_empty() { "0 seconds".into() } else { parts.join(" ") }
}

/// A period: `second`, `90 seconds` as `1 minute 30 seconds`, so that "every" can stand before it.
pub(super) fn period(period: Duration) -> String {
    let words = duration(period);
    match words.strip_prefix("1 ") {
        Some(unit) if !unit.contains(' ') => unit.to_owned(),
        _ => words,
    }
}

pub(super) fn counted(count: u128, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

pub(super) fn ordinal(n: u32) -> &'static str {
    match n {
        1 => "first",
        2 => "second",
        3 => "third",
        4 => "fourth",
        _ => "fifth",
    }
}

/// `every other`, `every third`, `every 4th`.
pub(super) fn every_nth(n: u32) -> String {
    match n {
        2 => "every other".into(),
        3 => "every third".into(),
        // Steps of three or more values in a field of 31 stay below 21st, 22nd and 23rd.
        _ => format!("every {n}th"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_lists_read_like_english() {
        assert_eq!(duration(Duration::from_secs(90)), "1 minute 30 seconds");
        assert_eq!(duration(Duration::from_millis(86_400_250)), "1 day 250 milliseconds");
        assert_eq!(duration(Duration::ZERO), "0 seconds");
        assert_eq!(period(Duration::from_secs(60)), "minute");
        assert_eq!(period(Duration::from_secs(61)), "1 minute 1 second");
        assert_eq!(list(&["a", "b", "c"], "and"), "a, b and c");
        assert_eq!(list(&["a", "b"], "or"), "a or b");
        assert_eq!(civil(1_774_751_400), "2026-03-29 02:30");
    }
}
