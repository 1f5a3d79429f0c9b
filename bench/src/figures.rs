//! Figures and how they are written.

use std::time::Duration;

/// Microseconds by which something was late (negative: early), sorted.
pub(crate) struct Spread(Vec<i64>);

impl Spread {
    pub(crate) fn new(mut micros: Vec<i64>) -> Self {
        micros.sort_unstable();
        Self(micros)
    }

    /// The least value that `percent` of all do not exceed; none of none.
    pub(crate) fn percentile(&self, percent: usize) -> Option<i64> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied()
    }

    /// `p50 1.20 ms, p99 3.45 ms, max 7.00 ms`
    pub(crate) fn text(&self) -> String {
        let value = |percent| self.percentile(percent).map_or_else(|| "none".to_owned(), millis);
        format!("p50 {}, p99 {}, max {}", value(50), value(99), value(100))
    }
}

#[expect(clippy::cast_precision_loss, reason = "lateness is far below what a double tells apart")]
pub(crate) fn millis(micros: i64) -> String {
    format!("{:.2} ms", micros as f64 / 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs are far below what a double tells apart")]
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// A share of a whole that is not zero, in percent.
pub(crate) fn share(part: f64, whole: f64) -> String {
    format!("{:.0} %", 100.0 * part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let spread = Spread::new((1..=200).rev().collect());
        assert_eq!([1, 50, 99, 100].map(|percent| spread.percentile(percent)), [2, 100, 198, 200].map(Some));
        assert_eq!(Spread::new(vec![7]).text(), "p50 0.01 ms, p99 0.01 ms, max 0.01 ms");
    }

    #[test]
    fn nothing_measured_is_not_shown_as_zero() {
        assert_eq!(Spread::new(Vec::new()).text(), "p50 none, p99 none, max none");
    }
}
