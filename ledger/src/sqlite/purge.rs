//! Deletion of what is not kept any more: runs, deleted jobs, the numbers of requests. Attempts, logs and revisions go
//! with their rows, by the tables' own rule.
//!
//! What is chosen may still change before it is deleted, so that the deletion says again what must stay.

use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Kept, Purge, PurgeFilter, Purged};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::reads::{id_list, jobs_of_id, push_names};
use super::sql;
use crate::bounds::{EXPIRED_JOBS, STAYS};

#[derive(Default)]
pub(super) struct Chosen {
    runs: Vec<RunId>,
    jobs: Vec<JobUid>,
    deleted_until: Timestamp,
    /// Requests of before then, and how many of them.
    requests: Option<(Timestamp, u32)>,
    more: bool,
}

impl Chosen {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.jobs.is_empty() && self.requests.is_none()
    }
}

/// Which ended runs of a job, or of a namespace.
enum Of<'a> {
    Job(JobUid),
    Namespace(&'a str),
}

pub(super) async fn choose(connection: &mut SqliteConnection, purge: &Purge, most: u32) -> sqlx::Result<Chosen> {
    let mut chosen = Chosen::default();
    let Some(before) = stays_from(connection).await? else { return Ok(chosen) };
    match purge {
        Purge::Retention(kept) => {
            for kept in kept {
                let left = left(&chosen, most);
                if left > 0 {
                    beyond(connection, kept, before, left, &mut chosen.runs).await?;
                }
            }
        }
        Purge::ExpiredJobs { deleted_until } => {
            chosen.deleted_until = *deleted_until;
            chosen.jobs = expired(connection, *deleted_until).await?;
            for uid in chosen.jobs.clone() {
                let left = left(&chosen, most);
                find(&Of::Job(uid), before, None, &[], left, connection, &mut chosen.runs).await?;
            }
            chosen.more = chosen.jobs.len() == EXPIRED_JOBS as usize;
        }
        Purge::Requests { before } => {
            let old = sqlx::query(sql::OLD_REQUESTS).bind(before.as_micros()).bind(most).fetch_all(connection).await?;
            let old = u32::try_from(old.len()).unwrap_or(most);
            chosen.requests = Some((*before, old)).filter(|(_, old)| *old > 0);
            chosen.more = old == most;
            return Ok(chosen);
        }
        Purge::Asked(filter) => chosen.runs = asked(connection, filter, most).await?,
    }
    chosen.more |= left(&chosen, most) == 0;
    Ok(chosen)
}

/// What a purge by request deletes.
pub(super) async fn asked(
    connection: &mut SqliteConnection,
    filter: &PurgeFilter,
    most: u32,
) -> sqlx::Result<Vec<RunId>> {
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

fn left(chosen: &Chosen, most: u32) -> u32 {
    most.saturating_sub(u32::try_from(chosen.runs.len()).unwrap_or(u32::MAX))
}

/// `None`: the ledger has no leader yet, and nothing to delete.
async fn stays_from(connection: &mut SqliteConnection) -> sqlx::Result<Option<Timestamp>> {
    let watermark: Option<i64> = sqlx::query_scalar(sql::WATERMARK).fetch_optional(connection).await?;
    Ok(watermark.map(|watermark| Timestamp::from_micros(watermark).saturating_sub(STAYS)))
}

/// Runs beyond what the job keeps, by age and by number.
async fn beyond(
    connection: &mut SqliteConnection,
    kept: &Kept,
    before: Timestamp,
    most: u32,
    runs: &mut Vec<RunId>,
) -> sqlx::Result<()> {
    let of = Of::Job(kept.job);
    let had = runs.len();
    find(&of, before, Some(kept.ended_since), &[], most, connection, runs).await?;
    let newest = sqlx::query(sql::NEWEST_BEYOND).bind(kept.job.0).bind(kept.max_runs);
    if let Some(row) = newest.fetch_optional(&mut *connection).await? {
        let newest = RunId(row.try_get("id")?);
        let mut query = ended_runs(&of, before);
        query.push(" AND r.id <= ").push_bind(newest.0);
        // Those of too great an age are found once more.
        query.push(" ORDER BY r.id LIMIT ").push_bind(i64::from(most));
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
    connection: &mut SqliteConnection,
    runs: &mut Vec<RunId>,
) -> sqlx::Result<()> {
    let mut query = ended_runs(of, before);
    if let Some(ended_before) = ended_before {
        query.push(" AND r.end_time < ").push_bind(ended_before.as_micros());
        // A run is not entered after its end.
        query.push(" AND r.id < ").push_bind(RunId::at(ended_before, u128::MAX).0);
    }
    push_names(&mut query, " AND r.state IN (", states.iter().copied());
    query.push(" ORDER BY r.id LIMIT ").push_bind(i64::from(most));
    for row in query.build().fetch_all(connection).await? {
        runs.push(RunId(row.try_get("id")?));
    }
    Ok(())
}

fn ended_runs(of: &Of<'_>, before: Timestamp) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(sql::ENDED_RUNS);
    match of {
        Of::Job(uid) => query.push(sql::WALK_OF_JOB).push_bind(uid.0),
        Of::Namespace(namespace) => query.push(sql::WALK_OF_NAMESPACE).push_bind((*namespace).to_owned()),
    };
    query.push(" AND r.state NOT IN ('PENDING', 'RUNNING') AND r.id < ").push_bind(RunId::at(before, 0).0);
    query.push(" AND r.scheduled_time <= ").push_bind(before.as_micros());
    query
}

async fn expired(connection: &mut SqliteConnection, deleted_until: Timestamp) -> sqlx::Result<Vec<JobUid>> {
    let query = sqlx::query(sql::EXPIRED_JOBS).bind(deleted_until.as_micros()).bind(EXPIRED_JOBS);
    query.fetch_all(connection).await?.iter().map(|row| row.try_get("uid").map(JobUid)).collect()
}

/// The caller has passed the fence, and commits.
pub(super) async fn delete(connection: &mut SqliteConnection, chosen: &Chosen) -> sqlx::Result<Purged> {
    if let Some((before, most)) = chosen.requests {
        sqlx::query(sql::DELETE_REQUESTS).bind(before.as_micros()).bind(most).execute(connection).await?;
        return Ok(Purged { more: chosen.more, ..Purged::default() });
    }
    let Some(before) = stays_from(connection).await? else { return Ok(Purged::default()) };
    let deleted = sqlx::query(sql::DELETE_RUNS)
        .bind(id_list(chosen.runs.iter().map(|run| run.0)))
        .bind(RunId::at(before, 0).0)
        .bind(before.as_micros())
        .execute(&mut *connection)
        .await?;
    let gone = sqlx::query(sql::DELETE_JOBS)
        .bind(id_list(chosen.jobs.iter().map(|job| job.0)))
        .bind(chosen.deleted_until.as_micros())
        .fetch_all(connection)
        .await?;
    let jobs = gone.iter().map(|row| row.try_get("uid").map(JobUid)).collect::<sqlx::Result<Vec<_>>>()?;
    // A job that keeps a run is looked at again with the next walk, not at once.
    let more = chosen.more && (deleted.rows_affected() > 0 || !jobs.is_empty());
    Ok(Purged { runs: deleted.rows_affected(), jobs, more })
}
