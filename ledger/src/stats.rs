//! What a chart shows of many runs: how many ended how, how long they took, and how late they were.

use std::time::Duration;

use scheduler_core::run::RunState;
use scheduler_core::time::Timestamp;

/// Which runs are measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// `None`: all namespaces.
    pub namespace: Option<String>,
    /// All jobs of this id in the namespace, deleted ones too.
    pub job_id: Option<String>,
    /// Of `scheduled_time`, inclusive.
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
    /// Length of the parts that are counted each; `None`: no parts.
    pub bucket: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    pub counts: Vec<StateCount>,
    /// From first start to end.
    pub duration: Option<Quantiles>,
    /// From `not_before` to the first start.
    pub lateness: Option<Quantiles>,
    /// Ascending; parts without runs are left out.
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub start: Timestamp,
    pub counts: Vec<StateCount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    pub state: RunState,
    pub runs: u64,
    /// That the records stand for.
    pub fires: u64,
}

/// Values that so many of a hundred do not exceed: rounded up by a hundredth at most, but for the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Quantiles {
    /// Of values, ascending, with how often each occurs.
    pub(crate) fn of(values: &[(u64, u64)], max: Duration) -> Option<Self> {
        let total: u64 = values.iter().map(|(_, times)| times).sum();
        let quantile = |percent: u64| {
            let rank = (total * percent).div_ceil(100).max(1);
            let mut passed = 0;
            let reached = values.iter().find(|(_, times)| {
                passed += times;
                passed >= rank
            });
            reached.map_or(max, |(micros, _)| Duration::from_micros(*micros).min(max))
        };
        (total > 0).then(|| Self { p50: quantile(50), p95: quantile(95), p99: quantile(99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_least_value_that_so_many_do_not_exceed() {
        let values: Vec<(u64, u64)> = (1..=100).map(|value| (value * 10, 1)).collect();
        let micros = Duration::from_micros;
        let of = |values: &[(u64, u64)], max| Quantiles::of(values, micros(max));
        let expected = Quantiles { p50: micros(500), p95: micros(950), p99: micros(990), max: micros(999) };
        assert_eq!(of(&values, 999), Some(expected));
        let one = Quantiles { p50: micros(7), p95: micros(7), p99: micros(7), max: micros(7) };
        assert_eq!(of(&[(8, 1)], 7), Some(one), "never above the largest");
        assert_eq!(of(&[], 0), None);
    }
}
