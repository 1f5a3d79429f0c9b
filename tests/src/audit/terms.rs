//! In which leader's term each attempt was handed out.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use chrono::{DateTime, TimeDelta, Utc};

use super::verdict::Wrongs;
use crate::Run;

/// By how much the clocks of two nodes may differ.
const SKEW: TimeDelta = TimeDelta::milliseconds(100);

/// By epoch, when the latest of its attempts was handed out, and the run of that.
#[derive(Default)]
pub(super) struct Terms(BTreeMap<u64, (DateTime<Utc>, String)>);

impl Terms {
    pub(super) fn add(&mut self, run: &Run) {
        for attempt in &run.attempts {
            let latest = (attempt.create_time, run.run_id.clone());
            let known = self.0.entry(attempt.fencing_token() >> 20).or_insert_with(|| latest.clone());
            *known = latest.max(known.clone());
        }
    }

    /// An epoch is the ledger's clock when its term began: whatever an earlier leader has entered since, it has entered as
    /// a deposed one.
    pub(super) fn follow_each_other(&self, wrong: &mut Wrongs) {
        for (epoch, (latest, run)) in &self.0 {
            let next = self.0.range((Excluded(epoch), Unbounded)).next().map(|(next, _)| *next);
            let began = next.and_then(|next| DateTime::from_timestamp_millis(next.cast_signed()));
            let is_deposed = began.is_some_and(|began| *latest > began + SKEW);
            wrong.unless(!is_deposed, || format!("epoch {epoch} has handed out {run} at {latest}, after {began:?}"));
        }
    }
}
