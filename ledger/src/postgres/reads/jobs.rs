//! Lists of jobs: one walk of an index, from where the page begins.

use scheduler_core::job::JobState;
use sqlx::QueryBuilder;
use sqlx::postgres::Postgres;
use uuid::Uuid;

use super::{push_labels, sql};
use crate::paging::{one_more, past_prefix};
use crate::reader::{JobFilter, JobOrder};

pub(super) fn query(filter: &JobFilter, order: &JobOrder, size: u32) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(sql::JOBS);
    match order {
        JobOrder::ByName { after } => {
            query.push(rows_of(&filter.states));
            if let Some(namespace) = &filter.namespace {
                query.push(" AND namespace = ").push_bind(namespace.as_str());
            }
            if let Some((key, uid)) = after {
                query.push(" AND (namespace, job_id, uid) > (").push_bind(key.namespace.as_str());
                query.push(", ").push_bind(key.job_id.as_str()).push(", ").push_bind(uid.0).push(")");
            }
        }
        JobOrder::ByUpdateTime { after } => {
            query.push(sql::ALL_JOBS);
            // Before the first page there is nothing.
            let (time, uid) = after.map_or((i64::MAX, Uuid::max()), |(time, uid)| (time.as_micros(), uid.0));
            if let Some(namespace) = &filter.namespace {
                query.push(" AND namespace = ANY (").push_bind(vec![namespace.clone()]).push(")");
            }
            query.push(" AND (update_time, uid) < (").push_bind(time).push(", ").push_bind(uid).push(")");
        }
    }
    if !filter.query.is_empty() {
        query.push(" AND job_id >= ").push_bind(filter.query.as_str());
        query.push(" AND job_id < ").push_bind(past_prefix(&filter.query));
    }
    push_states(&mut query, filter);
    push_labels(&mut query, &filter.labels, sql::JOB_HAS_LABELS);
    query.push(match (order, &filter.namespace) {
        (JobOrder::ByName { .. }, _) => " ORDER BY namespace, job_id, uid",
        (JobOrder::ByUpdateTime { .. }, Some(_)) => " ORDER BY namespace DESC, update_time DESC, uid DESC",
        (JobOrder::ByUpdateTime { .. }, None) => " ORDER BY update_time DESC, uid DESC",
    });
    query.push(" LIMIT ").push_bind(one_more(size));
    query
}

/// Which index by name holds the fewest others.
fn rows_of(states: &[JobState]) -> &'static str {
    let only = |wanted: &[JobState]| !states.is_empty() && states.iter().all(|state| wanted.contains(state));
    if only(&[JobState::Paused, JobState::Disabled]) {
        sql::HALTED_JOBS
    } else if only(&[JobState::Deleted]) {
        sql::DELETED_JOBS
    } else {
        sql::ALL_JOBS
    }
}

fn push_states(query: &mut QueryBuilder<Postgres>, filter: &JobFilter) {
    if filter.states.is_empty() {
        if !filter.show_deleted {
            query.push(" AND delete_time IS NULL");
        }
        return;
    }
    let mut before = " AND (";
    for state in &filter.states {
        query.push(before).push(match state {
            JobState::Active | JobState::Completed => sql::IS_RUNNING,
            JobState::Paused => sql::IS_PAUSED,
            JobState::Disabled => sql::IS_DISABLED,
            JobState::Deleted => sql::IS_DELETED,
        });
        before = " OR ";
    }
    query.push(")");
}
