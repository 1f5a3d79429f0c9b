//! The duration of `@every`: numbers with units, `1m30s`.

use std::time::Duration;

/// Longest first where one begins another.
const UNITS: [(&str, u64); 7] = [
    ("ms", 1_000),
    ("us", 1),
    ("µs", 1),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
];

/// The error says how many bytes into `text` it is, and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Duration, (usize, String)> {
    let mut total: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err((0, "a duration is missing: @every 1m30s".into()));
    }
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_length);
        if number.is_empty() {
            return Err((at, format!("a number is due at {rest:?}: @every 1m30s")));
        }
        let Some(&(unit, size)) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)) else {
            return Err((at + number_length, "a unit is due: d, h, m, s, ms or us".into()));
        };
        let part = scaled(number, size)
            .ok_or_else(|| (at, format!("{number}{unit} is not a whole number of microseconds in range")))?;
        total = total.checked_add(part).ok_or_else(|| (at, "the duration is too long".into()))?;
        rest = &after[unit.len()..];
    }
    Ok(Duration::from_micros(total))
}

/// `number` (digits, at most one point) times `size`, if that is whole.
fn scaled(number: &str, size: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 12 || number.ends_with('.') {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(size)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(size);
    if !parts.is_multiple_of(scale) {
        return None;
    }
    whole.checked_add(u64::try_from(parts / scale).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_units_and_fractions() {
        for (text, micros) in [
            ("1m30s", 90_000_000),
            ("1.5h", 5_400_000_000),
            ("250ms", 250_000),
            ("2d", 172_800_000_000),
            ("1µs", 1),
            ("0.000001s", 1),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
        }
    }

    #[test]
    fn bad_durations_are_refused_where_they_go_wrong() {
        for (text, at) in [
            ("", 0),
            ("5", 1),
            ("5x", 1),
            ("m", 0),
            ("1m s", 2),
            ("1..5s", 0),
            (".5s", 0),
            ("0.1us", 0),
            ("1h99999999999999999999s", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().0, at, "{text}");
        }
    }
}
