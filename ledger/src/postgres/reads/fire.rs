//! One instant of a job.

use scheduler_core::ids::JobUid;
use scheduler_core::job::JobKey;
use scheduler_core::run::Run;
use scheduler_core::time::Timestamp;
use sqlx::PgConnection;

use super::runs;
use super::sql;
use crate::fire::FireRecord;
use crate::reader::{Revision, StoredRun};
use crate::rows;

pub(super) async fn read(
    connection: &mut PgConnection,
    key: &JobKey,
    time: Timestamp,
) -> sqlx::Result<Option<FireRecord>> {
    let at = time.as_micros();
    let named = |text| sqlx::query(text).bind(key.namespace.as_str()).bind(key.job_id.as_str());
    let then = named(sql::JOB_AT).bind(at).fetch_optional(&mut *connection).await?;
    let found = match then {
        Some(row) => Some(row),
        None => named(sql::JOB_BY_KEY).fetch_optional(&mut *connection).await?,
    };
    let Some(job) = found.as_ref().map(rows::job).transpose()? else { return Ok(None) };
    let uid = job.uid;
    let revision = revision(connection, sql::REVISION_AT, uid, at).await?;
    let number = revision.as_ref().map_or(0, |revision| revision.job.revision);
    let disabled_by = match &revision {
        Some(held) if !held.job.definition.enabled => {
            self::revision(connection, sql::DISABLING_REVISION, uid, number).await?
        }
        _ => None,
    };
    let next = sqlx::query(sql::NEXT_SETTLING_REVISION).bind(uid.0).bind(number).bind(at);
    let next = next.fetch_optional(&mut *connection).await?.as_ref().map(rows::revision).transpose()?;
    let calendar_change: Option<i64> =
        sqlx::query_scalar(sql::CALENDAR_CHANGE).bind(uid.0).bind(number).fetch_one(&mut *connection).await?;
    let row = row(connection, uid, time).await?;
    let row_revision = match &row {
        Some(row) => self::revision(connection, sql::REVISION, uid, row.run.job_revision).await?,
        None => None,
    };
    let first_covered = instant(connection, sql::FIRST_COVERED, uid).await?;
    let last_covered = instant(connection, sql::LAST_COVERED, uid).await?;
    let watermark: Option<i64> = sqlx::query_scalar(sql::WATERMARK).fetch_optional(&mut *connection).await?;
    Ok(Some(FireRecord {
        job,
        revision,
        disabled_by,
        next,
        calendar_change: calendar_change.map(Timestamp::from_micros),
        row,
        row_revision,
        backfilled: stored(connection, sql::BACKFILLED, uid, at).await?,
        first_covered,
        last_covered,
        watermark: watermark.map_or(Timestamp::MIN, Timestamp::from_micros),
    }))
}

async fn revision(
    connection: &mut PgConnection,
    text: &'static str,
    uid: JobUid,
    bound: i64,
) -> sqlx::Result<Option<Revision>> {
    let row = sqlx::query(text).bind(uid.0).bind(bound).fetch_optional(connection).await?;
    row.as_ref().map(rows::revision).transpose()
}

async fn instant(connection: &mut PgConnection, text: &'static str, uid: JobUid) -> sqlx::Result<Option<Timestamp>> {
    let micros: Option<i64> = sqlx::query_scalar(text).bind(uid.0).fetch_optional(connection).await?;
    Ok(micros.map(Timestamp::from_micros))
}

async fn row(connection: &mut PgConnection, uid: JobUid, time: Timestamp) -> sqlx::Result<Option<StoredRun>> {
    let own = stored(connection, sql::FIRE, uid, time.as_micros()).await?;
    if own.is_some() {
        return Ok(own);
    }
    let next = stored(connection, sql::NEXT_COVERING, uid, time.as_micros()).await?;
    Ok(next.filter(|stored| stored.run.covers_from.is_some_and(|from| from < time)))
}

async fn stored(
    connection: &mut PgConnection,
    text: &'static str,
    uid: JobUid,
    time: i64,
) -> sqlx::Result<Option<StoredRun>> {
    let row = sqlx::query(text).bind(uid.0).bind(time).fetch_optional(&mut *connection).await?;
    let run: Option<Run> = row.as_ref().map(rows::run).transpose()?;
    Ok(runs::with_later_attempts(connection, run.into_iter().collect()).await?.pop())
}
