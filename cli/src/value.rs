//! Values of flags, read so that a wrong one is a usage error that says what would be right.

use chrono::DateTime;
use prost_types::{Duration, Struct, Timestamp};
use punctual_proto::v1::job;
use punctual_proto::v1::schedule::dst;

use crate::{clock, definition};

/// `5m`, `1h30m`, `90s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 5m or 1h30m"))?;
    Duration::try_from(duration).map_err(|error| error.to_string())
}

/// `2026-01-01T00:00:00Z`, or with another offset.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    let instant = DateTime::parse_from_rfc3339(text).map_err(|error| format!("{error}; write 2026-01-01T00:00:00Z"))?;
    let nanos = i32::try_from(instant.timestamp_subsec_nanos()).map_err(|error| error.to_string())?;
    Ok(Timestamp { seconds: instant.timestamp(), nanos })
}

/// An instant, or how long ago: `2026-01-01T00:00:00Z`, `2h`, `30d`.
pub(crate) fn past(text: &str) -> Result<Timestamp, String> {
    let Ok(ago) = humantime::parse_duration(text) else {
        return instant(text).map_err(|error| format!("{error}, or how long ago: 2h, 30d"));
    };
    let instant = chrono::TimeDelta::from_std(ago).ok().and_then(|ago| clock::now().checked_sub_signed(ago));
    let instant = instant.ok_or("that is too long ago")?;
    Ok(Timestamp { seconds: instant.timestamp(), nanos: 0 })
}

/// The instant so long from now: `12h`, `90d`.
pub(crate) fn ahead(text: &str) -> Result<Timestamp, String> {
    let ahead = humantime::parse_duration(text).map_err(|error| format!("{error}; write 12h or 90d"))?;
    let instant = chrono::TimeDelta::from_std(ahead).ok().and_then(|ahead| clock::now().checked_add_signed(ahead));
    let instant = instant.ok_or("that is too long")?;
    Ok(Timestamp { seconds: instant.timestamp(), nanos: 0 })
}

/// For a civil time that does not exist: `next-valid`, `SKIP`.
pub(crate) fn gap(text: &str) -> Result<dst::Gap, String> {
    name(&text.replace('-', "_"), dst::Gap::from_str_name, &["NEXT_VALID", "SKIP"])
}

/// For a civil time that occurs twice: `first`, `LAST`, `BOTH`.
pub(crate) fn overlap(text: &str) -> Result<dst::Overlap, String> {
    name(text, dst::Overlap::from_str_name, &["FIRST", "LAST", "BOTH"])
}

/// For a fire that finds all of its job's slots taken: `skip`, `QUEUE`, `cancel-running`.
pub(crate) fn overlap_policy(text: &str) -> Result<job::OverlapPolicy, String> {
    name(&text.replace('-', "_"), job::OverlapPolicy::from_str_name, &["SKIP", "QUEUE", "CANCEL_RUNNING"])
}

/// `key=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write key=value".to_owned()),
    }
}

/// A JSON object.
pub(crate) fn payload(text: &str) -> Result<Struct, String> {
    definition::payload(text)
}

/// The name of an enum's value, in any case.
pub(crate) fn name<T>(text: &str, from_name: fn(&str) -> Option<T>, all: &[&str]) -> Result<T, String> {
    let upper = text.to_ascii_uppercase();
    match from_name(&upper) {
        Some(value) if all.contains(&upper.as_str()) => Ok(value),
        _ => Err(format!("write one of {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(duration("1h30m").unwrap(), Duration { seconds: 5_400, nanos: 0 });
        assert_eq!(duration("250ms").unwrap(), Duration { seconds: 0, nanos: 250_000_000 });
        assert!(duration("90").unwrap_err().contains("write 90s"));
    }

    #[test]
    fn an_instant_with_an_offset_is_the_same_in_utc() {
        assert_eq!(instant("2026-01-01T01:00:00+01:00").unwrap(), instant("2026-01-01T00:00:00Z").unwrap());
        assert!(instant("tomorrow").unwrap_err().contains("write 2026-"));
    }

    #[test]
    fn a_past_instant_may_be_said_by_how_long_ago_it_is() {
        let (hour, now) = (past("1h").unwrap().seconds, clock::now().timestamp());
        assert!((now - 3_601..=now - 3_599).contains(&hour));
        assert_eq!(past("2026-01-01T00:00:00Z"), instant("2026-01-01T00:00:00Z"));
        assert!(past("yesterday").unwrap_err().contains("30d"));
    }

    #[test]
    fn a_label_may_hold_further_equals_signs() {
        assert_eq!(label("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert!(label("=x").is_err());
    }
}
