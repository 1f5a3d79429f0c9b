//! Runs and attempts: their rows, their states, and every legal transition.

mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, AgentInstance, AttemptId, BackfillId, FencingToken, JobUid, RunId};
use crate::job::{JobKey, Payload};
use crate::text_enum::text_enum;
use crate::time::Timestamp;

pub use state::{AttemptEvent, AttemptState, IllegalTransition, RunEvent, RunState};

text_enum! {
    /// What made a run.
    Trigger {
        Schedule = "SCHEDULE",
        Manual = "MANUAL",
        Backfill = "BACKFILL",
        Retry = "RETRY",
        AfterJob = "AFTER_JOB",
    }
}

text_enum! {
    /// Why a run did not succeed, or what it waits for.
    Reason {
        /// PENDING: `not_before` has not come.
        NotDue = "NOT_DUE",
        /// MISSED: later than the job's `misfire_grace_time`.
        Late = "LATE",
        /// MISSED: more than 1,000 fires were due at once, and this was not among the latest.
        TooManyDue = "TOO_MANY_DUE",
        /// MISSED or SKIPPED: the job was changed before the fire was decided or started.
        JobChanged = "JOB_CHANGED",
        /// MISSED: between the backup and the restore of the ledger. FAILED, or a LOST attempt: under way at the backup.
        LedgerRestored = "LEDGER_RESTORED",
        /// SKIPPED: `max_instances` runs were active.
        Overlap = "OVERLAP",
        /// SKIPPED: `max_queued` runs were waiting.
        QueueFull = "QUEUE_FULL",
        /// SKIPPED: the job was paused before the run was handed out.
        Paused = "PAUSED",
        /// CANCELLED: the job was disabled before the run was handed out.
        Disabled = "DISABLED",
        /// CANCELLED: the job was deleted before the run was handed out.
        Deleted = "DELETED",
        /// PENDING: no connected agent that takes new work fits the job's queue and selector.
        NoAgent = "NO_AGENT",
        /// PENDING: no connected agent offers the task type.
        UnknownTaskType = "UNKNOWN_TASK_TYPE",
        /// PENDING: every agent that could take it is full.
        AgentsBusy = "AGENTS_BUSY",
        /// PENDING: the job's `max_instances` attempts are running.
        WaitingForSlot = "WAITING_FOR_SLOT",
        /// PENDING: the backfill's concurrency is used up.
        BackfillConcurrency = "BACKFILL_CONCURRENCY",
        /// PENDING: the last attempt did not succeed, `next_attempt_time` has not come.
        RetryBackoff = "RETRY_BACKOFF",
        /// PENDING: nothing is handed out while the coordinator is away.
        CoordinatorAway = "COORDINATOR_AWAY",
        /// FAILED: the task's last attempt failed.
        TaskFailed = "TASK_FAILED",
        /// TIMED_OUT: the last attempt ran into its `timeout`.
        Timeout = "TIMEOUT",
        /// FAILED: the agent of the last attempt was lost.
        AgentLost = "AGENT_LOST",
        /// FAILED, or a LOST attempt: the agent stopped it because its right to run ended.
        RightToRunEnded = "RIGHT_TO_RUN_ENDED",
        /// LOST attempt that never started: it is not counted, another follows.
        NotStarted = "NOT_STARTED",
        /// LOST attempt whose lock could not be taken, so that it was never sent. It is not counted.
        LockNotTaken = "LOCK_NOT_TAKEN",
        /// LOST attempt that its agent refused. It is not counted.
        RefusedByAgent = "REFUSED_BY_AGENT",
        /// LOST attempt that was taken back before it started. It is not counted.
        Revoked = "REVOKED",
        /// EXPIRED: waited longer than `start_deadline`.
        StartDeadline = "START_DEADLINE",
        /// CANCELLED: by request.
        CancelledByUser = "CANCELLED_BY_USER",
        /// CANCELLED: a later fire took its place (`CANCEL_RUNNING`).
        CancelledByOverlap = "CANCELLED_BY_OVERLAP",
        /// FAILED: the ledger refused the run's data.
        RefusedByLedger = "REFUSED_BY_LEDGER",
        /// An error of Punctual's own, which its log explains.
        Internal = "INTERNAL",
    }
}

/// What went wrong in a task, as its handler tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TaskError {
    /// `EXIT_1`, `HTTP_503`, `GRPC_UNAVAILABLE`, `TIMEOUT`, or the handler's own.
    pub code: String,
    pub message: String,
}

/// How far a running task says it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: f64,
    pub message: String,
}

/// One execution of a run on one agent instance, which never changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    pub state: AttemptState,
    pub agent_id: AgentId,
    pub agent_instance: AgentInstance,
    /// Which of the job's `max_instances` slots it holds.
    pub slot: u32,
    pub fencing_token: FencingToken,
    pub assign_time: Timestamp,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub reason: Option<Reason>,
    pub error: Option<TaskError>,
    pub exit_code: Option<i32>,
}

/// The ledger's record of one fire (or of several that were missed or coalesced), trigger or backfill.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub id: RunId,
    pub job_uid: JobUid,
    pub job_key: JobKey,
    /// The revision whose task and policies it has: of its last hand-out.
    pub job_revision: i64,
    pub trigger: Trigger,
    pub scheduled_time: Timestamp,
    /// 0 for rows that cover instants of the schedule; for all others a number made from the run id, so
    /// that `(job, scheduled_time, occurrence)` is unique.
    pub occurrence: i64,
    /// Exclusive start of the span of instants that this row decides; the last is `scheduled_time`.
    pub covers_from: Option<Timestamp>,
    pub decided_at: Timestamp,
    /// It is not due before this: the scheduled time plus jitter or delay.
    pub not_before: Timestamp,
    pub state: RunState,
    pub reason: Option<Reason>,
    pub reason_message: String,
    /// The number of the latest attempt; 0 before the first.
    pub attempt: u32,
    /// How many of its attempts do not count against `max_attempts`: they never started.
    pub uncounted_attempts: u32,
    pub next_attempt_time: Option<Timestamp>,
    /// The first attempt; it lives in the run's row. The later ones have rows of their own.
    pub first_attempt: Option<Attempt>,
    /// How many fires this record stands for, itself included.
    pub coalesced_count: u64,
    pub first_scheduled_time: Option<Timestamp>,
    pub retry_of: Option<RunId>,
    /// The backfill that entered it.
    pub backfill_id: Option<BackfillId>,
    pub labels: BTreeMap<String, String>,
    /// The job's payload with the trigger's merged over it, where there was one.
    pub payload: Option<Payload>,
    pub cancel_requested_time: Option<Timestamp>,
    pub create_time: Timestamp,
    /// When the latest attempt started.
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub progress: Option<Progress>,
    /// JSON text.
    pub result: Option<String>,
    pub error: Option<TaskError>,
    pub exit_code: Option<i32>,
}

impl Run {
    /// The occurrence number of a row that covers no instant: 63 bits of its id, never 0. The lowest bits are among
    /// them, since ids of the same instant may follow one another.
    pub fn occurrence_of(id: RunId) -> i64 {
        let bits = id.0.as_u128() as u64 ^ (id.0.as_u128() >> 64) as u64;
        i64::try_from(bits & i64::MAX.unsigned_abs()).expect("because 63 bits fit").max(1)
    }

    /// Attempts that count against `max_attempts`.
    pub fn counted_attempts(&self) -> u32 {
        self.attempt.saturating_sub(self.uncounted_attempts)
    }

    pub fn attempt_id(&self) -> AttemptId {
        AttemptId { run: self.id, number: self.attempt }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_that_follow_one_another_have_occurrences_of_their_own() {
        let first = RunId::at(Timestamp::from_secs(1), 7).0.as_u128();
        let occurrences = (0..1_000).map(|n| Run::occurrence_of(RunId(Uuid::from_u128(first + n))));
        assert_eq!(occurrences.collect::<BTreeSet<_>>().len(), 1_000);
    }
}
