//! Instants and durations between the protos' grain (nanoseconds) and the core's (microseconds).

use std::time::Duration;

use prost_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};
use scheduler_core::time::{Skew, Timestamp};

/// 0001-01-01T00:00:00Z, the first instant that a `google.protobuf.Timestamp` may name.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// An instant, rounded down to the ledger's microseconds. The error says what is wrong.
pub fn instant(value: &ProtoTimestamp) -> Result<Timestamp, String> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&value.seconds) || !(0..NANOS_PER_SECOND).contains(&value.nanos) {
        return Err("is not an instant between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z".to_owned());
    }
    Ok(Timestamp::from_micros(value.seconds * 1_000_000 + i64::from(value.nanos) / 1_000))
}

pub fn proto_instant(value: Timestamp) -> ProtoTimestamp {
    let micros = value.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("because it is below a second");
    ProtoTimestamp { seconds: value.as_secs(), nanos }
}

/// A duration that is not negative, in whole microseconds. The error says what is wrong.
pub fn duration(value: &ProtoDuration) -> Result<Duration, String> {
    let same_sign = value.seconds.signum() * i64::from(value.nanos.signum()) >= 0;
    if !same_sign || value.nanos.unsigned_abs() >= NANOS_PER_SECOND.unsigned_abs() {
        return Err("is no duration: seconds and nanos must have the same sign, and nanos be below 10^9".to_owned());
    }
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(value.seconds), u32::try_from(value.nanos)) else {
        return Err("is negative".to_owned());
    };
    if !nanos.is_multiple_of(1_000) {
        return Err("is not a whole number of microseconds".to_owned());
    }
    Ok(Duration::new(seconds, nanos))
}

/// Durations of the core are bounded far below what the proto's can hold.
pub fn proto_duration(value: Duration) -> ProtoDuration {
    ProtoDuration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).expect("because it is below a second"),
    }
}

/// How far a clock is from the ledger's: less than zero when it is behind.
pub fn proto_skew(skew: Skew) -> ProtoDuration {
    let nanos = i32::try_from(skew.0 % 1_000_000 * 1_000).expect("because it is below a second");
    ProtoDuration { seconds: skew.0 / 1_000_000, nanos }
}

/// As JSON writes it: `90s`, `0.250s`.
pub(crate) fn in_words(value: Duration) -> String {
    let text = format!("{}.{:06}", value.as_secs(), value.subsec_micros());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_1970_are_rounded_down_and_come_back() {
        let early = ProtoTimestamp { seconds: -1, nanos: 999_999_999 };
        let instant = instant(&early).unwrap();
        assert_eq!(instant.as_micros(), -1);
        assert_eq!(proto_instant(instant), ProtoTimestamp { seconds: -1, nanos: 999_999_000 });
    }

    #[test]
    fn instants_that_no_calendar_has_are_refused() {
        for (seconds, nanos) in [(FIRST_SECOND - 1, 0), (LAST_SECOND + 1, 0), (0, -1), (0, NANOS_PER_SECOND)] {
            assert!(instant(&ProtoTimestamp { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
    }

    #[test]
    fn negative_malformed_and_too_fine_durations_are_refused() {
        for (seconds, nanos) in [(-1, 0), (0, -1_000), (1, -1_000), (-1, 1_000), (0, NANOS_PER_SECOND), (0, 1)] {
            assert!(duration(&ProtoDuration { seconds, nanos }).is_err(), "{seconds} {nanos}");
        }
        assert_eq!(duration(&ProtoDuration { seconds: 1, nanos: 5_000 }), Ok(Duration::from_micros(1_000_005)));
    }

    #[test]
    fn words_are_what_json_takes() {
        assert_eq!(in_words(Duration::from_secs(90)), "90s");
        assert_eq!(in_words(Duration::from_millis(250)), "0.25s");
        assert_eq!(in_words(Duration::ZERO), "0s");
    }
}
