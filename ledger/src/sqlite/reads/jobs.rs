//! Lists of jobs: one walk of the index by name, from where the page begins.

use scheduler_core::ids::JobUid;
use scheduler_core::job::JobKey;
use sqlx::{QueryBuilder, Sqlite};

use super::{one_more, push_labels, sql};
use crate::reader::{JobFilter, Page};

pub(super) fn query(filter: &JobFilter, page: &Page<(JobKey, JobUid)>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(sql::JOBS);
    if let Some(namespace) = &filter.namespace {
        query.push(" AND namespace = ").push_bind(namespace.as_str());
    }
    if !filter.query.is_empty() {
        query.push(" AND job_id >= ").push_bind(filter.query.as_str());
        query.push(" AND job_id < ").push_bind(past_prefix(&filter.query));
    }
    if !filter.show_deleted {
        query.push(" AND delete_time IS NULL");
    }
    push_labels(&mut query, &filter.labels, "definition, '$.labels'");
    if let Some((key, uid)) = &page.after {
        query.push(" AND (namespace, job_id, uid) > (").push_bind(key.namespace.as_str());
        query.push(", ").push_bind(key.job_id.as_str()).push(", ").push_bind(uid.0).push(")");
    }
    query.push(" ORDER BY namespace, job_id, uid LIMIT ").push_bind(one_more(page.size));
    query
}

/// Above every text that begins with `prefix` and holds no character of the last plane's end.
fn past_prefix(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}
