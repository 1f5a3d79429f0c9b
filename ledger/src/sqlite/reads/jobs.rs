//! Lists of jobs: one walk of an index, from where the page begins.

use scheduler_core::job::JobState;
use sqlx::{QueryBuilder, Sqlite};

use super::{push_labels, sql};
use crate::paging::{one_more, past_prefix};
use crate::reader::{JobFilter, JobOrder};

pub(super) fn query(filter: &JobFilter, order: &JobOrder, size: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(sql::JOBS);
    query.push(match order {
        JobOrder::ByName { .. } => by_name(&filter.states),
        JobOrder::ByUpdateTime { .. } if filter.namespace.is_some() => sql::WALK_UPDATES_OF_NAMESPACE,
        JobOrder::ByUpdateTime { .. } => sql::WALK_UPDATES,
    });
    if let Some(namespace) = &filter.namespace {
        query.push(" AND namespace = ").push_bind(namespace.as_str());
    }
    if !filter.query.is_empty() {
        query.push(" AND job_id >= ").push_bind(filter.query.as_str());
        query.push(" AND job_id < ").push_bind(past_prefix(&filter.query));
    }
    push_states(&mut query, filter);
    push_labels(&mut query, &filter.labels, "definition, '$.labels'");
    match order {
        JobOrder::ByName { after } => {
            if let Some((key, uid)) = after {
                query.push(" AND (namespace, job_id, uid) > (").push_bind(key.namespace.as_str());
                query.push(", ").push_bind(key.job_id.as_str()).push(", ").push_bind(uid.0).push(")");
            }
            query.push(" ORDER BY namespace, job_id, uid");
        }
        JobOrder::ByUpdateTime { after } => {
            if let Some((time, uid)) = after {
                query.push(" AND (update_time, uid) < (").push_bind(time.as_micros());
                query.push(", ").push_bind(uid.0).push(")");
            }
            query.push(" ORDER BY update_time DESC, uid DESC");
        }
    }
    query.push(" LIMIT ").push_bind(one_more(size));
    query
}

/// The index by name that holds the fewest others.
fn by_name(states: &[JobState]) -> &'static str {
    let only = |wanted: &[JobState]| !states.is_empty() && states.iter().all(|state| wanted.contains(state));
    if only(&[JobState::Paused, JobState::Disabled]) {
        sql::WALK_HALTED
    } else if only(&[JobState::Deleted]) {
        sql::WALK_DELETED
    } else {
        sql::WALK_NAMES
    }
}

fn push_states(query: &mut QueryBuilder<Sqlite>, filter: &JobFilter) {
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
