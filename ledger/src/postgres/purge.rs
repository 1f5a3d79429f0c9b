//! Deletion of what is not kept any more: runs, deleted jobs, the numbers of requests. Attempts, logs and revisions go
//! with their rows, by the tables' own rule.
//!
//! What is chosen may still change before it is deleted, so that the deletion says again what must stay.

use scheduler_core::ids::{Epoch, JobUid, RunId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, Kept, Purge, PurgeFilter, Purged};
use sqlx::postgres::Postgres;
use sqlx::{PgConnection, QueryBuilder, Row};
use uuid::Uuid;

use super::call::deposed;
use super::reads::{jobs_of_id, push_names};
use super::sql;
use crate::bounds::{EXPIRED_JOBS, STAYS};

#[derive(Default)]
pub(super) struct Chosen {
    runs: Vec<RunId>,
    /// Runs are deleted before there only.
    before: Timestamp,
    jobs: Vec<JobUid>,
    deleted_until: Timestamp,
    /// Requests of before then, and how many of them.
    requests: Option<(Timestamp, i64)>,
    more: bool,
}

impl Chosen {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.jobs.is_empty() && self.requests.is_none()
    }

    fn left(&self, most: u32) -> u32 {
        most.saturating_sub(u32::try_from(self.runs.len()).unwrap_or(u32::MAX))
    }
}

/// Which ended runs of a job, or of a namespace.
enum Of<'a> {
    Job(JobUid),
    Namespace(&'a str),
}

pub(super) async fn choose(connection: &mut PgConnection, purge: &Purge, most: u32) -> sqlx::Result<Chosen> {
    let Some(before) = stays_from(connection).await? else { return Ok(Chosen::default()) };
    let mut chosen = Chosen { before, ..Chosen::default() };
    match purge {
        Purge::Retention(kept) => {
            for kept in kept {
                let left = chosen.left(most);
                if left > 0 {
                    beyond(connection, kept, before, left, &mut chosen.runs).await?;
                }
            }
        }
        Purge::ExpiredJobs { deleted_until } => {
            chosen.deleted_until = *deleted_until;
            chosen.jobs = expired(connection, *deleted_until).await?;
            for uid in chosen.jobs.clone() {
                let left = chosen.left(most);
                find(&Of::Job(uid), before, None, &[], left, connection, &mut chosen.runs).await?;
            }
            chosen.more = chosen.jobs.len() == EXPIRED_JOBS as usize;
        }
        Purge::Requests { before } => {
            let old = sqlx::query(sql::OLD_REQUESTS).bind(before.as_micros()).bind(i64::from(most));
            let old = old.fetch_all(connection).await?.len();
            chosen.requests = (old > 0).then_some((*before, i64::from(most)));
            chosen.more = old == most as usize;
            return Ok(chosen);
        }
        Purge::Asked(filter) => chosen.runs = asked(connection, filter, most).await?,
    }
    chosen.more |= chosen.left(most) == 0;
    Ok(chosen)
}

/// What a purge by request deletes.
pub(super) async fn asked(connection: &mut PgConnection, filter: &PurgeFilter, most: u32) -> sqlx::Result<Vec<RunId>> {
    let mut runs = Vec::new();
    let Some(before) = stays_from(connection).await? else { return Ok(runs) };
    let states: Vec<&'static str> = filter.states.iter().map(|state| state.as_str()).collect();
    let ended = Some(filter.ended_before);
    match &filter.job_id {
        Some(job_id) => {
            for uid in jobs_of_id(connection, Some(&filter.namespace), job_id).await? {
                let left = most.saturating_sub(u32::try_from(runs.len()).unwrap_or(u32::MAX));
                find(&Of::Job(uid), before, ended, &states, left, connection, &mut runs).await?;
            }
        }
        None => find(&Of::Namespace(&filter.namespace), before, ended, &states, most, connection, &mut runs).await?,
    }
    Ok(runs)
}

/// `None`: the ledger has no leader yet, and nothing to delete.
async fn stays_from(connection: &mut PgConnection) -> sqlx::Result<Option<Timestamp>> {
    let watermark: Option<i64> = sqlx::query_scalar(sql::WATERMARK).fetch_optional(connection).await?;
    Ok(watermark.map(|watermark| Timestamp::from_micros(watermark).saturating_sub(STAYS)))
}

/// Runs beyond what the job keeps, by age and by number.
async fn beyond(
    connection: &mut PgConnection,
    kept: &Kept,
    before: Timestamp,
    most: u32,
    runs: &mut Vec<RunId>,
) -> sqlx::Result<()> {
    let of = Of::Job(kept.job);
    let had = runs.len();
    find(&of, before, Some(kept.ended_since), &[], most, connection, runs).await?;
    let newest = sqlx::query_scalar(sql::NEWEST_BEYOND).bind(kept.job.0).bind(i64::from(kept.max_runs));
    if let Some(newest) = newest.fetch_optional(&mut *connection).await? {
        let mut query = ended_runs(&of, before, RunId::at(before, 0));
        query.push(" AND r.id <= ").push_bind::<Uuid>(newest);
        // Those of too great an age are found once more.
        push_end(&mut query, &of, most);
        for row in query.build().fetch_all(connection).await? {
            let id = RunId(row.try_get("id")?);
            if !runs[had..].contains(&id) && runs.len() - had < most as usize {
                runs.push(id);
            }
        }
    }
    Ok(())
}

async fn find(
    of: &Of<'_>,
    before: Timestamp,
    ended_before: Option<Timestamp>,
    states: &[&'static str],
    most: u32,
    connection: &mut PgConnection,
    runs: &mut Vec<RunId>,
) -> sqlx::Result<()> {
    // A run is not entered after its end.
    let entered_below = ended_before.map(|ended_before| RunId::at(ended_before, u128::MAX));
    let stays = RunId::at(before, 0);
    let mut query = ended_runs(of, before, entered_below.map_or(stays, |entered| entered.min(stays)));
    if let Some(ended_before) = ended_before {
        query.push(" AND r.end_time < ").push_bind(ended_before.as_micros());
    }
    push_names(&mut query, " AND r.state IN (", states.iter().copied());
    push_end(&mut query, of, most);
    for row in query.build().fetch_all(connection).await? {
        runs.push(RunId(row.try_get("id")?));
    }
    Ok(())
}

fn ended_runs(of: &Of<'_>, before: Timestamp, below: RunId) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(sql::ENDED_RUNS);
    match of {
        Of::Job(uid) => query.push(sql::OF_JOB).push_bind(vec![uid.0]),
        Of::Namespace(namespace) => query.push(sql::OF_NAMESPACE).push_bind(vec![(*namespace).to_owned()]),
    };
    query.push(") AND r.id < ").push_bind(below.0);
    query.push(" AND r.state NOT IN ('PENDING', 'RUNNING') AND r.scheduled_time <= ").push_bind(before.as_micros());
    query
}

fn push_end(query: &mut QueryBuilder<Postgres>, of: &Of<'_>, most: u32) {
    query.push(match of {
        Of::Job(_) => " ORDER BY r.job_uid, r.id LIMIT ",
        Of::Namespace(_) => " ORDER BY r.namespace, r.id LIMIT ",
    });
    query.push_bind(i64::from(most));
}

async fn expired(connection: &mut PgConnection, deleted_until: Timestamp) -> sqlx::Result<Vec<JobUid>> {
    let query = sqlx::query(sql::EXPIRED_JOBS).bind(deleted_until.as_micros()).bind(i64::from(EXPIRED_JOBS));
    query.fetch_all(connection).await?.iter().map(|row| row.try_get("uid").map(JobUid)).collect()
}

/// A statement that commits itself.
pub(super) async fn delete(
    connection: &mut PgConnection,
    epoch: Epoch,
    chosen: &Chosen,
) -> sqlx::Result<Result<Purged, Failure>> {
    if let Some((before, most)) = chosen.requests {
        let forget = sqlx::query(sql::FORGET_REQUESTS).bind(epoch.0).bind(before.as_micros()).bind(most);
        let row = forget.fetch_one(connection).await?;
        let purged = Purged { more: chosen.more, ..Purged::default() };
        return Ok(deposed(&row)?.map_or(Ok(purged), Err));
    }
    let row = sqlx::query(sql::PURGE_CHOSEN)
        .bind(epoch.0)
        .bind(chosen.runs.iter().map(|run| run.0).collect::<Vec<_>>())
        .bind(RunId::at(chosen.before, 0).0)
        .bind(chosen.before.as_micros())
        .bind(chosen.jobs.iter().map(|job| job.0).collect::<Vec<_>>())
        .bind(chosen.deleted_until.as_micros())
        .fetch_one(connection)
        .await?;
    if let Some(deposed) = deposed(&row)? {
        return Ok(Err(deposed));
    }
    let runs: i64 = row.try_get("runs_deleted")?;
    let jobs: Vec<Uuid> = row.try_get("jobs_deleted")?;
    let jobs: Vec<JobUid> = jobs.into_iter().map(JobUid).collect();
    // A job that keeps a run is looked at again with the next walk, not at once.
    let more = chosen.more && (runs > 0 || !jobs.is_empty());
    Ok(Ok(Purged { runs: runs.unsigned_abs(), jobs, more }))
}
