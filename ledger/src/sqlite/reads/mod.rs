//! What any node reads. Lists that belong together are read in one snapshot.

mod fire;
mod jobs;
mod runs;
mod stats;

use std::collections::BTreeMap;

use async_trait::async_trait;
use scheduler_core::backfill::Backfill;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{BackfillId, JobUid, RunId};
use scheduler_core::job::{Job, JobKey};
use scheduler_core::run::Run;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::PurgeFilter;
use sqlx::{QueryBuilder, Row};

use super::{Sqlite, purge, sql};
use crate::fire::FireRecord;
use crate::paging::{one_more, page_of};
use crate::reader::{
    JobFilter, JobOrder, LoggedChunk, Namespace, Page, PageOf, Reader, Revision, RunFilter, StoredRun, Unreadable,
};
use crate::rows;
use crate::stats::{Span, Stats};

pub(super) use runs::{jobs_of_id, push_names};

#[async_trait]
impl Reader for Sqlite {
    async fn job(&self, key: &JobKey) -> Result<Option<Job>, Unreadable> {
        let query = sqlx::query(sql::JOB_BY_KEY).bind(key.namespace.as_str()).bind(key.job_id.as_str());
        let row = query.fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(rows::job).transpose()?)
    }

    async fn job_by_uid(&self, uid: JobUid) -> Result<Option<Job>, Unreadable> {
        let row = sqlx::query(sql::JOB_BY_UID).bind(uid.0).fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(rows::job).transpose()?)
    }

    async fn jobs(&self, filter: &JobFilter, order: &JobOrder, size: u32) -> Result<PageOf<Job>, Unreadable> {
        let rows = jobs::query(filter, order, size).build().fetch_all(&self.readers).await?;
        let jobs = rows.iter().map(rows::job).collect::<sqlx::Result<_>>()?;
        Ok(page_of(jobs, size))
    }

    async fn revisions(&self, job: JobUid, page: &Page<i64>) -> Result<PageOf<Revision>, Unreadable> {
        let query = sqlx::query(sql::REVISIONS).bind(job.0).bind(page.after.unwrap_or(i64::MAX));
        let rows = query.bind(one_more(page.size)).fetch_all(&self.readers).await?;
        let revisions = rows.iter().map(rows::revision).collect::<sqlx::Result<_>>()?;
        Ok(page_of(revisions, page.size))
    }

    async fn namespaces(&self, page: &Page<String>) -> Result<PageOf<Namespace>, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        let mut found = Vec::new();
        let mut after = page.after.clone().unwrap_or_default();
        // A search for each, not a walk over all jobs.
        while found.len() <= page.size as usize {
            let next = sqlx::query_scalar(sql::NEXT_NAMESPACE).bind(&after);
            let Some(name) = next.fetch_one(&mut *snapshot).await? else { break };
            after = name;
            let jobs: i64 =
                sqlx::query_scalar(sql::COUNT_JOBS_OF_NAMESPACE).bind(&after).fetch_one(&mut *snapshot).await?;
            found.push(Namespace { name: after.clone(), jobs: jobs.unsigned_abs() });
        }
        Ok(page_of(found, page.size))
    }

    async fn calendar(&self, key: &CalendarKey) -> Result<Option<Calendar>, Unreadable> {
        let query = sqlx::query(sql::CALENDAR).bind(key.namespace.as_str()).bind(key.calendar_id.as_str());
        let row = query.fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(rows::calendar).transpose()?)
    }

    async fn calendars(
        &self,
        namespace: Option<&str>,
        query: &str,
        page: &Page<CalendarKey>,
    ) -> Result<PageOf<Calendar>, Unreadable> {
        let (after_namespace, after_id) =
            page.after.as_ref().map_or(("", ""), |key| (key.namespace.as_str(), key.calendar_id.as_str()));
        let rows = sqlx::query(sql::CALENDARS)
            .bind(after_namespace)
            .bind(after_id)
            .bind(namespace)
            .bind(query)
            .bind(i64::from(page.size) + 1)
            .fetch_all(&self.readers)
            .await?;
        let calendars = rows.iter().map(rows::calendar).collect::<sqlx::Result<_>>()?;
        Ok(page_of(calendars, page.size))
    }

    async fn count_jobs(&self) -> Result<u64, Unreadable> {
        Ok(sqlx::query_scalar(sql::COUNT_JOBS).fetch_one(&self.readers).await?)
    }

    async fn last_runs(&self, jobs: &[JobUid]) -> Result<BTreeMap<JobUid, Run>, Unreadable> {
        let wanted = id_list(jobs.iter().map(|uid| uid.0));
        let rows = sqlx::query(sql::LAST_RUNS).bind(wanted).fetch_all(&self.readers).await?;
        let runs = rows.iter().map(|row| rows::run(row).map(|run| (run.job_uid, run)));
        Ok(runs.collect::<sqlx::Result<_>>()?)
    }

    async fn backfill(&self, id: BackfillId) -> Result<Option<Backfill>, Unreadable> {
        let row = sqlx::query(sql::BACKFILL).bind(id.0).fetch_optional(&self.readers).await?;
        Ok(row.as_ref().map(rows::backfill).transpose()?)
    }

    async fn fire(&self, key: &JobKey, time: Timestamp) -> Result<Option<FireRecord>, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        Ok(fire::read(&mut snapshot, key, time).await?)
    }

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        let row = sqlx::query(sql::RUN).bind(id.0).fetch_optional(&mut *snapshot).await?;
        let run = row.as_ref().map(rows::run).transpose()?;
        let mut stored = runs::with_later_attempts(&mut snapshot, run.into_iter().collect()).await?.pop();
        if let Some(stored) = &mut stored {
            for row in sqlx::query(sql::LATE_OUTCOMES).bind(id.0).fetch_all(&mut *snapshot).await? {
                stored.late_outcomes.insert(rows::count(&row, "number")?, row.try_get("outcome")?);
            }
        }
        Ok(stored)
    }

    async fn runs(&self, filter: &RunFilter, page: &Page<RunId>) -> Result<PageOf<StoredRun>, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        let PageOf { items, more } = page_of(runs::list(&mut snapshot, filter, page).await?, page.size);
        Ok(PageOf { items: runs::with_later_attempts(&mut snapshot, items).await?, more })
    }

    async fn runs_by_id(&self, ids: &[RunId]) -> Result<Vec<StoredRun>, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        let rows = sqlx::query(sql::RUNS_BY_ID).bind(id_list(ids.iter().map(|id| id.0))).fetch_all(&mut *snapshot);
        let runs = rows.await?.iter().map(rows::run).collect::<sqlx::Result<_>>()?;
        Ok(runs::with_later_attempts(&mut snapshot, runs).await?)
    }

    async fn count_runs_from(&self, floor: RunId, most: u32) -> Result<u64, Unreadable> {
        let count = sqlx::query_scalar(sql::COUNT_RUNS_FROM).bind(floor.0).bind(most);
        Ok(count.fetch_one(&self.readers).await?)
    }

    async fn run_stats(&self, span: &Span) -> Result<Stats, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        Ok(stats::measure(&mut snapshot, span).await?)
    }

    async fn count_purged(&self, filter: &PurgeFilter, most: u32) -> Result<u64, Unreadable> {
        let mut snapshot = self.readers.begin().await?;
        Ok(purge::asked(&mut snapshot, filter, most).await?.len() as u64)
    }

    async fn logs(&self, run: RunId, after: Option<(u32, u64)>, size: u32) -> Result<PageOf<LoggedChunk>, Unreadable> {
        let (attempt, sequence) = after.unwrap_or((0, 0));
        let query = sqlx::query(sql::LOGS).bind(run.0).bind(attempt).bind(rows::stored_count(sequence));
        let rows = query.bind(one_more(size)).fetch_all(&self.readers).await?;
        let chunks = rows.iter().map(rows::logged_chunk).collect::<sqlx::Result<_>>()?;
        Ok(page_of(chunks, size))
    }

    async fn ping(&self) -> Result<(), Unreadable> {
        sqlx::query(sql::PING).fetch_optional(&self.readers).await?;
        Ok(())
    }
}

/// Ids as the JSON that a statement takes a list in.
pub(super) fn id_list(ids: impl Iterator<Item = uuid::Uuid>) -> String {
    let ids: Vec<String> = ids.map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}

/// Restricts a list to rows that have all of `labels`, which `column` holds as a JSON object.
fn push_labels(query: &mut QueryBuilder<sqlx::Sqlite>, labels: &BTreeMap<String, String>, column: &'static str) {
    if labels.is_empty() {
        return;
    }
    let (before_wanted, before_column, after) = sql::HAS_LABELS;
    query.push(before_wanted).push_bind(rows::stored_json(labels)).push(before_column).push(column).push(after);
}

#[cfg(test)]
pub(super) mod texts {
    //! The statements that are put together, for who asks SQLite about them.

    use super::{JobFilter, JobOrder, JobUid, Page, RunFilter, RunId, Span, jobs, runs, sql, stats};
    use crate::walk::Walk;

    pub(in crate::sqlite) fn job_list(filter: &JobFilter, order: &JobOrder) -> String {
        jobs::query(filter, order, 50).into_string()
    }

    pub(in crate::sqlite) fn run_list(job: Option<JobUid>, filter: &RunFilter, page: &Page<RunId>) -> String {
        let walk = job.map_or_else(|| Walk::of(filter), Walk::OfJob);
        runs::query(walk, filter, page).into_string()
    }

    pub(in crate::sqlite) fn runs_ahead(filter: &RunFilter, page: &Page<RunId>) -> String {
        runs::query(Walk::Ahead, filter, page).into_string()
    }

    pub(in crate::sqlite) fn jobs_of_prefix(namespace: Option<&str>) -> String {
        runs::prefix_query(namespace, "a").into_string()
    }

    pub(in crate::sqlite) fn run_stats(span: &Span) -> Vec<String> {
        let walks = [Walk::FiresOfJob(JobUid::at(span.start, 1)), Walk::OfNamespace("a"), Walk::All, Walk::Ahead];
        let of = |walk| {
            let measures = [sql::DURATION, sql::LATENESS].map(|what| stats::measure_query(walk, span, what));
            measures.into_iter().chain([stats::counts_query(walk, span)]).map(|query| query.into_string())
        };
        walks.into_iter().flat_map(of).collect()
    }
}
