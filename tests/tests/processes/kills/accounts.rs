//! Every instant of a job, and what the ledger's rows say became of it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_tests::Run;

use super::clients::Pause;
use super::load::Job;

/// Every instant from the first one of `job` until `closed` is covered by exactly one row; `pauses` excepts those at which
/// it was paused.
#[track_caller]
pub(super) fn assert_accounted(job: &Job, history: &[Run], pauses: &[Pause], closed: DateTime<Utc>) {
    let Some(every) = job.every else { return };
    let covered = covered(job, every, history);
    let mut instant = job.created + every;
    while instant <= closed {
        let found = covered.get(&instant);
        match expected(instant, pauses) {
            Expected::Once => assert!(found.is_some(), "{}: nothing says what became of {instant}", job.id),
            Expected::Never => assert!(found.is_none(), "{}: was paused at {instant}: {found:?}", job.id),
            Expected::AtMostOnce => {}
        }
        instant += every;
    }
}

enum Expected {
    Once,
    /// It was, or was not yet, paused: the answer came later.
    AtMostOnce,
    Never,
}

fn expected(instant: DateTime<Utc>, pauses: &[Pause]) -> Expected {
    let around = pauses.iter().find(|pause| pause.pause.since <= instant && instant <= pause.resume.answered);
    match around {
        None => Expected::Once,
        Some(pause) if pause.catch_up => Expected::Once,
        Some(pause) if pause.pause.answered < instant && instant < pause.resume.since => Expected::Never,
        Some(_) => Expected::AtMostOnce,
    }
}

/// The row of each instant; none has two, and each row has as many as it counts, the first and the last included.
#[track_caller]
fn covered<'r>(job: &Job, every: TimeDelta, history: &'r [Run]) -> BTreeMap<DateTime<Utc>, &'r Run> {
    let mut covered = BTreeMap::new();
    for run in history.iter().filter(|run| run.trigger == "SCHEDULE") {
        let mut instant = run.first();
        let since = instant - job.created;
        assert_eq!(since.num_microseconds().map(|us| us % (every.num_milliseconds() * 1_000)), Some(0), "{run:?}");
        for _ in 0..run.coalesced_count {
            let other = covered.insert(instant, run);
            assert!(other.is_none(), "{}: {instant} is there twice:\n{other:?}\n{run:?}", job.id);
            instant += every;
        }
        assert_eq!(instant, run.scheduled_time + every, "the count is not that of the instants: {run:?}");
    }
    covered
}
