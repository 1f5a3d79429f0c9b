//! Writes that clients ask for.

use std::collections::BTreeMap;

use crate::agent::StreamId;
use crate::ids::{AgentId, AgentInstance, Epoch};
use crate::job::{Definition, Job, JobKey, Payload};
use crate::run::Run;
use crate::time::Timestamp;
use crate::txn::RequestKey;
use crate::violation::Violations;

/// A validated write, with who asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// The client's number of the request, if it gave one.
    pub key: Option<RequestKey>,
    /// Of the request as first sent; compared when the same number comes again.
    pub digest: String,
    pub author: String,
    pub command: Command,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    CreateJob {
        job: JobKey,
        definition: Box<Definition>,
        validate_only: bool,
    },
    /// `etag`, where given, must be the job's. `allow_missing` creates.
    UpdateJob {
        job: JobKey,
        definition: Box<Definition>,
        etag: Option<String>,
        validate_only: bool,
    },
    DeleteJob {
        job: JobKey,
        etag: Option<String>,
    },
    PauseJob {
        job: JobKey,
        note: String,
    },
    ResumeJob {
        job: JobKey,
    },
    EnableJob {
        job: JobKey,
    },
    DisableJob {
        job: JobKey,
    },
    TriggerJob {
        job: JobKey,
        payload: Option<Payload>,
        labels: BTreeMap<String, String>,
        not_before: Option<Timestamp>,
    },
    /// What only the leader knows.
    Status,
}

impl Command {
    /// The job that the command is about, if it is about one.
    pub fn job(&self) -> Option<&JobKey> {
        match self {
            Self::CreateJob { job, .. }
            | Self::UpdateJob { job, .. }
            | Self::DeleteJob { job, .. }
            | Self::PauseJob { job, .. }
            | Self::ResumeJob { job }
            | Self::EnableJob { job }
            | Self::DisableJob { job }
            | Self::TriggerJob { job, .. } => Some(job),
            Self::Status => None,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Job(Box<Job>),
    Run(Box<Run>),
    /// The request was done before: its resource (a job's uid, a run's id) is in the ledger.
    Repeated(String),
    Status(Box<Status>),
}

/// Why a request was not done. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no job {0}")]
    JobNotFound(JobKey),
    #[error("there is a job {0} already")]
    JobExists(JobKey),
    #[error("job {0} is deleted")]
    JobDeleted(JobKey),
    #[error("job {0} is disabled: enable it first")]
    JobDisabled(JobKey),
    #[error("job {job} has changed: its etag is {etag}")]
    StaleEtag { job: JobKey, etag: String },
    #[error("{0}")]
    Invalid(Violations),
    #[error("request_id {0} was used for another request")]
    RequestIdReused(String),
    #[error("{0}")]
    Unavailable(&'static str),
    /// Leadership ended while the write was under way: it was done, or not.
    #[error("leadership ended during the write: it was done, or not")]
    OutcomeUnknown,
}

/// What only the leader knows.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    pub epoch: Epoch,
    pub watermark: Timestamp,
    pub agents: Vec<AgentStatus>,
    pub unended_runs: usize,
    /// Runs and due fires that wait for an agent or a slot.
    pub waiting: usize,
    pub stats: Stats,
}

#[derive(Clone, PartialEq, Debug)]
pub struct AgentStatus {
    pub id: AgentId,
    pub instance: AgentInstance,
    pub stream: Option<StreamId>,
    pub slots: u32,
    pub running: usize,
    pub draining: bool,
}

/// Counts since the start of this process.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    pub fires_entered: u64,
    pub fires_missed: u64,
    pub fires_skipped: u64,
    pub attempts_assigned: u64,
    pub attempts_lost: u64,
    pub runs_succeeded: u64,
    pub runs_failed: u64,
    pub transactions: u64,
    pub take_overs: u64,
}
