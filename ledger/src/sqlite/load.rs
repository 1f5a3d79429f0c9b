//! What a new leader reads, in one snapshot of the file.

use futures::TryStreamExt;
use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Changes, Known, Since, Snapshot};
use sqlx::SqliteConnection;

use super::reads::id_list;
use super::sql;
use crate::bounds::DELETED_JOB_EXPIRY;
use crate::rows;

pub(super) async fn snapshot(
    connection: &mut SqliteConnection,
    now: Timestamp,
    entered_since: Timestamp,
    known: Option<&Known>,
) -> sqlx::Result<Snapshot> {
    let expired_until = now.saturating_sub(DELETED_JOB_EXPIRY);
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
    if let Some(known) = known {
        snapshot.since = Some(since(connection, known, expired_until).await?);
    }
    // One by one: together the rows would take more memory than all that is made of them.
    let jobs = match known {
        None => sqlx::query(sql::LOAD_JOBS),
        Some(known) => sqlx::query(sql::LOAD_CHANGED_JOBS).bind(known.up_to),
    };
    let mut jobs = jobs.bind(expired_until.as_micros()).fetch(connection);
    while let Some(row) = jobs.try_next().await? {
        rows::read_job(&mut snapshot, &row);
    }
    rows::read_calendars(&mut snapshot, &calendars);
    rows::read_covered(&mut snapshot, &covered)?;
    rows::read_backfills(&mut snapshot, &backfills);
    rows::read_unended(&mut snapshot, &runs, &attempts);
    Ok(snapshot)
}

async fn since(connection: &mut SqliteConnection, known: &Known, expired_until: Timestamp) -> sqlx::Result<Since> {
    let wanted = id_list(known.counted.iter().map(|uid| uid.0));
    let counted = sqlx::query(sql::LOAD_COUNTS).bind(wanted).fetch_all(&mut *connection).await?;
    let tally = sqlx::query(sql::TALLY_JOBS).bind(expired_until.as_micros()).fetch_one(connection).await?;
    rows::since(&counted, &tally, expired_until)
}

/// A page of jobs by their last change, and the calendars of the same instant.
pub(super) async fn changes(connection: &mut SqliteConnection, above: i64, most: u32) -> sqlx::Result<Changes> {
    let calendars = sqlx::query(sql::LOAD_CALENDARS).fetch_all(&mut *connection).await?;
    let jobs = sqlx::query(sql::CHANGED_JOBS).bind(above).bind(most).fetch_all(connection).await?;
    Ok(rows::changes(&jobs, most, &calendars))
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
    jobs.iter().for_each(|row| rows::read_job(&mut snapshot, row));
    rows::read_covered(&mut snapshot, &covered)?;
    rows::read_backfills(&mut snapshot, &backfills);
    snapshot.backfills.retain(|backfill| backfill.job_uid == uid);
    rows::read_unended(&mut snapshot, &runs, &attempts);
    Ok(snapshot)
}
