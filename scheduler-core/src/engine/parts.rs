//! A transaction in parts that do not depend on each other, for the ledger that refuses the whole (rule 9).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::Event;
use crate::ids::{AttemptId, BackfillId, JobUid, RunId};
use crate::txn::{CalendarWrite, Change, CordonWrite, RequestKey, Transaction};

use super::batch::{Cause, InFlight, Then};
use super::input::RequestHandle;

/// Rows that stand or fall together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    /// What cannot be parted: calendars with the jobs that name them, cordons, and the ceiling of the tokens.
    Shared,
    Job(JobUid),
    /// A note with an attempt that has ended.
    Late(AttemptId),
    /// An attempt's output.
    Log(AttemptId),
}

/// Which rows of a transaction belong to which part.
pub(super) struct Parts {
    jobs: BTreeMap<RunId, JobUid>,
    shared: BTreeSet<JobUid>,
    by_handle: BTreeMap<RequestHandle, Part>,
    by_key: BTreeMap<RequestKey, Part>,
}

impl Parts {
    pub(super) fn of(flight: &InFlight) -> Self {
        let transaction = &flight.transaction;
        let runs = transaction.entered.iter().chain(&transaction.updated);
        let changed_by_calendar = transaction.jobs.iter().filter(|write| write.change == Change::Calendar);
        let mut parts = Self {
            jobs: runs.map(|run| (run.id, run.job_uid)).collect(),
            shared: changed_by_calendar.map(|write| write.job.uid).collect(),
            by_handle: BTreeMap::new(),
            by_key: BTreeMap::new(),
        };
        for (part, cause) in &flight.causes {
            let Cause::Request(pending) = cause else { continue };
            let part = parts.unless_shared(*part);
            parts.by_handle.insert(pending.handle, part);
            parts.by_key.extend(pending.request.key.clone().map(|key| (key, part)));
        }
        parts
    }

    pub(super) fn all(&self, flight: &InFlight) -> BTreeSet<Part> {
        let transaction = &flight.transaction;
        let shared =
            transaction.token_ceiling.is_some() || !transaction.calendars.is_empty() || !transaction.cordons.is_empty();
        (transaction.jobs.iter().map(|write| self.job(write.job.uid)))
            .chain(self.jobs.values().map(|uid| self.job(*uid)))
            .chain(transaction.counts.iter().map(|(uid, _)| self.job(*uid)))
            .chain(transaction.attempts.iter().map(|(run, _)| self.run(*run)))
            .chain(transaction.backfills.iter().map(|backfill| self.job(backfill.job_uid)))
            .chain(transaction.backfill_progress.iter().map(|(id, _)| self.backfill(flight, *id)))
            .chain(transaction.late_outcomes.iter().map(|note| Part::Late(note.attempt)))
            .chain(transaction.logs.iter().map(|chunk| Part::Log(chunk.attempt)))
            .chain(transaction.requests.iter().map(|row| self.request(&row.key)))
            .chain(transaction.audit.iter().map(|event| self.event(flight, event)))
            .chain(shared.then_some(Part::Shared))
            .collect()
    }

    /// The transaction without its other parts, and without the watermark: the next may write that.
    pub(super) fn only(&self, flight: &InFlight, kept: &BTreeSet<Part>) -> InFlight {
        let Transaction {
            epoch,
            mark: _,
            confirmed: _,
            decided_at,
            requests,
            audit,
            jobs,
            entered,
            updated,
            attempts,
            counts,
            calendars,
            cordons,
            backfills,
            backfill_progress,
            late_outcomes,
            logs,
            watermark: _,
            token_ceiling,
        } = &*flight.transaction;
        let is_kept = |part: Part| kept.contains(&part);
        let keeps_shared = is_kept(Part::Shared);
        let transaction = Transaction {
            epoch: *epoch,
            mark: None,
            confirmed: Vec::new(),
            decided_at: *decided_at,
            requests: those(requests, |row| is_kept(self.request(&row.key))),
            audit: those(audit, |event| is_kept(self.event(flight, event))),
            jobs: those(jobs, |write| is_kept(self.job(write.job.uid))),
            entered: those(entered, |run| is_kept(self.job(run.job_uid))),
            updated: those(updated, |run| is_kept(self.job(run.job_uid))),
            attempts: those(attempts, |(run, _)| is_kept(self.run(*run))),
            counts: those(counts, |(uid, _)| is_kept(self.job(*uid))),
            calendars: those(calendars, |_: &CalendarWrite| keeps_shared),
            cordons: those(cordons, |_: &CordonWrite| keeps_shared),
            backfills: those(backfills, |backfill| is_kept(self.job(backfill.job_uid))),
            backfill_progress: those(backfill_progress, |(id, _)| is_kept(self.backfill(flight, *id))),
            late_outcomes: those(late_outcomes, |note| is_kept(Part::Late(note.attempt))),
            logs: those(logs, |chunk| is_kept(Part::Log(chunk.attempt))),
            watermark: None,
            token_ceiling: token_ceiling.filter(|_| keeps_shared),
        };
        InFlight {
            transaction: Arc::new(transaction),
            then: those(&flight.then, |then| is_kept(self.then(then))),
            parts_of_events: flight.parts_of_events.clone(),
            jobs_of_backfills: flight.jobs_of_backfills.clone(),
            causes: those(&flight.causes, |(part, _)| is_kept(self.unless_shared(*part))),
            touched: flight.touched.iter().copied().filter(|uid| is_kept(self.job(*uid))).collect(),
            first_instant: flight.first_instant,
            retry_at: None,
        }
    }

    pub(super) fn job(&self, uid: JobUid) -> Part {
        self.unless_shared(Part::Job(uid))
    }

    fn unless_shared(&self, part: Part) -> Part {
        match part {
            Part::Job(uid) if self.shared.contains(&uid) => Part::Shared,
            Part::Shared | Part::Job(_) | Part::Late(_) | Part::Log(_) => part,
        }
    }

    fn run(&self, run: RunId) -> Part {
        self.jobs.get(&run).map_or(Part::Shared, |uid| self.job(*uid))
    }

    fn backfill(&self, flight: &InFlight, id: BackfillId) -> Part {
        flight.jobs_of_backfills.get(&id).map_or(Part::Shared, |uid| self.job(*uid))
    }

    fn request(&self, key: &RequestKey) -> Part {
        self.by_key.get(key).copied().unwrap_or(Part::Shared)
    }

    fn event(&self, flight: &InFlight, event: &Event) -> Part {
        flight.parts_of_events.get(&event.id).map_or(Part::Shared, |part| self.unless_shared(*part))
    }

    fn then(&self, then: &Then) -> Part {
        match then {
            Then::Answer(handle, _)
            | Then::AnswerBackfill(handle, _)
            | Then::AnswerCalendar(handle, _)
            | Then::AnswerJob(handle, _)
            | Then::AnswerRun(handle, _) => self.by_handle.get(handle).copied().unwrap_or(Part::Shared),
            Then::Ack(_, ack) if self.jobs.contains_key(&ack.attempt.run) => self.run(ack.attempt.run),
            Then::Ack(_, ack) => Part::Late(ack.attempt),
            Then::LogAck(_, ack) => Part::Log(ack.attempt),
            Then::Assign(attempt) | Then::Cancel(attempt) => self.run(attempt.run),
        }
    }
}

fn those<T: Clone>(all: &[T], is_kept: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|one| is_kept(one)).cloned().collect()
}
