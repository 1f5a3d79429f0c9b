//! Writes that clients ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::agent::{Cordon, Hello};
use crate::audit::Origin;
use crate::backfill::Backfill;
use crate::calendar::{self, Calendar, CalendarKey};
use crate::ids::{AgentId, AgentInstance, Epoch, JobUid, NodeId, RunId};
use crate::job::{Definition, Job, JobKey, Payload};
use crate::run::Run;
use crate::time::{Skew, Timestamp};
use crate::txn::{PurgeFilter, Purged, RequestKey};
use crate::violation::Violations;

use super::locks::{Lock, LockFilter};
use super::upcoming::NextFire;

/// A validated write, with who asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// The request's number, the client's own or one made up for it.
    pub key: Option<RequestKey>,
    /// The number was made up just now, so that nobody has used it: it need not be looked up.
    pub is_new: bool,
    /// Of the request as first sent; compared when the same number comes again.
    pub digest: String,
    pub author: String,
    /// Who asks, for the audit; `None`: it has no event.
    pub origin: Option<Origin>,
    pub command: Command,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    CreateJob {
        job: JobKey,
        definition: Box<Definition>,
        validate_only: bool,
    },
    /// `etag`, where given, must be the job's.
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
    /// The one of that name that was deleted last.
    UndeleteJob {
        job: JobKey,
    },
    /// The definition of an earlier revision, as the ledger has it.
    RestoreJobRevision {
        job: JobKey,
        definition: Box<Definition>,
        etag: Option<String>,
        note: String,
        validate_only: bool,
    },
    PauseJob {
        job: JobKey,
        note: String,
    },
    /// With `catch_up`, the fires of the paused span are made up, however late they are.
    ResumeJob {
        job: JobKey,
        catch_up: bool,
        note: String,
    },
    EnableJob {
        job: JobKey,
        note: String,
    },
    DisableJob {
        job: JobKey,
        note: String,
    },
    TriggerJob {
        job: JobKey,
        payload: Option<Payload>,
        labels: BTreeMap<String, String>,
        not_before: Option<Timestamp>,
    },
    /// A new run like `of`, which has ended; the reader of the ledger knows its payload and labels.
    RetryRun {
        job: JobKey,
        of: RunId,
        payload: Option<Payload>,
        labels: BTreeMap<String, String>,
    },
    /// Runs for the instants in `[start_time, end_time)`, which is past, at most `concurrency` at a time.
    BackfillJob {
        job: JobKey,
        start_time: Timestamp,
        end_time: Timestamp,
        /// A span with more fires is refused.
        max_runs: u32,
        concurrency: u32,
        validate_only: bool,
    },
    /// The note is for the run's `reason_message`.
    CancelRun {
        namespace: String,
        run: RunId,
        note: String,
    },
    CreateCalendar {
        calendar: CalendarKey,
        definition: Box<calendar::Definition>,
        validate_only: bool,
    },
    UpdateCalendar {
        calendar: CalendarKey,
        definition: Box<calendar::Definition>,
        etag: Option<String>,
        validate_only: bool,
    },
    DeleteCalendar {
        calendar: CalendarKey,
        etag: Option<String>,
    },
    /// Deletes up to `most` of the runs that the filter names.
    PurgeRuns {
        filter: PurgeFilter,
        most: u32,
    },
    /// What only the leader knows.
    Status,
    Agents,
    Locks(LockFilter),
    /// The next fire of each job, in the order of time: up to `most` after the one that `after` names.
    Upcoming {
        after: Option<(Timestamp, JobUid)>,
        most: usize,
    },
    /// The agent gets no new work until it is uncordoned.
    CordonAgent {
        agent: AgentId,
        note: String,
    },
    UncordonAgent {
        agent: AgentId,
    },
    /// It is asked to finish what it has and leave.
    DrainAgent {
        agent: AgentId,
    },
    /// Another node is to lead; `node`, where given, must be the one that does.
    StepDown {
        node: Option<NodeId>,
    },
}

impl Command {
    /// The job that the command is about, if it names one.
    pub fn job(&self) -> Option<&JobKey> {
        match self {
            Self::CreateJob { job, .. }
            | Self::UpdateJob { job, .. }
            | Self::DeleteJob { job, .. }
            | Self::UndeleteJob { job }
            | Self::RestoreJobRevision { job, .. }
            | Self::PauseJob { job, .. }
            | Self::ResumeJob { job, .. }
            | Self::EnableJob { job, .. }
            | Self::DisableJob { job, .. }
            | Self::TriggerJob { job, .. }
            | Self::RetryRun { job, .. }
            | Self::BackfillJob { job, .. } => Some(job),
            Self::CancelRun { .. }
            | Self::CreateCalendar { .. }
            | Self::UpdateCalendar { .. }
            | Self::DeleteCalendar { .. }
            | Self::PurgeRuns { .. }
            | Self::Status
            | Self::Agents
            | Self::Locks(_)
            | Self::Upcoming { .. }
            | Self::CordonAgent { .. }
            | Self::UncordonAgent { .. }
            | Self::DrainAgent { .. }
            | Self::StepDown { .. } => None,
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Job(Box<Job>),
    Run(Box<Run>),
    Calendar(Box<Calendar>),
    Backfill(Box<Backfill>),
    /// The request was done before: its resource (a job's uid, a run's or backfill's id, a calendar's key) is in the ledger.
    Repeated(String),
    Purged(Purged),
    Status(Box<Status>),
    Agents(Vec<AgentStatus>),
    Locks(Vec<Lock>),
    Upcoming(Vec<NextFire>),
    /// The node does not lead any more; its epoch has ended.
    SteppedDown {
        node: NodeId,
        epoch: Epoch,
    },
}

/// Why nobody could do a request. Nothing was written, and nothing will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Away {
    #[error("no leader is ready; nothing was done")]
    NoLeader,
    #[error("the ledger is not available; nothing was done")]
    Ledger,
    #[error("this server is stopping; nothing was done")]
    Stopping,
    #[error("the leader hands over to another node; nothing was done")]
    HandsOver,
    #[error("the leader cannot confirm at the moment that it still leads; nothing was done")]
    Suspended,
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
    #[error("job {0} has no instants that could be backfilled: its schedule is empty, or fires after completion")]
    NothingToBackfill(JobKey),
    #[error("{resource} has changed: its etag is {etag}")]
    StaleEtag { resource: String, etag: String },
    /// It has ended, or never was: the ledger knows.
    #[error("run {0} is not among those that have not ended")]
    RunNotLive(RunId),
    #[error("there is no calendar {0}")]
    CalendarNotFound(CalendarKey),
    #[error("there is a calendar {0} already")]
    CalendarExists(CalendarKey),
    #[error("calendar {calendar} is in use by job {job}")]
    CalendarInUse { calendar: CalendarKey, job: JobKey },
    #[error("{0}")]
    Invalid(Violations),
    #[error("the leader is {leader}, not {meant}")]
    AnotherLeads { meant: NodeId, leader: NodeId },
    #[error("no other node stands for election: nobody could lead instead")]
    NobodyElseStands,
    #[error("request_id {0} was used for another request")]
    RequestIdReused(String),
    #[error("the leader knows no agent {0}")]
    AgentNotFound(AgentId),
    #[error("agent {0} is not connected, so that nothing can be asked of it")]
    AgentAway(AgentId),
    /// Its data is such that no ledger takes it, which should have been found before.
    #[error("the ledger refuses the data; nothing was done: {0}")]
    RefusedByLedger(String),
    #[error(transparent)]
    Unavailable(#[from] Away),
    /// Leadership ended while the write was under way: it was done, or not.
    #[error("leadership ended during the write: it was done, or not")]
    OutcomeUnknown,
}

/// What only the leader knows.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    pub epoch: Epoch,
    /// It cannot confirm that it leads: it decides no fires and hands nothing out.
    pub suspended: bool,
    pub watermark: Timestamp,
    pub agents: AgentCounts,
    pub jobs: JobCounts,
    pub unended_runs: usize,
    /// Unended runs whose attempt has started.
    pub running_runs: usize,
    /// Runs and due fires that wait for an agent.
    pub waiting: usize,
    pub rates: Rates,
    /// How late attempts were handed out of late: half of them, and 99 of 100, at most.
    pub lateness: Option<(Duration, Duration)>,
    pub stats: Stats,
}

/// What was done per second over the last ten seconds.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Rates {
    pub fires: f64,
    pub dispatches: f64,
    pub completions: f64,
}

/// Jobs by the state that they show; deleted ones are not counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct JobCounts {
    pub active: usize,
    pub paused: usize,
    pub disabled: usize,
    pub completed: usize,
}

/// Instances of agents, and the slots of the connected ones.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AgentCounts {
    pub connected: usize,
    /// Without a stream, and perhaps still at work.
    pub away: usize,
    pub cordoned: usize,
    pub slots: usize,
    pub busy_slots: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub struct AgentStatus {
    pub id: AgentId,
    /// `None` when only its cordon is known.
    pub instance: Option<AgentInstance>,
    pub cordon: Option<Cordon>,
    /// When its stream came; `None` while it has none.
    pub connect_time: Option<Timestamp>,
    /// What it said of itself; `None` for an instance known only by its attempts in the ledger.
    pub hello: Option<Hello>,
    /// When it was last heard of, if it has been in this term.
    pub heartbeat_time: Option<Timestamp>,
    /// How far its machine's clock is from the ledger's, if it says.
    pub skew: Option<Skew>,
    /// It has been silent for so long that it gets no new work.
    pub is_stale: bool,
    pub running: usize,
    pub draining: bool,
}

impl AgentStatus {
    /// Of one that is known by its cordon only.
    pub(super) fn gone(id: AgentId, cordon: Cordon) -> Self {
        Self {
            id,
            instance: None,
            cordon: Some(cordon),
            connect_time: None,
            hello: None,
            heartbeat_time: None,
            skew: None,
            is_stale: true,
            running: 0,
            draining: false,
        }
    }

    pub fn slots(&self) -> u32 {
        self.hello.as_ref().map_or(0, |hello| hello.slots)
    }
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
    /// However they ended.
    pub runs_ended: u64,
    pub transactions: u64,
    pub take_overs: u64,
}
