//! A transaction in the making, and what is to be done when it is in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::{Ack, LogAck, LogChunk};
use crate::audit::Event;
use crate::backfill::{Backfill, Progress};
use crate::calendar::CalendarKey;
use crate::ids::{AgentInstance, AttemptId, AuditEventId, BackfillId, FencingToken, JobUid, RunId};
use crate::job::Counts;
use crate::run::{Attempt, Run};
use crate::time::{Boot, Timestamp};
use crate::txn::{CalendarWrite, CordonWrite, JobWrite, LateOutcome, RequestRow, Transaction};

use super::inbox::Event as Inbound;
use super::input::RequestHandle;
use super::parts::Part;
use super::request::Answer;
use super::requests::Pending;

/// What waits for the commit.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Answer(RequestHandle, Box<Answer>),
    /// Answer with the calendar as this transaction leaves it.
    AnswerCalendar(RequestHandle, CalendarKey),
    /// Answer with the job as this transaction leaves it.
    AnswerJob(RequestHandle, JobUid),
    /// Answer with the backfill as this transaction leaves it.
    AnswerBackfill(RequestHandle, BackfillId),
    /// Answer with the run as this transaction leaves it.
    AnswerRun(RequestHandle, RunId),
    Ack(AgentInstance, Ack),
    LogAck(AgentInstance, LogAck),
    /// Send the attempt to its agent.
    Assign(AttemptId),
    /// Tell its agent to stop it.
    Cancel(AttemptId),
}

/// What asked for rows of a transaction, kept until they are in the ledger: if it refuses them, it is tried alone.
#[derive(Clone)]
pub(super) enum Cause {
    Request(Box<Pending>),
    Event(Inbound),
}

/// Rows collected for one transaction: the last word on each.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order of the changes: the last word on a job comes last.
    pub(super) jobs: Vec<JobWrite>,
    pub(super) counts: BTreeMap<JobUid, Counts>,
    pub(super) calendars: Vec<CalendarWrite>,
    pub(super) cordons: Vec<CordonWrite>,
    pub(super) backfills: Vec<Backfill>,
    pub(super) backfill_progress: BTreeMap<BackfillId, Progress>,
    /// Whose they are.
    pub(super) jobs_of_backfills: BTreeMap<BackfillId, JobUid>,
    pub(super) entered: BTreeSet<RunId>,
    /// Whole runs as they are to be stored, new and changed.
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) attempts: BTreeMap<(RunId, u32), Attempt>,
    pub(super) late: Vec<LateOutcome>,
    pub(super) logs: Vec<LogChunk>,
    pub(super) requests: Vec<RequestRow>,
    /// With the rows that each stands or falls with.
    pub(super) audit: Vec<(Part, Event)>,
    pub(super) then: Vec<Then>,
    pub(super) causes: Vec<(Part, Cause)>,
    /// Jobs that nothing else may touch until this is in the ledger.
    pub(super) touched: BTreeSet<JobUid>,
    /// The first instant of a schedule that it decides: the watermark may not pass it before the commit.
    pub(super) first_instant: Option<Timestamp>,
    pub(super) watermark: Option<Timestamp>,
    pub(super) token_ceiling: Option<FencingToken>,
}

impl Batch {
    /// Rows of runs so far.
    pub(super) fn rows(&self) -> usize {
        self.runs.len()
    }

    /// A run that is new with this transaction.
    pub(super) fn enter(&mut self, run: &Run) {
        self.entered.insert(run.id);
        self.write(run);
    }

    /// A run as it now is.
    pub(super) fn write(&mut self, run: &Run) {
        self.touched.insert(run.job_uid);
        self.runs.insert(run.id, run.clone());
    }

    pub(super) fn decided(&mut self, instant: Timestamp) {
        self.first_instant = Some(self.first_instant.map_or(instant, |first| first.min(instant)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
            && self.counts.is_empty()
            && self.calendars.is_empty()
            && self.cordons.is_empty()
            && self.backfills.is_empty()
            && self.backfill_progress.is_empty()
            && self.runs.is_empty()
            && self.attempts.is_empty()
            && self.late.is_empty()
            && self.logs.is_empty()
            && self.requests.is_empty()
            && self.audit.is_empty()
            && self.watermark.is_none()
            && self.token_ceiling.is_none()
    }

    pub(super) fn into_flight(self, mut transaction: Transaction) -> InFlight {
        transaction.requests = self.requests;
        let parts_of_events = self.audit.iter().map(|(part, event)| (event.id, *part)).collect();
        transaction.audit = self.audit.into_iter().map(|(_, event)| event).collect();
        transaction.jobs = self.jobs;
        transaction.counts = self.counts.into_iter().collect();
        transaction.calendars = self.calendars;
        transaction.cordons = self.cordons;
        transaction.backfills = self.backfills;
        transaction.backfill_progress = self.backfill_progress.into_iter().collect();
        let (entered, updated) = self.runs.into_values().partition(|run| self.entered.contains(&run.id));
        transaction.entered = entered;
        transaction.updated = updated;
        transaction.attempts = self.attempts.into_iter().map(|((run, _), attempt)| (run, attempt)).collect();
        transaction.late_outcomes = self.late;
        transaction.logs = self.logs;
        transaction.watermark = self.watermark;
        transaction.token_ceiling = self.token_ceiling;
        InFlight {
            transaction: Arc::new(transaction),
            then: self.then,
            causes: self.causes,
            parts_of_events,
            jobs_of_backfills: self.jobs_of_backfills,
            touched: self.touched,
            first_instant: self.first_instant,
            retry_at: None,
        }
    }
}

/// A transaction that the ledger has been asked for.
pub(super) struct InFlight {
    pub(super) transaction: Arc<Transaction>,
    pub(super) then: Vec<Then>,
    pub(super) causes: Vec<(Part, Cause)>,
    pub(super) parts_of_events: BTreeMap<AuditEventId, Part>,
    pub(super) jobs_of_backfills: BTreeMap<BackfillId, JobUid>,
    pub(super) touched: BTreeSet<JobUid>,
    pub(super) first_instant: Option<Timestamp>,
    /// It failed or its outcome is unknown: the same is asked for again then.
    pub(super) retry_at: Option<Boot>,
}
