//! What the leader asks of the ledger, as data: the engine makes it, the shell hands it on, a back end
//! carries it out, and the simulation's model does too.
//!
//! Values are absolute (set, not add) and ids are made before the write, so that a transaction whose
//! outcome is unknown is simply run again (PROTOCOL.md, rules 3 and 5).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::{Cordon, LogChunk};
use crate::audit::Event;
use crate::backfill::{self, Backfill};
use crate::calendar::{Calendar, CalendarKey};
use crate::ids::{AgentId, AttemptId, BackfillId, Epoch, FencingToken, JobUid, NodeId, RunId};
use crate::job::{Counts, Job};
use crate::run::{Attempt, Run, RunState};
use crate::text_enum::text_enum;
use crate::time::Timestamp;

/// One of the engine's calls to the ledger; its answer comes back under the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// What the engine asks of the ledger. Each is one transaction.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    /// What a node that does not lead must know before it stands.
    Survey,
    /// What has changed, for a node that does not lead and wants to know all jobs when it does: a page of it.
    LoadChanges {
        above: i64,
        /// Jobs.
        most: u32,
    },
    TakeOver(TakeOver),
    /// Everything a new leader must know, read under its epoch.
    Load {
        epoch: Epoch,
        /// Rows entered since this instant are told too: the watermark less what clocks may differ.
        entered_since: Timestamp,
        /// What it knows already; `None`: nothing.
        known: Option<Known>,
    },
    /// The same of one job: the engine's memory of it is thrown away.
    LoadJob {
        epoch: Epoch,
        job: JobUid,
        entered_since: Timestamp,
    },
    /// Which of these requests have been answered before.
    FindRequests(Vec<RequestKey>),
    Commit(Arc<Transaction>),
    /// Deletes a batch of what is not kept any more.
    Purge {
        epoch: Epoch,
        purge: Purge,
        /// Runs; of the memory of requests: rows.
        most: u32,
    },
}

/// The ledger's answer to a [`Call`], of the same kind.
#[derive(Clone, PartialEq, Debug)]
pub enum Done {
    Surveyed(Survey),
    LoadedChanges(Box<Changes>),
    TookOver(TookOver),
    Loaded(Box<Snapshot>),
    /// Of one job, or of none if there is none.
    LoadedJob(Box<Snapshot>),
    FoundRequests(Vec<RequestRow>),
    Committed,
    Purged(Purged),
}

/// Runs with their attempts and logs, the oldest first, or the memory of requests. Runs that have not ended stay, and so
/// do those that are later than an hour before the watermark (rule 10).
#[derive(Clone, PartialEq, Debug)]
pub enum Purge {
    /// What is beyond what the jobs keep.
    Retention(Vec<Kept>),
    /// What jobs left that were deleted up to then; a job goes when nothing of it is left.
    ExpiredJobs { deleted_until: Timestamp },
    /// Numbered requests that were done before then: their numbers are forgotten (rule 1).
    Requests { before: Timestamp },
    /// What somebody asked to be deleted.
    Asked(PurgeFilter),
}

/// What a job keeps of its history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    pub job: JobUid,
    pub max_runs: u32,
    /// Runs that ended before this go.
    pub ended_since: Timestamp,
}

/// Which ended runs are to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeFilter {
    pub namespace: String,
    /// All jobs of this id, deleted ones too. `None`: all jobs.
    pub job_id: Option<String>,
    /// Empty: any end.
    pub states: Vec<RunState>,
    pub ended_before: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    pub runs: u64,
    /// Jobs that are gone.
    pub jobs: Vec<JobUid>,
    /// Another call may find more.
    pub more: bool,
}

/// Why the ledger did not do it, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Another leader has taken over: nothing was written, and nothing under this epoch ever will be.
    #[error("epoch {current} has replaced ours")]
    Deposed { current: Epoch },
    /// Somebody who was elected later has taken over already. Nothing was written.
    #[error("the ledger has a later election, of revision {}", .0.revision)]
    LaterElection(Election),
    /// Nothing was written.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// The connection was lost on the way: it was written, or not.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// Another row has this job's instant. Nothing was written.
    #[error("job {job_uid} already has a row for {scheduled_time}")]
    Conflict { job_uid: JobUid, scheduled_time: Timestamp },
    /// The ledger's clock is too far behind the watermark or the decision's time. Nothing was written.
    #[error("the ledger's clock says {ledger_time}")]
    Clock { ledger_time: Timestamp },
    /// A transaction of this term that was confirmed is not there: the ledger is a copy of before it. Nothing was written.
    #[error("the ledger has lost transaction {mark} of this term, which it had confirmed")]
    WentBack { mark: i64 },
    /// The ledger refuses the data itself. Nothing was written.
    #[error("the ledger refuses the data: {0}")]
    Refused(String),
}

/// The ledger as a node sees it that does not lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    pub ledger_time: Timestamp,
    /// Of who took over last; `None`: nobody has.
    pub schedule_version: Option<String>,
    /// The longest that agents were ever told they may go on; zero: nobody was told anything.
    pub longest_agent_ttl: Duration,
    /// Up to here every fire has been decided; `None`: nobody has led.
    pub watermark: Option<Timestamp>,
}

/// Jobs as they are, in the order of the changes that made them so, and all calendars: there are few.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Changes {
    /// The deleted ones included.
    pub jobs: Vec<Job>,
    pub calendars: Vec<Calendar>,
    /// Jobs may be left.
    pub more: bool,
    pub unreadable: Vec<Unreadable>,
}

/// The jobs that a new leader knows, so that it need not read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// All that were last changed up to this number, as that change left them.
    pub up_to: i64,
    /// Those of them whose definition asks for counts: these change without a change of the job.
    pub counted: Vec<JobUid>,
}

/// What jobs add up to. Two lists of the same sum have the same jobs after the same changes, since a change has a number of
/// its own: to be told by it that a memory is of another history than the ledger's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub jobs: u64,
    /// The low 32 bits of the number of each one's last change, summed up.
    pub changes: i64,
}

impl Tally {
    pub fn add(&mut self, change_seq: i64) {
        self.jobs += 1;
        self.changes += change_seq & 0xFFFF_FFFF;
    }

    pub fn take_away(&mut self, change_seq: i64) {
        self.jobs -= 1;
        self.changes -= change_seq & 0xFFFF_FFFF;
    }
}

/// A new leader's first transaction (rule 12): it ends the previous term.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TakeOver {
    pub node: NodeId,
    /// What this leader will tell agents.
    pub agent_ttl: Duration,
    /// Time zone data and evaluation of schedules (rule 11).
    pub schedule_version: String,
    /// What it was elected by; `None`: the lock on the ledger.
    pub election: Option<Election>,
    /// The ledger's election that this one may replace though it looks later: the coordinator has begun a new history.
    pub instead_of: Option<Election>,
}

/// An election, by its place in the coordinator's history: of two in one history the later counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Election {
    /// Which coordinator, by the id of its cluster; one that was rebuilt may have the same.
    pub coordinator: String,
    /// That made the leader's key.
    pub revision: i64,
}

impl TakeOver {
    /// The ledger's election, if it is later than this one: whoever was elected before steps down.
    pub fn comes_after(&self, last: Option<Election>) -> Option<Election> {
        let own = self.election.as_ref()?;
        let is_later = |last: &Election| last.coordinator == own.coordinator && last.revision > own.revision;
        last.filter(|last| is_later(last) && self.instead_of.as_ref() != Some(last))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TookOver {
    /// Above every earlier epoch, every token handed out, and the ledger's clock in milliseconds.
    pub epoch: Epoch,
    /// Up to here every fire has been decided; on a new ledger its clock.
    pub watermark: Timestamp,
    /// No token above it may be handed out before a higher one is committed.
    pub token_ceiling: FencingToken,
    /// The longest that any agent was ever told, this leader's included (rule 19).
    pub longest_agent_ttl: Duration,
}

/// What a new leader reads after its take-over.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Snapshot {
    /// All jobs, or those that have changed since what the leader knows; the deleted ones that have not expired included.
    pub jobs: Vec<Job>,
    /// Of a leader that knows jobs.
    pub since: Option<Since>,
    /// The last instant that a row entered since the given time covers, per job.
    pub covered: Vec<(JobUid, Timestamp)>,
    /// Every run that has not ended, with its latest attempt where that is not the first.
    pub unended: Vec<(Run, Option<Attempt>)>,
    pub calendars: Vec<Calendar>,
    /// Agents that get no new work.
    pub cordons: Vec<(AgentId, Cordon)>,
    /// Those that have instants left to enter.
    pub backfills: Vec<Backfill>,
    /// The highest of any job or calendar.
    pub last_change_seq: i64,
    pub unreadable: Vec<Unreadable>,
}

/// What a leader must hear besides of the jobs that it knows.
#[derive(Clone, PartialEq, Debug)]
pub struct Since {
    /// Of those that it asked about.
    pub counts: Vec<(JobUid, Counts)>,
    /// Of all jobs, the deleted ones that have not expired included.
    pub tally: Tally,
    /// Jobs that were deleted up to then have expired.
    pub expired_until: Timestamp,
}

/// A row that this version does not understand. It costs what it is about, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    pub row: UnreadableRow,
    pub why: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnreadableRow {
    Job(String),
    Calendar(String),
    Backfill(String),
    /// It has not ended, and may hold a slot of the job.
    Run {
        run: Option<RunId>,
        job: Option<JobUid>,
    },
}

impl fmt::Display for UnreadableRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(name) => write!(f, "job {name}"),
            Self::Calendar(name) => write!(f, "calendar {name}"),
            Self::Backfill(id) => write!(f, "backfill {id}"),
            Self::Run { run: Some(run), .. } => write!(f, "run {run}"),
            Self::Run { run: None, .. } => f.write_str("a run whose id cannot be read either"),
        }
    }
}

/// Everything that one transaction of the leader writes. It is refused as a whole when the epoch is not
/// the ledger's, or when the ledger has lost what it had confirmed.
#[derive(Clone, PartialEq, Debug)]
pub struct Transaction {
    pub epoch: Epoch,
    /// A number that it leaves behind, to be found by those after it: no other one of the term has it. `None`: it need not be
    /// found.
    pub mark: Option<i64>,
    /// Marks of transactions that the ledger has confirmed. SQLite does not look for them: a file has no copy that could take
    /// its place while a server has it.
    pub confirmed: Vec<i64>,
    /// The engine's clock; refused in SQL when it is too far beyond the ledger's (rule 6).
    pub decided_at: Timestamp,
    pub requests: Vec<RequestRow>,
    /// Events of the audit that tell of what clients asked for.
    pub audit: Vec<Event>,
    pub jobs: Vec<JobWrite>,
    /// New runs, by id.
    pub entered: Vec<Run>,
    /// Runs that exist, whole: their job, trigger and times of entry never change.
    pub updated: Vec<Run>,
    /// Second and later attempts, whole, new or changed.
    pub attempts: Vec<(RunId, Attempt)>,
    /// Counts of jobs that have them, as they now are.
    pub counts: Vec<(JobUid, Counts)>,
    pub calendars: Vec<CalendarWrite>,
    pub cordons: Vec<CordonWrite>,
    /// New backfills.
    pub backfills: Vec<Backfill>,
    /// How far backfills are with this transaction, which enters the runs.
    pub backfill_progress: Vec<(BackfillId, backfill::Progress)>,
    pub late_outcomes: Vec<LateOutcome>,
    pub logs: Vec<LogChunk>,
    pub watermark: Option<Timestamp>,
    pub token_ceiling: Option<FencingToken>,
}

impl Transaction {
    pub fn new(epoch: Epoch, decided_at: Timestamp) -> Self {
        Self {
            epoch,
            mark: None,
            confirmed: Vec::new(),
            decided_at,
            requests: Vec::new(),
            audit: Vec::new(),
            jobs: Vec::new(),
            entered: Vec::new(),
            updated: Vec::new(),
            attempts: Vec::new(),
            counts: Vec::new(),
            calendars: Vec::new(),
            cordons: Vec::new(),
            backfills: Vec::new(),
            backfill_progress: Vec::new(),
            late_outcomes: Vec::new(),
            logs: Vec::new(),
            watermark: None,
            token_ceiling: None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.audit.is_empty()
            && self.jobs.is_empty()
            && self.entered.is_empty()
            && self.updated.is_empty()
            && self.attempts.is_empty()
            && self.counts.is_empty()
            && self.calendars.is_empty()
            && self.cordons.is_empty()
            && self.backfills.is_empty()
            && self.backfill_progress.is_empty()
            && self.late_outcomes.is_empty()
            && self.logs.is_empty()
            && self.watermark.is_none()
            && self.token_ceiling.is_none()
    }

    /// The lowest number of the changes in it.
    pub fn first_change(&self) -> Option<i64> {
        let calendars = self.calendars.iter().filter_map(|write| match write {
            CalendarWrite::Put(calendar) => Some(calendar.change_seq),
            CalendarWrite::Delete(_) => None,
        });
        self.jobs.iter().map(|write| write.job.change_seq).chain(calendars).min()
    }
}

text_enum! {
    /// What made a revision of a job.
    Change {
        Create = "CREATE",
        Update = "UPDATE",
        Pause = "PAUSE",
        Resume = "RESUME",
        Enable = "ENABLE",
        Disable = "DISABLE",
        Delete = "DELETE",
        Undelete = "UNDELETE",
        /// Given the definition of an earlier revision.
        Restore = "RESTORE",
        /// A calendar that its schedule names was changed.
        Calendar = "CALENDAR",
    }
}

/// What becomes of a calendar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CalendarWrite {
    Put(Calendar),
    Delete(CalendarKey),
}

/// Whether an agent gets new work from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CordonWrite {
    pub agent: AgentId,
    /// `None`: it does again.
    pub cordon: Option<Cordon>,
}

/// A job as a change leaves it; its revision is recorded beside it.
#[derive(Clone, PartialEq, Debug)]
pub struct JobWrite {
    pub job: Job,
    pub change: Change,
    pub author: String,
    pub note: String,
}

/// What an agent said of an attempt after it was given up: a note for the history, no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LateOutcome {
    pub attempt: AttemptId,
    /// The outcome, with the error's code where there is one: `SUCCEEDED`, `FAILED EXIT_1`.
    pub outcome: String,
    pub time: Timestamp,
}

/// A request as its client numbered it: unique per namespace and method for 24 h.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestKey {
    pub namespace: String,
    /// `TriggerJob`
    pub method: String,
    pub request_id: String,
}

/// The memory of a numbered request, written with what it did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestRow {
    pub key: RequestKey,
    /// Of the bytes as first sent: the same number with other content is an error.
    pub digest: String,
    /// The job's uid or the run's id that the request made or changed.
    pub resource: String,
    pub time: Timestamp,
}
