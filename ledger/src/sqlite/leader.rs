//! The leader's calls, each one transaction.

use async_trait::async_trait;
use scheduler_core::ids::{Epoch, JobUid};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{
    Changes, Failure, Known, Purge, Purged, RequestKey, RequestRow, Snapshot, Survey, TakeOver, TookOver, Transaction,
};

use super::{Sqlite, commit, failure, leadership, load, purge, requests, writer};
use crate::leader::Leader;

#[async_trait]
impl Leader for Sqlite {
    async fn survey(&self) -> Result<Survey, Failure> {
        let mut reading = self.readers.begin().await.map_err(failure::before_commit)?;
        leadership::survey(&mut reading, self.now()).await.map_err(failure::before_commit)
    }

    async fn load_changes(&self, above: i64, most: u32) -> Result<Changes, Failure> {
        let mut reading = self.readers.begin().await.map_err(failure::before_commit)?;
        load::changes(&mut reading, above, most).await.map_err(failure::before_commit)
    }

    async fn take_over(&self, take_over: &TakeOver) -> Result<TookOver, Failure> {
        let mut turn = self.writer.turn().await;
        let mut transaction = turn.begin().await?;
        let took_over = leadership::take_over(&mut transaction, take_over, self.now()).await?;
        writer::commit(transaction).await?;
        Ok(took_over)
    }

    async fn load(&self, epoch: Epoch, entered_since: Timestamp, known: Option<&Known>) -> Result<Snapshot, Failure> {
        let mut reading = self.readers.begin().await.map_err(failure::before_commit)?;
        leadership::fence(&mut reading, epoch).await?;
        load::snapshot(&mut reading, self.now(), entered_since, known).await.map_err(failure::before_commit)
    }

    async fn load_job(&self, epoch: Epoch, job: JobUid, entered_since: Timestamp) -> Result<Snapshot, Failure> {
        let mut reading = self.readers.begin().await.map_err(failure::before_commit)?;
        leadership::fence(&mut reading, epoch).await?;
        load::job(&mut reading, job, entered_since).await.map_err(failure::before_commit)
    }

    async fn find_requests(&self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, Failure> {
        let mut reading = self.readers.begin().await.map_err(failure::before_commit)?;
        requests::find(&mut reading, keys, self.now()).await.map_err(failure::before_commit)
    }

    async fn commit(&self, transaction: &Transaction) -> Result<(), Failure> {
        let mut turn = self.writer.turn().await;
        let mut writing = turn.begin().await?;
        commit::write(&mut writing, transaction, self.now()).await?;
        writer::commit(writing).await
    }

    async fn purge(&self, epoch: Epoch, purge: &Purge, most: u32) -> Result<Purged, Failure> {
        // What is to go is looked for beside the writer, which has better to do.
        let mut reading = self.readers.begin().await.map_err(failure::before_commit)?;
        let chosen = purge::choose(&mut reading, purge, most).await.map_err(failure::before_commit)?;
        drop(reading);
        if chosen.is_empty() {
            return Ok(Purged { more: false, ..Purged::default() });
        }
        let mut turn = self.writer.turn().await;
        let mut writing = turn.begin().await?;
        leadership::fence(&mut writing, epoch).await?;
        let purged = purge::delete(&mut writing, &chosen).await.map_err(failure::before_commit)?;
        writer::commit(writing).await?;
        Ok(purged)
    }
}
