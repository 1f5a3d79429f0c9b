//! Counts and measures in the making: the database groups, so that no run is read one by one, and what it found along
//! several indexes is put together here.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use scheduler_core::run::RunState;
use scheduler_core::time::micros;

use crate::rows::{self, Columns};
use crate::stats::{Bucket, Quantiles, Span, StateCount, Stats};

/// SQL for a value `v` in microseconds, above 1,000 rounded up to three digits: few groups, whatever is measured.
pub(crate) static ROUNDED: LazyLock<String> = LazyLock::new(|| {
    let steps = (1..=13).map(|power| 10_i64.pow(power));
    let cases = steps.map(|step| format!(" WHEN v < {} THEN (v + {}) / {step} * {step}", step * 1_000, step - 1));
    format!("CASE WHEN v < 1000 THEN v{} ELSE v END", cases.collect::<String>())
});

#[derive(Default)]
pub(crate) struct Tally {
    counts: BTreeMap<i64, Vec<StateCount>>,
    pub(crate) duration: Measured,
    pub(crate) lateness: Measured,
}

#[derive(Default)]
pub(crate) struct Measured {
    values: BTreeMap<u64, u64>,
    max: u64,
}

impl Tally {
    /// A row of `part`, `state`, `runs` and `fires`.
    pub(crate) fn count(&mut self, row: &impl Columns) -> sqlx::Result<()> {
        let (runs, fires): (i64, i64) = (row.get("runs")?, row.get("fires")?);
        let count = StateCount { state: rows::run_state(row)?, runs: runs.unsigned_abs(), fires: fires.unsigned_abs() };
        add(self.counts.entry(row.get("part")?).or_default(), count);
        Ok(())
    }

    pub(crate) fn stats(self, span: &Span) -> Stats {
        let part_length = span.bucket.map_or(0, micros);
        let start_of = |part: i64| {
            span.start.saturating_add(Duration::from_micros(part.unsigned_abs() * part_length.unsigned_abs()))
        };
        let mut counts = Vec::new();
        for part in self.counts.values().flatten() {
            add(&mut counts, *part);
        }
        let buckets = self.counts.into_iter().map(|(part, counts)| Bucket { start: start_of(part), counts });
        Stats {
            counts,
            duration: self.duration.quantiles(),
            lateness: self.lateness.quantiles(),
            buckets: if span.bucket.is_some() { buckets.collect() } else { Vec::new() },
        }
    }
}

impl Measured {
    /// A row of `value`, `times` and the `largest` that was rounded to it.
    pub(crate) fn measure(&mut self, row: &impl Columns) -> sqlx::Result<()> {
        let (value, times, max): (i64, i64, i64) = (row.get("value")?, row.get("times")?, row.get("largest")?);
        *self.values.entry(value.unsigned_abs()).or_default() += times.unsigned_abs();
        self.max = self.max.max(max.unsigned_abs());
        Ok(())
    }

    fn quantiles(self) -> Option<Quantiles> {
        Quantiles::of(&self.values.into_iter().collect::<Vec<_>>(), Duration::from_micros(self.max))
    }
}

/// In the order of the states.
fn add(counts: &mut Vec<StateCount>, count: StateCount) {
    let place = |state: RunState| RunState::ALL.iter().position(|other| *other == state);
    match counts.binary_search_by_key(&place(count.state), |count| place(count.state)) {
        Ok(found) => {
            counts[found].runs += count.runs;
            counts[found].fires += count.fires;
        }
        Err(gap) => counts.insert(gap, count),
    }
}
