//! Lists of runs, newest first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::run::{Attempt, Run};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{id_list, push_labels, sql};
use crate::paging::{one_more, past_prefix};
use crate::reader::{Page, RunFilter, Since, StoredRun};
use crate::rows;
use crate::walk::{AHEAD, MOST_JOBS_OF_PREFIX, Walk};

/// Up to one run more than the page has.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    filter: &RunFilter,
    page: &Page<RunId>,
) -> sqlx::Result<Vec<Run>> {
    let Some(jobs) = jobs_named(connection, filter).await? else {
        let mut runs = walk(connection, Walk::of(filter), filter, page).await?;
        if filter.scheduled_after.is_some() {
            runs.extend(walk(connection, Walk::Ahead, filter, page).await?);
            runs.sort_by_key(|run| Reverse(run.id));
        }
        return Ok(runs);
    };
    let mut runs = Vec::new();
    for uid in jobs {
        runs.extend(walk(connection, Walk::OfJob(uid), filter, page).await?);
    }
    runs.sort_by_key(|run| Reverse(run.id));
    Ok(runs)
}

/// The jobs that the filter names, unless they are too many to look at each.
async fn jobs_named(connection: &mut SqliteConnection, filter: &RunFilter) -> sqlx::Result<Option<Vec<JobUid>>> {
    let namespace = filter.namespace.as_deref();
    if filter.backfill_id.is_some() {
        return Ok(None);
    }
    if let Some(job_id) = &filter.job_id {
        return jobs_of_id(connection, namespace, job_id).await.map(Some);
    }
    if filter.query.is_empty() {
        return Ok(None);
    }
    let found = prefix_query(namespace, &filter.query).build().fetch_all(connection).await?;
    let jobs: Vec<_> = found.iter().map(|row| row.try_get("uid").map(JobUid)).collect::<sqlx::Result<_>>()?;
    Ok(Some(jobs).filter(|jobs| jobs.len() <= MOST_JOBS_OF_PREFIX as usize))
}

/// One job more than are looked at each.
pub(super) fn prefix_query(namespace: Option<&str>, prefix: &str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(match namespace {
        Some(_) => sql::UIDS_OF_PREFIX,
        None => sql::UIDS_OF_PREFIX_ANYWHERE,
    });
    if let Some(namespace) = namespace {
        query.push_bind(namespace.to_owned()).push(" AND job_id >= ");
    }
    query.push_bind(prefix.to_owned()).push(" AND job_id < ").push_bind(past_prefix(prefix));
    query.push(" LIMIT ").push_bind(one_more(MOST_JOBS_OF_PREFIX));
    query
}

pub(in crate::sqlite) async fn jobs_of_id(
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
    push_walk(&mut query, walk);
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
    if !filter.query.is_empty() {
        query.push(" AND r.job_id >= ").push_bind(filter.query.as_str());
        query.push(" AND r.job_id < ").push_bind(past_prefix(&filter.query));
    }
    if let Some(after) = filter.scheduled_after {
        let entered_from = RunId::at(after.saturating_sub(AHEAD), 0);
        match walk {
            Walk::OfJob(_) | Walk::FiresOfJob(_) => {}
            Walk::Ahead => {
                query.push(" AND r.id < ").push_bind(entered_from.0);
            }
            _ => {
                query.push(" AND r.id >= ").push_bind(entered_from.0);
            }
        }
        query.push(" AND r.scheduled_time >= ").push_bind(after.as_micros());
    }
    if let Some(before) = filter.scheduled_before {
        query.push(" AND r.scheduled_time < ").push_bind(before.as_micros());
    }
    if let Some(Since { floor, ended }) = filter.changed_since {
        query.push(" AND r.id >= ").push_bind(floor.0);
        query.push(" AND (r.end_time IS NULL OR r.end_time >= ").push_bind(ended.as_micros()).push(")");
    }
    if let Some(after) = page.after {
        query.push(" AND r.id < ").push_bind(after.0);
    }
    query.push(" ORDER BY r.id DESC LIMIT ").push_bind(one_more(page.size));
    query
}

pub(super) fn push_walk(query: &mut QueryBuilder<Sqlite>, walk: Walk<'_>) {
    match walk {
        Walk::OfJob(uid) => query.push(sql::WALK_OF_JOB).push_bind(uid.0),
        Walk::OfBackfill(id) => query.push(sql::WALK_OF_BACKFILL).push_bind(id.0),
        Walk::FiresOfJob(uid) => query.push(sql::WALK_FIRES_OF_JOB).push_bind(uid.0),
        Walk::Unended => query.push(sql::WALK_UNENDED),
        Walk::AskedFor => query.push(sql::WALK_ASKED_FOR),
        Walk::NotSucceeded => query.push(sql::WALK_NOT_SUCCEEDED),
        Walk::OfAgent(agent) => query.push(sql::WALK_OF_AGENT).push_bind(agent.to_owned()),
        Walk::OfNamespace(namespace) => query.push(sql::WALK_OF_NAMESPACE).push_bind(namespace.to_owned()),
        Walk::Ahead => query.push(sql::WALK_AHEAD),
        Walk::All => query.push(sql::WALK_ALL),
    };
}

pub(in crate::sqlite) fn push_names(
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
    let join = |run: Run| StoredRun {
        later_attempts: later.remove(&run.id).unwrap_or_default(),
        late_outcomes: BTreeMap::new(),
        run,
    };
    Ok(runs.into_iter().map(join).collect())
}
