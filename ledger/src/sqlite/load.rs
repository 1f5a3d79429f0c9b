//! What a new leader reads, in one snapshot of the file.

use std::collections::BTreeMap;

use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::run::{Attempt, Run};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Snapshot;
use sqlx::{Row, SqliteConnection};

use super::{DELETED_JOB_EXPIRY, rows, sql};

pub(super) async fn snapshot(
    connection: &mut SqliteConnection,
    now: Timestamp,
    entered_since: Timestamp,
) -> sqlx::Result<Snapshot> {
    let expired_until = now.saturating_sub(DELETED_JOB_EXPIRY).as_micros();
    let jobs = sqlx::query(sql::LOAD_JOBS).bind(expired_until).fetch_all(&mut *connection).await?;
    let calendars = sqlx::query(sql::LOAD_CALENDARS).fetch_all(&mut *connection).await?;
    let backfills = sqlx::query(sql::LOAD_BACKFILLS).fetch_all(&mut *connection).await?;
    let entered_from = RunId::at(entered_since, 0);
    let covered = sqlx::query(sql::LOAD_COVERED).bind(entered_from.0).fetch_all(&mut *connection).await?;
    Ok(Snapshot {
        calendars: calendars.iter().map(rows::calendar).collect::<sqlx::Result<_>>()?,
        backfills: backfills.iter().map(rows::backfill).collect::<sqlx::Result<_>>()?,
        jobs: jobs.iter().map(rows::job).collect::<sqlx::Result<_>>()?,
        covered: covered
            .iter()
            .map(|row| Ok((JobUid(row.try_get("job_uid")?), Timestamp::from_micros(row.try_get("covered")?))))
            .collect::<sqlx::Result<_>>()?,
        unended: unended(connection).await?,
        last_change_seq: sqlx::query_scalar(sql::LAST_CHANGE_SEQ).fetch_one(connection).await?,
    })
}

async fn unended(connection: &mut SqliteConnection) -> sqlx::Result<Vec<(Run, Option<Attempt>)>> {
    let later = sqlx::query(sql::LOAD_UNENDED_ATTEMPTS).fetch_all(&mut *connection).await?;
    let mut later: BTreeMap<RunId, Attempt> = later.iter().map(rows::attempt).collect::<sqlx::Result<_>>()?;
    let runs = sqlx::query(sql::LOAD_UNENDED).fetch_all(connection).await?;
    runs.iter()
        .map(|row| {
            let run = rows::run(row)?;
            let attempt = later.remove(&run.id);
            Ok((run, attempt))
        })
        .collect()
}
