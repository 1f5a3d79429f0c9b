//! What to write instead of a duration that is not proto3 JSON's: people write `5m`, JSON takes `"300s"`.

/// Advice for what was written.
pub(super) fn advice(written: &str) -> String {
    match seconds(written) {
        Some(seconds) => format!("durations are in seconds: write \"{seconds}s\""),
        None => "must be a duration in seconds, such as \"300s\"".to_owned(),
    }
}

/// The seconds in `1h30m`, `90`, `1.5m` or `250ms`.
fn seconds(written: &str) -> Option<String> {
    const UNITS: [(&str, u64); 6] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", 1_000)];
    let mut rest = written.trim();
    let mut millis = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (amount, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        millis += amount.parse::<f64>().ok()? * *length as f64;
        rest = tail;
    }
    let whole = millis.fract() == 0.0 && millis > 0.0 && millis < 1e15;
    whole.then(|| (millis / 1000.0).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_what_was_meant() {
        let cases = [
            ("5m", "durations are in seconds: write \"300s\""),
            ("1h30m", "durations are in seconds: write \"5400s\""),
            ("90", "durations are in seconds: write \"90s\""),
            ("1.5m", "durations are in seconds: write \"90s\""),
            ("250ms", "durations are in seconds: write \"0.25s\""),
            ("soon", "must be a duration in seconds, such as \"300s\""),
            ("", "must be a duration in seconds, such as \"300s\""),
        ];
        for (written, expected) in cases {
            assert_eq!(advice(written), expected, "{written:?}");
        }
    }
}
