//! The leader's calls, each one transaction.

use std::time::Duration;

use async_trait::async_trait;
use scheduler_core::ids::{Epoch, JobUid};
use scheduler_core::time::{Timestamp, micros};
use scheduler_core::txn::{
    Changes, Failure, Known, Purge, Purged, RequestKey, RequestRow, Snapshot, Survey, TakeOver, TookOver, Transaction,
};
use sqlx::Row;

use super::sessions::within;
use super::{Postgres, call, failure, load, purge, sql};
use crate::bounds::REQUEST_MEMORY;
use crate::leader::Leader;
use crate::rows;

/// How long a call that writes may take: longer than the server's own limits, so that it is reached only when nothing
/// comes back at all.
pub(super) const WRITE: Duration = Duration::from_secs(8);
/// How long a load of everything may take.
const LOAD: Duration = Duration::from_secs(120);

#[async_trait]
impl Leader for Postgres {
    async fn survey(&self) -> Result<Survey, Failure> {
        let refused = failure::before_commit;
        let mut session = self.surveying.take().await.map_err(refused)?;
        let row = within(WRITE, sqlx::query(sql::SURVEY).fetch_one(&mut *session)).await;
        let row = session.after(row).map_err(refused)?;
        Ok(Survey {
            ledger_time: Timestamp::from_micros(row.try_get("clock").map_err(refused)?),
            schedule_version: row.try_get("schedule_version").map_err(refused)?,
            longest_agent_ttl: rows::longest_agent_ttl(&row).map_err(refused)?,
            watermark: row.try_get::<Option<i64>, _>("watermark").map_err(refused)?.map(Timestamp::from_micros),
        })
    }

    async fn load_changes(&self, above: i64, most: u32) -> Result<Changes, Failure> {
        let refused = failure::before_commit;
        let mut session = self.surveying.snapshot().await.map_err(refused)?;
        let changes = within(LOAD, load::changes(&mut session, above, most)).await.map_err(refused)?;
        session.end().await.map_err(refused)?;
        Ok(changes)
    }

    async fn take_over(&self, take_over: &TakeOver) -> Result<TookOver, Failure> {
        let mut session = self.leading.take().await.map_err(failure::before_commit)?;
        let answer = within(WRITE, call::take_over(&mut session, take_over)).await;
        session.after(answer).map_err(failure::at_commit)?
    }

    async fn load(&self, epoch: Epoch, entered_since: Timestamp, known: Option<&Known>) -> Result<Snapshot, Failure> {
        let refused = failure::before_commit;
        let mut session = self.surveying.snapshot().await.map_err(refused)?;
        let loaded = within(LOAD, load::snapshot(&mut session, epoch, entered_since, known)).await.map_err(refused)?;
        session.end().await.map_err(refused)?;
        loaded
    }

    async fn load_job(&self, epoch: Epoch, job: JobUid, entered_since: Timestamp) -> Result<Snapshot, Failure> {
        let refused = failure::before_commit;
        let mut session = self.surveying.snapshot().await.map_err(refused)?;
        let loaded = within(LOAD, load::job(&mut session, epoch, job, entered_since)).await.map_err(refused)?;
        session.end().await.map_err(refused)?;
        loaded
    }

    async fn find_requests(&self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, Failure> {
        let refused = failure::before_commit;
        let column = |of: fn(&RequestKey) -> &String| keys.iter().map(of).cloned().collect::<Vec<_>>();
        let query = sqlx::query(sql::FIND_REQUESTS)
            .bind(column(|key| &key.namespace))
            .bind(column(|key| &key.method))
            .bind(column(|key| &key.request_id))
            .bind(micros(REQUEST_MEMORY));
        let mut session = self.surveying.take().await.map_err(refused)?;
        let found = within(WRITE, query.fetch_all(&mut *session)).await;
        let found = session.after(found).map_err(refused)?;
        found.iter().map(rows::request).collect::<sqlx::Result<_>>().map_err(refused)
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), Failure> {
        let session = self.leading.take_for(transaction.epoch, &self.node).await;
        let mut session = session.map_err(failure::before_commit)?;
        match within(WRITE, call::commit(&mut session, transaction)).await {
            Err(error) if failure::is_conflict(&error) => {
                let found = within(WRITE, call::conflict(&mut session, &transaction.entered)).await;
                let found = session.after(found).map_err(failure::before_commit)?;
                Err(found.unwrap_or_else(|| failure::at_commit(error)))
            }
            answer => session.after(answer).map_err(failure::at_commit)?,
        }
    }

    async fn purge(&self, epoch: Epoch, purge: &Purge, most: u32) -> Result<Purged, Failure> {
        // What is to go is looked for beside the sessions that write, which have better to do.
        let refused = failure::before_commit;
        let mut session = self.surveying.snapshot().await.map_err(refused)?;
        let chosen = within(LOAD, purge::choose(&mut session, purge, most)).await.map_err(refused)?;
        session.end().await.map_err(refused)?;
        if chosen.is_empty() {
            return Ok(Purged { more: false, ..Purged::default() });
        }
        let mut session = self.leading.take_for(epoch, &self.node).await.map_err(refused)?;
        let answer = within(WRITE, purge::delete(&mut session, epoch, &chosen)).await;
        session.after(answer).map_err(failure::at_commit)?
    }
}
