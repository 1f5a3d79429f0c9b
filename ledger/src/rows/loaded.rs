//! What a new leader reads, from rows to a snapshot. A row that cannot be read is told, and keeps nobody from leading.

use std::collections::BTreeMap;

use scheduler_core::ids::{BackfillId, JobUid, RunId};
use scheduler_core::run::Attempt;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Changes, Since, Snapshot, Tally, Unreadable, UnreadableRow};

use super::{Columns, attempt, backfill, calendar, count, counts, id, job, run};

pub(crate) fn read_job(snapshot: &mut Snapshot, row: &impl Columns) {
    match job(row) {
        Ok(job) => snapshot.jobs.push(job),
        Err(why) => snapshot.unreadable.push(unreadable(UnreadableRow::Job(name(row, "job_id")), &why)),
    }
}

pub(crate) fn changes(jobs: &[impl Columns], most: u32, calendars: &[impl Columns]) -> Changes {
    let mut read = Snapshot::default();
    jobs.iter().for_each(|row| read_job(&mut read, row));
    read_calendars(&mut read, calendars);
    let Snapshot { jobs: readable, calendars, unreadable, .. } = read;
    Changes { jobs: readable, calendars, more: jobs.len() == most as usize, unreadable }
}

pub(crate) fn since(counted: &[impl Columns], tally: &impl Columns, expired_until: Timestamp) -> sqlx::Result<Since> {
    let counts = counted.iter().map(|row| Ok((id(row, "uid", JobUid)?, counts(row)?))).collect::<sqlx::Result<_>>()?;
    let tally = Tally { jobs: count(tally, "jobs")?, changes: tally.get("changes")? };
    Ok(Since { counts, tally, expired_until })
}

pub(crate) fn read_calendars(snapshot: &mut Snapshot, calendars: &[impl Columns]) {
    for row in calendars {
        match calendar(row) {
            Ok(calendar) => snapshot.calendars.push(calendar),
            Err(why) => snapshot.unreadable.push(unreadable(UnreadableRow::Calendar(name(row, "calendar_id")), &why)),
        }
    }
}

pub(crate) fn read_backfills(snapshot: &mut Snapshot, backfills: &[impl Columns]) {
    for row in backfills {
        match backfill(row) {
            Ok(backfill) => snapshot.backfills.push(backfill),
            Err(why) => {
                let id = row.get("id").map_or_else(|_| "?".to_owned(), |id| BackfillId(id).to_string());
                snapshot.unreadable.push(unreadable(UnreadableRow::Backfill(id), &why));
            }
        }
    }
}

pub(crate) fn read_covered(snapshot: &mut Snapshot, covered: &[impl Columns]) -> sqlx::Result<()> {
    for row in covered {
        snapshot.covered.push((JobUid(row.get("job_uid")?), Timestamp::from_micros(row.get("covered")?)));
    }
    Ok(())
}

/// A run is as good as its latest attempt.
pub(crate) fn read_unended(snapshot: &mut Snapshot, runs: &[impl Columns], attempts: &[impl Columns]) {
    let mut later = BTreeMap::<RunId, sqlx::Result<Attempt>>::new();
    for row in attempts {
        if let Ok(run) = row.get("run_id").map(RunId) {
            later.insert(run, attempt(row).map(|(_, attempt)| attempt));
        }
    }
    for row in runs {
        let read = run(row).and_then(|run| Ok((later.remove(&run.id).transpose()?, run)));
        match read {
            Ok((attempt, run)) => snapshot.unended.push((run, attempt)),
            Err(why) => {
                let run = row.get("id").ok().map(RunId);
                let job = row.get("job_uid").ok().map(JobUid);
                snapshot.unreadable.push(unreadable(UnreadableRow::Run { run, job }, &why));
            }
        }
    }
}

/// As people know it.
fn name(row: &impl Columns, id: &str) -> String {
    let text = |column| row.get::<String>(column).unwrap_or_else(|_| "?".to_owned());
    format!("{}/{}", text("namespace"), text(id))
}

fn unreadable(row: UnreadableRow, why: &sqlx::Error) -> Unreadable {
    Unreadable { row, why: why.to_string() }
}
