//! What a new leader reads, in one snapshot of the file. A row that cannot be read is told, and keeps nobody from
//! leading.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use scheduler_core::ids::{BackfillId, JobUid, RunId};
use scheduler_core::run::Attempt;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Snapshot, Unreadable, UnreadableRow};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{DELETED_JOB_EXPIRY, rows, sql};

pub(super) async fn snapshot(
    connection: &mut SqliteConnection,
    now: Timestamp,
    entered_since: Timestamp,
) -> sqlx::Result<Snapshot> {
    let expired_until = now.saturating_sub(DELETED_JOB_EXPIRY).as_micros();
    let calendars = sqlx::query(sql::LOAD_CALENDARS).fetch_all(&mut *connection).await?;
    let cordons = sqlx::query(sql::LOAD_CORDONS).fetch_all(&mut *connection).await?;
    let backfills = sqlx::query(sql::LOAD_BACKFILLS).fetch_all(&mut *connection).await?;
    let entered_from = RunId::at(entered_since, 0);
    let covered = sqlx::query(sql::LOAD_COVERED).bind(entered_from.0).fetch_all(&mut *connection).await?;
    let attempts = sqlx::query(sql::LOAD_UNENDED_ATTEMPTS).fetch_all(&mut *connection).await?;
    let runs = sqlx::query(sql::LOAD_UNENDED).fetch_all(&mut *connection).await?;
    let mut snapshot = Snapshot {
        last_change_seq: sqlx::query_scalar(sql::LAST_CHANGE_SEQ).fetch_one(&mut *connection).await?,
        cordons: cordons.iter().map(rows::cordon).collect::<sqlx::Result<_>>()?,
        ..Snapshot::default()
    };
    // One by one: together the rows would take more memory than all that is made of them.
    let mut jobs = sqlx::query(sql::LOAD_JOBS).bind(expired_until).fetch(connection);
    while let Some(row) = jobs.try_next().await? {
        read_job(&mut snapshot, &row);
    }
    read_calendars(&mut snapshot, &calendars);
    read_covered(&mut snapshot, &covered)?;
    read_backfills(&mut snapshot, &backfills);
    read_unended(&mut snapshot, &runs, &attempts);
    Ok(snapshot)
}

/// The same of one job.
pub(super) async fn job(
    connection: &mut SqliteConnection,
    uid: JobUid,
    entered_since: Timestamp,
) -> sqlx::Result<Snapshot> {
    let jobs = sqlx::query(sql::JOB_BY_UID).bind(uid.0).fetch_all(&mut *connection).await?;
    let entered_from = RunId::at(entered_since, 0);
    let covered = sqlx::query(sql::LOAD_COVERED_OF_JOB).bind(uid.0).bind(entered_from.0);
    let covered = covered.fetch_all(&mut *connection).await?;
    let attempts = sqlx::query(sql::LOAD_UNENDED_ATTEMPTS_OF_JOB).bind(uid.0).fetch_all(&mut *connection).await?;
    let runs = sqlx::query(sql::LOAD_UNENDED_OF_JOB).bind(uid.0).fetch_all(&mut *connection).await?;
    let backfills = sqlx::query(sql::LOAD_BACKFILLS).fetch_all(connection).await?;
    let mut snapshot = Snapshot::default();
    jobs.iter().for_each(|row| read_job(&mut snapshot, row));
    read_covered(&mut snapshot, &covered)?;
    read_backfills(&mut snapshot, &backfills);
    snapshot.backfills.retain(|backfill| backfill.job_uid == uid);
    read_unended(&mut snapshot, &runs, &attempts);
    Ok(snapshot)
}

fn read_job(snapshot: &mut Snapshot, row: &SqliteRow) {
    match rows::job(row) {
        Ok(job) => snapshot.jobs.push(job),
        Err(why) => snapshot.unreadable.push(unreadable(UnreadableRow::Job(name(row, "job_id")), &why)),
    }
}

fn read_calendars(snapshot: &mut Snapshot, calendars: &[SqliteRow]) {
    for row in calendars {
        match rows::calendar(row) {
            Ok(calendar) => snapshot.calendars.push(calendar),
            Err(why) => snapshot.unreadable.push(unreadable(UnreadableRow::Calendar(name(row, "calendar_id")), &why)),
        }
    }
}

fn read_backfills(snapshot: &mut Snapshot, backfills: &[SqliteRow]) {
    for row in backfills {
        match rows::backfill(row) {
            Ok(backfill) => snapshot.backfills.push(backfill),
            Err(why) => {
                let id = row.try_get("id").map_or_else(|_| "?".to_owned(), |id| BackfillId(id).to_string());
                snapshot.unreadable.push(unreadable(UnreadableRow::Backfill(id), &why));
            }
        }
    }
}

fn read_covered(snapshot: &mut Snapshot, covered: &[SqliteRow]) -> sqlx::Result<()> {
    for row in covered {
        snapshot.covered.push((JobUid(row.try_get("job_uid")?), Timestamp::from_micros(row.try_get("covered")?)));
    }
    Ok(())
}

/// A run is as good as its latest attempt.
fn read_unended(snapshot: &mut Snapshot, runs: &[SqliteRow], attempts: &[SqliteRow]) {
    let mut later = BTreeMap::<RunId, sqlx::Result<Attempt>>::new();
    for row in attempts {
        if let Ok(run) = row.try_get("run_id").map(RunId) {
            later.insert(run, rows::attempt(row).map(|(_, attempt)| attempt));
        }
    }
    for row in runs {
        let read = rows::run(row).and_then(|run| Ok((later.remove(&run.id).transpose()?, run)));
        match read {
            Ok((attempt, run)) => snapshot.unended.push((run, attempt)),
            Err(why) => {
                let run = row.try_get("id").ok().map(RunId);
                let job = row.try_get("job_uid").ok().map(JobUid);
                snapshot.unreadable.push(unreadable(UnreadableRow::Run { run, job }, &why));
            }
        }
    }
}

/// As people know it.
fn name(row: &SqliteRow, id: &str) -> String {
    let text = |column| row.try_get::<String, _>(column).unwrap_or_else(|_| "?".to_owned());
    format!("{}/{}", text("namespace"), text(id))
}

fn unreadable(row: UnreadableRow, why: &sqlx::Error) -> Unreadable {
    Unreadable { row, why: why.to_string() }
}
