//! Times and durations in words.

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::{Duration, Timestamp};

const NONE: &str = "-";

pub(super) fn instant(timestamp: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)
}

/// `3 s ago`, `in 5 min`.
pub(crate) fn relative(timestamp: Option<&Timestamp>, now: DateTime<Utc>) -> String {
    let Some(instant) = timestamp.and_then(instant) else { return NONE.to_owned() };
    let passed = now - instant;
    let (count, unit) = largest_unit(passed.abs());
    match count {
        0 => "now".to_owned(),
        _ if passed > TimeDelta::zero() => format!("{count} {unit} ago"),
        _ => format!("in {count} {unit}"),
    }
}

fn largest_unit(delta: TimeDelta) -> (i64, &'static str) {
    match delta.num_seconds() {
        seconds @ ..120 => (seconds, "s"),
        seconds @ ..7_200 => (seconds / 60, "min"),
        seconds @ ..172_800 => (seconds / 3_600, "h"),
        seconds => (seconds / 86_400, "d"),
    }
}

/// `2026-01-01T00:00:00Z (3 s ago)`.
pub(super) fn absolute(timestamp: Option<&Timestamp>, now: DateTime<Utc>) -> String {
    match timestamp {
        Some(timestamp) => format!("{timestamp} ({})", relative(Some(timestamp), now)),
        None => NONE.to_owned(),
    }
}

/// The time from `start` to `end`, or to `now` when it has not ended: `120 ms`, `1.2 s`, `2 min 5 s`.
pub(super) fn took(start: Option<&Timestamp>, end: Option<&Timestamp>, now: DateTime<Utc>) -> String {
    let Some(start) = start.and_then(instant) else { return NONE.to_owned() };
    span((end.and_then(instant).unwrap_or(now) - start).num_milliseconds().max(0))
}

/// A measured time: `859 µs`, `12.3 ms`, `1.2 s`.
pub(super) fn measured(duration: &Duration) -> String {
    let micros = i64::from(duration.nanos) / 1_000;
    match (duration.seconds, micros) {
        (0, ..1_000) => format!("{micros} µs"),
        (0, _) => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        (seconds, micros) => span(seconds.saturating_mul(1_000) + micros / 1_000),
    }
}

fn span(millis: i64) -> String {
    let seconds = millis / 1_000;
    match millis {
        ..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{seconds}.{} s", millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000.. => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `1h 30m`, `250ms`.
pub(super) fn duration(duration: &Duration) -> String {
    match std::time::Duration::try_from(*duration) {
        Ok(duration) => humantime::format_duration(duration).to_string(),
        Err(_) => duration.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64, millis: i32) -> Timestamp {
        Timestamp { seconds: NOW + seconds, nanos: millis * 1_000_000 }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).unwrap()
    }

    #[test]
    fn distances_in_time_have_the_unit_that_people_would_use() {
        let said = |seconds| relative(Some(&at(seconds, 0)), now());
        assert_eq!([said(0), said(-3), said(5)], ["now", "3 s ago", "in 5 s"]);
        assert_eq!([said(-119), said(-120), said(7_199)], ["119 s ago", "2 min ago", "in 119 min"]);
        assert_eq!([said(-7_200), said(172_800)], ["2 h ago", "in 2 d"]);
        assert_eq!(relative(None, now()), "-");
    }

    #[test]
    fn how_long_it_took_needs_a_start_but_no_end() {
        assert_eq!(took(Some(&at(-10, 0)), Some(&at(-10, 120)), now()), "120 ms");
        assert_eq!(took(Some(&at(-10, 0)), Some(&at(-9, 250)), now()), "1.2 s");
        assert_eq!(took(Some(&at(-125, 0)), None, now()), "2 min 5 s");
        assert_eq!(took(Some(&at(-3_700, 0)), None, now()), "1 h 1 min");
        assert_eq!(took(None, None, now()), "-");
    }

    #[test]
    fn what_was_measured_has_no_more_digits_than_anybody_reads() {
        let said = |seconds, nanos| measured(&Duration { seconds, nanos });
        assert_eq!([said(0, 0), said(0, 859_000), said(0, 12_345_678)], ["0 µs", "859 µs", "12.3 ms"]);
        assert_eq!([said(4, 196_882_000), said(125, 0)], ["4.1 s", "2 min 5 s"]);
    }

    #[test]
    fn durations_are_said_as_flags_take_them() {
        assert_eq!(duration(&Duration { seconds: 5_400, nanos: 0 }), "1h 30m");
        assert_eq!(duration(&Duration { seconds: 0, nanos: 250_000_000 }), "250ms");
    }
}
