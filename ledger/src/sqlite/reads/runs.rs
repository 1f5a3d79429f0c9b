//! Lists of runs, newest first: each walks down one index that has the ids in order, chosen by what the
//! filter says, and passes over the rows that the rest of the filter excludes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use scheduler_core::ids::{BackfillId, JobUid, RunId};
use scheduler_core::run::{Attempt, Run, RunState};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{id_list, one_more, push_labels, rows, sql};
use crate::reader::{Page, RunFilter, StoredRun};

/// The index that a list walks.
#[derive(Clone, Copy)]
pub(super) enum Walk<'f> {
    OfJob(JobUid),
    OfBackfill(BackfillId),
    Unended,
    NotSucceeded,
    OfAgent(&'f str),
    OfNamespace(&'f str),
    All,
}

impl<'f> Walk<'f> {
    /// The walk that should pass over the fewest rows, for a filter that names no job.
    pub(super) fn of(filter: &'f RunFilter) -> Self {
        let only =
            |states: fn(RunState) -> bool| !filter.states.is_empty() && filter.states.iter().copied().all(states);
        if let Some(backfill) = filter.backfill_id {
            Self::OfBackfill(backfill)
        } else if only(|state| !state.is_ended()) {
            Self::Unended
        } else if only(|state| state.is_ended() && state != RunState::Succeeded) {
            Self::NotSucceeded
        } else if let Some(agent) = &filter.agent_id {
            Self::OfAgent(agent.as_str())
        } else if let Some(namespace) = &filter.namespace {
            Self::OfNamespace(namespace)
        } else {
            Self::All
        }
    }
}

/// Up to one run more than the page has.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &RunFilter,
    page: &Page<RunId>,
) -> sqlx::Result<Vec<Run>> {
    let Some(job_id) = filter.job_id.as_ref().filter(|_| filter.backfill_id.is_none()) else {
        return walk(connection, Walk::of(filter), filter, page).await;
    };
    let mut runs = Vec::new();
    for uid in jobs_of_id(connection, filter.namespace.as_deref(), job_id).await? {
        runs.extend(walk(connection, Walk::OfJob(uid), filter, page).await?);
    }
    runs.sort_by_key(|run| Reverse(run.id));
    Ok(runs)
}

async fn jobs_of_id(
    connection: &mut SqliteConnection,
    namespace: Option<&str>,
    job_id: &str,
) -> sqlx::Result<Vec<JobUid>> {
    let query = match namespace {
        Some(namespace) => sqlx::query(sql::UIDS_OF_JOB_ID).bind(namespace).bind(job_id),
        None => sqlx::query(sql::UIDS_OF_JOB_ID_ANYWHERE).bind(job_id),
    };
    query.fetch_all(connection).await?.iter().map(|row| row.try_get("uid").map(JobUid)).collect()
}

async fn walk(
    connection: &mut SqliteConnection,
    walk: Walk<'_>,
    filter: &RunFilter,
    page: &Page<RunId>,
) -> sqlx::Result<Vec<Run>> {
    query(walk, filter, page).build().fetch_all(connection).await?.iter().map(rows::run).collect()
}

pub(super) fn query(walk: Walk<'_>, filter: &RunFilter, page: &Page<RunId>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(sql::RUNS);
    match walk {
        Walk::OfJob(uid) => query.push(sql::WALK_OF_JOB).push_bind(uid.0),
        Walk::OfBackfill(id) => query.push(sql::WALK_OF_BACKFILL).push_bind(id.0),
        Walk::Unended => query.push(sql::WALK_UNENDED),
        Walk::NotSucceeded => query.push(sql::WALK_NOT_SUCCEEDED),
        Walk::OfAgent(agent) => query.push(sql::WALK_OF_AGENT).push_bind(agent),
        Walk::OfNamespace(namespace) => query.push(sql::WALK_OF_NAMESPACE).push_bind(namespace),
        Walk::All => query.push(sql::WALK_ALL),
    };
    if let Some(namespace) = &filter.namespace {
        // Past the first restriction of a walk, a `+` keeps SQLite from weighing another index.
        query.push(" AND +r.namespace = ").push_bind(namespace.as_str());
    }
    if let Some(agent) = &filter.agent_id {
        query.push(" AND +r.agent_id = ").push_bind(agent.as_str());
    }
    if let (Some(job_id), Walk::OfBackfill(_)) = (&filter.job_id, walk) {
        query.push(" AND r.job_id = ").push_bind(job_id.as_str());
    }
    push_names(&mut query, " AND r.state IN (", filter.states.iter().map(|state| state.as_str()));
    push_names(&mut query, " AND r.trigger IN (", filter.triggers.iter().map(|trigger| trigger.as_str()));
    push_labels(&mut query, &filter.labels, "r.labels");
    if let Some(after) = filter.scheduled_after {
        query.push(" AND r.scheduled_time >= ").push_bind(after.as_micros());
    }
    if let Some(before) = filter.scheduled_before {
        query.push(" AND r.scheduled_time < ").push_bind(before.as_micros());
    }
    if let Some(after) = page.after {
        query.push(" AND r.id < ").push_bind(after.0);
    }
    query.push(" ORDER BY r.id DESC LIMIT ").push_bind(one_more(page.size));
    query
}

fn push_names(
    query: &mut QueryBuilder<Sqlite>,
    before: &'static str,
    names: impl ExactSizeIterator<Item = &'static str>,
) {
    if names.len() == 0 {
        return;
    }
    query.push(before);
    let mut list = query.separated(", ");
    for name in names {
        list.push_bind(name);
    }
    query.push(")");
}

pub(super) async fn with_later_attempts(
    connection: &mut SqliteConnection,
    runs: Vec<Run>,
) -> sqlx::Result<Vec<StoredRun>> {
    let mut later: BTreeMap<RunId, Vec<Attempt>> = BTreeMap::new();
    if runs.iter().any(|run| run.attempt > 1) {
        let retried = id_list(runs.iter().filter(|run| run.attempt > 1).map(|run| run.id.0));
        for row in sqlx::query(sql::ATTEMPTS_OF_RUNS).bind(retried).fetch_all(connection).await? {
            let (run, attempt) = rows::attempt(&row)?;
            later.entry(run).or_default().push(attempt);
        }
    }
    let join = |run: Run| StoredRun { later_attempts: later.remove(&run.id).unwrap_or_default(), run };
    Ok(runs.into_iter().map(join).collect())
}
