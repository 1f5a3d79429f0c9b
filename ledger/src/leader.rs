use async_trait::async_trait;
use scheduler_core::ids::{Epoch, JobUid};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{
    Call, Changes, Done, Failure, Known, Purge, Purged, RequestKey, RequestRow, Snapshot, Survey, TakeOver, TookOver,
    Transaction,
};

/// What the leader does to the ledger. Each method is one transaction.
#[async_trait]
pub trait Leader: Send + Sync {
    /// What a node must know before it stands for election (rules 11, 15 and 17). It needs no epoch.
    async fn survey(&self) -> Result<Survey, Failure>;

    /// The next `most` jobs whose last change has a number above this one, and all calendars. It needs no epoch.
    async fn load_changes(&self, above: i64, most: u32) -> Result<Changes, Failure>;

    /// Ends the previous term and begins the next (PROTOCOL.md, rule 12).
    async fn take_over(&self, take_over: &TakeOver) -> Result<TookOver, Failure>;

    /// What a new leader must know: all jobs but those `known`, rows entered since, unended runs.
    async fn load(&self, epoch: Epoch, entered_since: Timestamp, known: Option<&Known>) -> Result<Snapshot, Failure>;

    /// The same of one job, the deleted ones that have expired included.
    async fn load_job(&self, epoch: Epoch, job: JobUid, entered_since: Timestamp) -> Result<Snapshot, Failure>;

    /// Which of these requests were answered within the last 24 h.
    async fn find_requests(&self, keys: &[RequestKey]) -> Result<Vec<RequestRow>, Failure>;

    /// Writes all of it, or nothing; again with the same ids, it changes nothing.
    async fn commit(&self, transaction: &Transaction) -> Result<(), Failure>;

    /// Deletes up to `most` runs of what is not kept any more, with what belongs to them.
    async fn purge(&self, epoch: Epoch, purge: &Purge, most: u32) -> Result<Purged, Failure>;

    /// Carries out what the engine asked for.
    async fn call(&self, call: Call) -> Result<Done, Failure> {
        match call {
            Call::Survey => self.survey().await.map(Done::Surveyed),
            Call::LoadChanges { above, most } => {
                self.load_changes(above, most).await.map(|changes| Done::LoadedChanges(Box::new(changes)))
            }
            Call::TakeOver(take_over) => self.take_over(&take_over).await.map(Done::TookOver),
            Call::Load { epoch, entered_since, known } => {
                let loaded = self.load(epoch, entered_since, known.as_ref()).await;
                loaded.map(|snapshot| Done::Loaded(Box::new(snapshot)))
            }
            Call::LoadJob { epoch, job, entered_since } => {
                self.load_job(epoch, job, entered_since).await.map(|snapshot| Done::LoadedJob(Box::new(snapshot)))
            }
            Call::FindRequests(keys) => self.find_requests(&keys).await.map(Done::FoundRequests),
            Call::Purge { epoch, purge, most } => self.purge(epoch, &purge, most).await.map(Done::Purged),
            Call::Commit(transaction) => self.commit(&transaction).await.map(|()| Done::Committed),
        }
    }
}
