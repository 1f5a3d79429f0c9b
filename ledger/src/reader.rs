use std::collections::BTreeMap;

use async_trait::async_trait;
use scheduler_core::agent::LogSource;
use scheduler_core::backfill::Backfill;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{AgentId, BackfillId, JobUid, RunId};
use scheduler_core::job::{Job, JobKey, JobState};
use scheduler_core::run::{Attempt, Run, RunState, Trigger};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Change, PurgeFilter};

use crate::fire::FireRecord;
use crate::stats::{Span, Stats};

/// A read that failed; reads change nothing, so there is nothing more to know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unreadable {
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// A row that this version does not understand.
    #[error("a row of the ledger cannot be read: {0}")]
    Corrupt(String),
}

/// Which jobs a list names. Empty means no restriction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// `None`: all namespaces.
    pub namespace: Option<String>,
    /// A prefix of the job's id.
    pub query: String,
    /// All must match.
    pub labels: BTreeMap<String, String>,
    pub show_deleted: bool,
    /// Deleted ones too, if they are named here. The ledger does not evaluate schedules: to it a completed job
    /// is an active one.
    pub states: Vec<JobState>,
}

/// Where a list of jobs goes on: by name, or by the latest change first.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOrder {
    ByName { after: Option<(JobKey, JobUid)> },
    ByUpdateTime { after: Option<(Timestamp, JobUid)> },
}

/// Which runs a list names. Empty means no restriction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFilter {
    pub namespace: Option<String>,
    /// All jobs of this id in the namespace, deleted ones too.
    pub job_id: Option<String>,
    /// A prefix of the job's id.
    pub query: String,
    pub states: Vec<RunState>,
    pub triggers: Vec<Trigger>,
    pub agent_id: Option<AgentId>,
    pub backfill_id: Option<BackfillId>,
    /// All must match.
    pub labels: BTreeMap<String, String>,
    /// Inclusive.
    pub scheduled_after: Option<Timestamp>,
    /// Exclusive.
    pub scheduled_before: Option<Timestamp>,
    pub changed_since: Option<Since>,
}

/// Runs that may have changed since somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Runs with lower ids had ended by then.
    pub floor: RunId,
    /// Runs that ended before this had ended by then.
    pub ended: Timestamp,
}

/// Which part of a list: up to `size` items after the one that `after` names.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<K> {
    pub size: u32,
    pub after: Option<K>,
}

/// A part of a list, and whether there is more.
#[derive(Debug, Clone, PartialEq)]
pub struct PageOf<T> {
    pub items: Vec<T>,
    pub more: bool,
}

/// A run with its later attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    pub run: Run,
    /// The second and later, ascending.
    pub later_attempts: Vec<Attempt>,
    /// What agents said of attempts, by number, after they were given up.
    pub late_outcomes: BTreeMap<u32, String>,
}

impl StoredRun {
    /// The attempt that the run's agent, slot and token are those of.
    pub fn latest_attempt(&self) -> Option<&Attempt> {
        self.later_attempts.last().or(self.run.first_attempt.as_ref())
    }
}

/// A job as one change left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    pub job: Job,
    pub change: Change,
    pub author: String,
    pub note: String,
}

/// A namespace and how many live jobs it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub name: String,
    pub jobs: u64,
}

/// A piece of a task's output, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedChunk {
    pub attempt: u32,
    pub sequence: u64,
    pub source: LogSource,
    pub time: Timestamp,
    pub data: Vec<u8>,
    pub cut_bytes: u64,
}

/// What any node reads. No method writes.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The live job of that name, else the latest deleted one.
    async fn job(&self, key: &JobKey) -> Result<Option<Job>, Unreadable>;

    async fn job_by_uid(&self, uid: JobUid) -> Result<Option<Job>, Unreadable>;

    /// Up to `size`. By name: namespace, job id and (deleted ones of the same id) uid, ascending.
    async fn jobs(&self, filter: &JobFilter, order: &JobOrder, size: u32) -> Result<PageOf<Job>, Unreadable>;

    /// Those of a job, the newest first.
    async fn revisions(&self, job: JobUid, page: &Page<i64>) -> Result<PageOf<Revision>, Unreadable>;

    /// Those that a job or calendar has named, ascending.
    async fn namespaces(&self, page: &Page<String>) -> Result<PageOf<Namespace>, Unreadable>;

    async fn calendar(&self, key: &CalendarKey) -> Result<Option<Calendar>, Unreadable>;

    /// By namespace and id, ascending; of one namespace or (`None`) of all, those whose id begins with `query`.
    async fn calendars(
        &self,
        namespace: Option<&str>,
        query: &str,
        page: &Page<CalendarKey>,
    ) -> Result<PageOf<Calendar>, Unreadable>;

    /// How many jobs there are that are not deleted.
    async fn count_jobs(&self) -> Result<u64, Unreadable>;

    /// The latest row of each job that is a run or a recorded non-run, for those that have one.
    async fn last_runs(&self, jobs: &[JobUid]) -> Result<BTreeMap<JobUid, Run>, Unreadable>;

    async fn backfill(&self, id: BackfillId) -> Result<Option<Backfill>, Unreadable>;

    /// All that is known of an instant of a job; `None`: no job ever had the name.
    async fn fire(&self, key: &JobKey, time: Timestamp) -> Result<Option<FireRecord>, Unreadable>;

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>, Unreadable>;

    /// The newest first, by id.
    async fn runs(&self, filter: &RunFilter, page: &Page<RunId>) -> Result<PageOf<StoredRun>, Unreadable>;

    /// Those of these that there are, by id.
    async fn runs_by_id(&self, ids: &[RunId]) -> Result<Vec<StoredRun>, Unreadable>;

    /// How many runs there are from this id on, counted up to `most`.
    async fn count_runs_from(&self, floor: RunId, most: u32) -> Result<u64, Unreadable>;

    /// Counts and measures of the runs of a span.
    async fn run_stats(&self, span: &Span) -> Result<Stats, Unreadable>;

    /// How many runs a purge would delete, counted up to `most`.
    async fn count_purged(&self, filter: &PurgeFilter, most: u32) -> Result<u64, Unreadable>;

    /// The output of a run by attempt number and sequence, after the given one.
    async fn logs(&self, run: RunId, after: Option<(u32, u64)>, size: u32) -> Result<PageOf<LoggedChunk>, Unreadable>;

    /// Whether the ledger answers.
    async fn ping(&self) -> Result<(), Unreadable>;
}
