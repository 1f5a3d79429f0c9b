//! What any node reads. Lists that belong together are read in one snapshot.

mod fire;
mod jobs;
mod runs;
mod stats;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use scheduler_core::backfill::Backfill;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{BackfillId, JobUid, RunId};
use scheduler_core::job::{Job, JobKey};
use scheduler_core::run::Run;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::PurgeFilter;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{QueryBuilder, Row};
use uuid::Uuid;

use super::sessions::within;
use super::{Postgres, purge, sql};
use crate::fire::FireRecord;
use crate::paging::{one_more, page_of};
use crate::reader::{
    JobFilter, JobOrder, LoggedChunk, Namespace, Page, PageOf, Reader, Revision, RunFilter, StoredRun, Unreadable,
};
use crate::rows;
use crate::stats::{Span, Stats};

pub(super) use runs::{jobs_of_id, push_names};

/// How long a statement may take: longer than the server's own limit, so that it is reached only when nothing comes back.
const READ: Duration = Duration::from_secs(65);

impl Postgres {
    /// The rows of one statement.
    pub(super) async fn rows(&self, query: Query<'_, sqlx::Postgres, PgArguments>) -> Result<Vec<PgRow>, Unreadable> {
        let mut session = self.reading.take().await?;
        let rows = within(READ, query.fetch_all(&mut *session)).await;
        Ok(session.after(rows)?)
    }

    /// The row of one that finds one at most.
    pub(super) async fn row(&self, query: Query<'_, sqlx::Postgres, PgArguments>) -> Result<Option<PgRow>, Unreadable> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    async fn count(&self, query: Query<'_, sqlx::Postgres, PgArguments>) -> Result<u64, Unreadable> {
        let row = self.row(query).await?.ok_or(sqlx::Error::RowNotFound)?;
        let count: i64 = row.try_get("count")?;
        Ok(count.unsigned_abs())
    }
}

#[async_trait]
impl Reader for Postgres {
    async fn job(&self, key: &JobKey) -> Result<Option<Job>, Unreadable> {
        let query = sqlx::query(sql::JOB_BY_KEY).bind(key.namespace.as_str()).bind(key.job_id.as_str());
        Ok(self.row(query).await?.as_ref().map(rows::job).transpose()?)
    }

    async fn job_by_uid(&self, uid: JobUid) -> Result<Option<Job>, Unreadable> {
        let query = sqlx::query(sql::JOB_BY_UID).bind(uid.0);
        Ok(self.row(query).await?.as_ref().map(rows::job).transpose()?)
    }

    async fn jobs(&self, filter: &JobFilter, order: &JobOrder, size: u32) -> Result<PageOf<Job>, Unreadable> {
        let rows = self.rows(jobs::query(filter, order, size).build()).await?;
        let jobs = rows.iter().map(rows::job).collect::<sqlx::Result<_>>()?;
        Ok(page_of(jobs, size))
    }

    async fn revisions(&self, job: JobUid, page: &Page<i64>) -> Result<PageOf<Revision>, Unreadable> {
        let query = sqlx::query(sql::REVISIONS).bind(job.0).bind(page.after.unwrap_or(i64::MAX));
        let rows = self.rows(query.bind(one_more(page.size))).await?;
        let revisions = rows.iter().map(rows::revision).collect::<sqlx::Result<_>>()?;
        Ok(page_of(revisions, page.size))
    }

    async fn namespaces(&self, page: &Page<String>) -> Result<PageOf<Namespace>, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
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
        snapshot.end().await?;
        Ok(page_of(found, page.size))
    }

    async fn calendar(&self, key: &CalendarKey) -> Result<Option<Calendar>, Unreadable> {
        let query = sqlx::query(sql::CALENDAR).bind(key.namespace.as_str()).bind(key.calendar_id.as_str());
        Ok(self.row(query).await?.as_ref().map(rows::calendar).transpose()?)
    }

    async fn calendars(
        &self,
        namespace: Option<&str>,
        query: &str,
        page: &Page<CalendarKey>,
    ) -> Result<PageOf<Calendar>, Unreadable> {
        let (after_namespace, after_id) =
            page.after.as_ref().map_or(("", ""), |key| (key.namespace.as_str(), key.calendar_id.as_str()));
        let query = sqlx::query(sql::CALENDARS)
            .bind(after_namespace)
            .bind(after_id)
            .bind(namespace)
            .bind(query)
            .bind(one_more(page.size));
        let calendars = self.rows(query).await?.iter().map(rows::calendar).collect::<sqlx::Result<_>>()?;
        Ok(page_of(calendars, page.size))
    }

    async fn count_jobs(&self) -> Result<u64, Unreadable> {
        self.count(sqlx::query(sql::COUNT_JOBS)).await
    }

    async fn last_runs(&self, jobs: &[JobUid]) -> Result<BTreeMap<JobUid, Run>, Unreadable> {
        let wanted: Vec<Uuid> = jobs.iter().map(|uid| uid.0).collect();
        let rows = self.rows(sqlx::query(sql::LAST_RUNS).bind(wanted)).await?;
        let runs = rows.iter().map(|row| rows::run(row).map(|run| (run.job_uid, run)));
        Ok(runs.collect::<sqlx::Result<_>>()?)
    }

    async fn backfill(&self, id: BackfillId) -> Result<Option<Backfill>, Unreadable> {
        let query = sqlx::query(sql::BACKFILL).bind(id.0);
        Ok(self.row(query).await?.as_ref().map(rows::backfill).transpose()?)
    }

    async fn fire(&self, key: &JobKey, time: Timestamp) -> Result<Option<FireRecord>, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
        let fire = fire::read(&mut snapshot, key, time).await?;
        snapshot.end().await?;
        Ok(fire)
    }

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
        let row = sqlx::query(sql::RUN).bind(id.0).fetch_optional(&mut *snapshot).await?;
        let run = row.as_ref().map(rows::run).transpose()?;
        let mut stored = runs::with_later_attempts(&mut snapshot, run.into_iter().collect()).await?.pop();
        if let Some(stored) = &mut stored {
            for row in sqlx::query(sql::LATE_OUTCOMES).bind(id.0).fetch_all(&mut *snapshot).await? {
                stored.late_outcomes.insert(rows::count(&row, "number")?, row.try_get("outcome")?);
            }
        }
        snapshot.end().await?;
        Ok(stored)
    }

    async fn runs(&self, filter: &RunFilter, page: &Page<RunId>) -> Result<PageOf<StoredRun>, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
        let PageOf { items, more } = page_of(runs::list(&mut snapshot, filter, page).await?, page.size);
        let items = runs::with_later_attempts(&mut snapshot, items).await?;
        snapshot.end().await?;
        Ok(PageOf { items, more })
    }

    async fn runs_by_id(&self, ids: &[RunId]) -> Result<Vec<StoredRun>, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
        let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(sql::RUNS_BY_ID).bind(wanted).fetch_all(&mut *snapshot).await?;
        let runs = rows.iter().map(rows::run).collect::<sqlx::Result<_>>()?;
        let stored = runs::with_later_attempts(&mut snapshot, runs).await?;
        snapshot.end().await?;
        Ok(stored)
    }

    async fn count_runs_from(&self, floor: RunId, most: u32) -> Result<u64, Unreadable> {
        self.count(sqlx::query(sql::COUNT_RUNS_FROM).bind(floor.0).bind(i64::from(most))).await
    }

    async fn run_stats(&self, span: &Span) -> Result<Stats, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
        let stats = stats::measure(&mut snapshot, span).await?;
        snapshot.end().await?;
        Ok(stats)
    }

    async fn count_purged(&self, filter: &PurgeFilter, most: u32) -> Result<u64, Unreadable> {
        let mut snapshot = self.reading.snapshot().await?;
        let purged = purge::asked(&mut snapshot, filter, most).await?.len();
        snapshot.end().await?;
        Ok(purged as u64)
    }

    async fn logs(&self, run: RunId, after: Option<(u32, u64)>, size: u32) -> Result<PageOf<LoggedChunk>, Unreadable> {
        let (attempt, sequence) = after.unwrap_or((0, 0));
        let query = sqlx::query(sql::LOGS).bind(run.0).bind(i64::from(attempt)).bind(rows::stored_count(sequence));
        let rows = self.rows(query.bind(one_more(size))).await?;
        let chunks = rows.iter().map(rows::logged_chunk).collect::<sqlx::Result<_>>()?;
        Ok(page_of(chunks, size))
    }

    async fn ping(&self) -> Result<(), Unreadable> {
        self.rows(sqlx::query(sql::PING)).await.map(drop)
    }
}

/// Restricts a list to rows that have all of `labels`.
fn push_labels(
    query: &mut QueryBuilder<sqlx::Postgres>,
    labels: &BTreeMap<String, String>,
    (before, after): (&'static str, &'static str),
) {
    if !labels.is_empty() {
        query.push(before).push_bind(rows::stored_json(labels)).push(after);
    }
}
