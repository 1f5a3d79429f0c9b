//! Lists of runs, newest first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::run::{Attempt, Run};
use sqlx::postgres::Postgres;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use super::{push_labels, sql};
use crate::paging::{one_more, past_prefix};
use crate::reader::{Page, RunFilter, StoredRun};
use crate::rows;
use crate::walk::{AHEAD, MOST_JOBS_OF_PREFIX, Walk};

/// Up to one run more than the page has.
pub(super) async fn list(
    connection: &mut PgConnection,
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
async fn jobs_named(connection: &mut PgConnection, filter: &RunFilter) -> sqlx::Result<Option<Vec<JobUid>>> {
    let namespace = filter.namespace.as_deref();
    if filter.backfill_id.is_some() {
        return Ok(None);
    }
    if let Some(job_id) = &filter.job_id {
        return jobs_of_id(connection, namespace, job_id).await.map(Some);
    }
    let prefix = filter.query.as_str();
    if prefix.is_empty() {
        return Ok(None);
    }
    let query = match namespace {
        Some(namespace) => sqlx::query_scalar(sql::UIDS_OF_PREFIX).bind(namespace),
        None => sqlx::query_scalar(sql::UIDS_OF_PREFIX_ANYWHERE),
    };
    let query = query.bind(prefix).bind(past_prefix(prefix)).bind(one_more(MOST_JOBS_OF_PREFIX));
    let jobs: Vec<Uuid> = query.fetch_all(connection).await?;
    let are_few = jobs.len() <= MOST_JOBS_OF_PREFIX as usize;
    Ok(are_few.then(|| jobs.into_iter().map(JobUid).collect()))
}

pub(in crate::postgres) async fn jobs_of_id(
    connection: &mut PgConnection,
    namespace: Option<&str>,
    job_id: &str,
) -> sqlx::Result<Vec<JobUid>> {
    let query = match namespace {
        Some(namespace) => sqlx::query_scalar(sql::UIDS_OF_JOB_ID).bind(namespace).bind(job_id),
        None => sqlx::query_scalar(sql::UIDS_OF_JOB_ID_ANYWHERE).bind(job_id),
    };
    Ok(query.fetch_all(connection).await?.into_iter().map(JobUid).collect())
}

async fn walk(
    connection: &mut PgConnection,
    walk: Walk<'_>,
    filter: &RunFilter,
    page: &Page<RunId>,
) -> sqlx::Result<Vec<Run>> {
    query(walk, filter, page).build().fetch_all(connection).await?.iter().map(rows::run).collect()
}

pub(super) fn query(walk: Walk<'_>, filter: &RunFilter, page: &Page<RunId>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(sql::RUNS);
    let entered_from = filter.scheduled_after.map(|after| RunId::at(after.saturating_sub(AHEAD), 0));
    let mut from = filter.changed_since.map(|since| since.floor);
    let mut below = page.after;
    match walk {
        Walk::OfJob(_) | Walk::FiresOfJob(_) => {}
        Walk::Ahead => below = below.into_iter().chain(entered_from).min(),
        _ => from = from.max(entered_from),
    }
    let order = push_walk(&mut query, walk, from, below);
    if let (Some(namespace), false) = (&filter.namespace, matches!(walk, Walk::OfNamespace(_))) {
        // Past what a walk restricts by, nothing may tempt Postgres to another index.
        query.push(sql::AND_NAMESPACE).push_bind(namespace.as_str());
    }
    if let (Some(agent), false) = (&filter.agent_id, matches!(walk, Walk::OfAgent(_))) {
        query.push(sql::AND_AGENT).push_bind(agent.as_str());
    }
    if let (Some(job_id), Walk::OfBackfill(_)) = (&filter.job_id, walk) {
        query.push(" AND r.job_id = ").push_bind(job_id.as_str());
    }
    push_names(&mut query, " AND r.state IN (", filter.states.iter().map(|state| state.as_str()));
    push_names(&mut query, " AND r.trigger IN (", filter.triggers.iter().map(|trigger| trigger.as_str()));
    push_labels(&mut query, &filter.labels, sql::RUN_HAS_LABELS);
    if !filter.query.is_empty() {
        query.push(" AND r.job_id >= ").push_bind(filter.query.as_str());
        query.push(" AND r.job_id < ").push_bind(past_prefix(&filter.query));
    }
    if let Some(after) = filter.scheduled_after {
        query.push(" AND r.scheduled_time >= ").push_bind(after.as_micros());
    }
    if let Some(before) = filter.scheduled_before {
        query.push(" AND r.scheduled_time < ").push_bind(before.as_micros());
    }
    if let Some(since) = filter.changed_since {
        query.push(" AND (r.end_time IS NULL OR r.end_time >= ").push_bind(since.ended.as_micros()).push(")");
    }
    query.push(" ORDER BY ").push(order).push(" LIMIT ").push_bind(one_more(page.size));
    query
}

/// Restricts to the rows of a walk from one id on and below another, and tells their order.
pub(super) fn push_walk(
    query: &mut QueryBuilder<Postgres>,
    walk: Walk<'_>,
    from: Option<RunId>,
    below: Option<RunId>,
) -> &'static str {
    let from = from.map_or(Uuid::nil(), |id| id.0);
    let below = below.map_or(Uuid::max(), |id| id.0);
    match walk {
        Walk::OfJob(uid) => query.push(sql::OF_JOB).push_bind(vec![uid.0]).push(")"),
        Walk::OfBackfill(id) => query.push(sql::OF_BACKFILL).push_bind(vec![id.0]).push(")"),
        Walk::FiresOfJob(uid) => query.push(sql::FIRES_OF_JOB).push_bind(uid.0),
        Walk::Unended => query.push(sql::UNENDED),
        Walk::AskedFor => query.push(sql::ASKED_FOR),
        Walk::NotSucceeded => query.push(sql::NOT_SUCCEEDED),
        Walk::OfAgent(agent) => query.push(sql::OF_AGENT).push_bind(vec![agent.to_owned()]).push(")"),
        Walk::OfNamespace(namespace) => query.push(sql::OF_NAMESPACE).push_bind(vec![namespace.to_owned()]).push(")"),
        Walk::Ahead => query.push(sql::AHEAD),
        Walk::All => query.push(sql::ALL),
    };
    query.push(" AND r.id >= ").push_bind(from).push(" AND r.id < ").push_bind(below);
    match walk {
        Walk::OfJob(_) => "r.job_uid DESC, r.id DESC",
        Walk::OfBackfill(_) => "r.backfill_id DESC, r.id DESC",
        Walk::OfAgent(_) => "r.agent_id DESC, r.id DESC",
        Walk::OfNamespace(_) => "r.namespace DESC, r.id DESC",
        Walk::FiresOfJob(_) | Walk::Unended | Walk::AskedFor | Walk::NotSucceeded | Walk::Ahead | Walk::All => {
            "r.id DESC"
        }
    }
}

pub(in crate::postgres) fn push_names(
    query: &mut QueryBuilder<Postgres>,
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

pub(super) async fn with_later_attempts(connection: &mut PgConnection, runs: Vec<Run>) -> sqlx::Result<Vec<StoredRun>> {
    let mut later: BTreeMap<RunId, Vec<Attempt>> = BTreeMap::new();
    let retried: Vec<Uuid> = runs.iter().filter(|run| run.attempt > 1).map(|run| run.id.0).collect();
    if !retried.is_empty() {
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
