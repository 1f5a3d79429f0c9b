//! Every instant of a job, and what the ledger's rows say became of it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::verdict::Wrongs;
use crate::Run;
use crate::load::{Job, Pause};

/// Every instant from the first one of `job` until `closed` is covered by exactly one row; `pauses` excepts those at which
/// it was paused. How many there were.
pub(super) fn account(
    job: &Job,
    history: &[Run],
    pauses: &[Pause],
    closed: DateTime<Utc>,
    wrong: &mut Wrongs,
) -> usize {
    let Some(every) = job.every else { return 0 };
    let covered = covered(job, every, history, wrong);
    let mut fires = 0;
    let mut instant = job.created + every;
    while instant <= closed {
        let found = covered.get(&instant);
        match expected(instant, pauses) {
            Expected::Once => {
                wrong.unless(found.is_some(), || format!("{}: nothing says what became of {instant}", job.id));
            }
            Expected::Never => {
                wrong.unless(found.is_none(), || format!("{}: was paused at {instant}: {found:?}", job.id));
            }
            Expected::AtMostOnce => {}
        }
        fires += 1;
        instant += every;
    }
    fires
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
fn covered<'r>(
    job: &Job,
    every: TimeDelta,
    history: &'r [Run],
    wrong: &mut Wrongs,
) -> BTreeMap<DateTime<Utc>, &'r Run> {
    let mut covered = BTreeMap::new();
    for run in history.iter().filter(|run| run.trigger == "SCHEDULE") {
        let mut instant = run.first();
        let since = instant - job.created;
        let is_one = since.num_microseconds().map(|us| us % (every.num_milliseconds() * 1_000)) == Some(0);
        wrong.unless(is_one, || format!("no instant of its job: {run:?}"));
        for _ in 0..run.coalesced_count {
            let other = covered.insert(instant, run);
            wrong.unless(other.is_none(), || format!("{}: {instant} is there twice:\n{other:?}\n{run:?}", job.id));
            instant += every;
        }
        let fits = instant == run.scheduled_time + every;
        wrong.unless(fits, || format!("the count is not that of the instants: {run:?}"));
    }
    covered
}
