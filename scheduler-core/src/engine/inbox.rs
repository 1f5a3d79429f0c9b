//! What agents say of attempts, on its way into the ledger.
//!
//! Transactions in flight are committed in any order. What is said of one attempt is not: its output goes into the
//! ledger piece by piece, and the reports that follow it later, or at once with it. So who reads on from a piece misses
//! none, and a run that has ended has all its output.

use std::collections::BTreeSet;

use crate::agent::{Ack, LogAck, Outcome, Report, ReportEvent, ToAgent};
use crate::ids::{AgentInstance, AttemptId, JobUid, RunId};
use crate::run::{AttemptEvent, Reason, RunEvent};
use crate::txn::LateOutcome;

use super::attempts::End;
use super::batch::{Batch, Cause, Then};
use super::config::{BATCH_MAX, STARTED_GROUP};
use super::input::Effect;
use super::live::Dispatch;
use super::parts::Part;
use super::refused::{OutOfService, Spoilt};
use super::term::Term;

/// Something that happened to an attempt.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Event {
    Report(AgentInstance, Report),
    /// Found out here: the agent is lost, or never had it.
    End(AttemptId, End),
    /// A run that was entered ahead of its time is due.
    Due(RunId),
    /// A run has waited longer than its job's `start_deadline`.
    Expired(RunId),
    Spoilt(Spoilt),
    OutOfService(OutOfService),
}

impl Event {
    /// The attempt that it says something of.
    fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Report(_, report) => Some(report.attempt),
            Self::End(attempt, _) => Some(*attempt),
            Self::Due(_) | Self::Expired(_) | Self::Spoilt(_) | Self::OutOfService(_) => None,
        }
    }
}

impl Term {
    /// Takes as many events as a transaction holds. Those of a busy job wait for it, in their order; those of an attempt
    /// with output that this transaction lacks and the ledger has not yet, wait for that.
    pub(super) fn take_events(&mut self, batch: &mut Batch, out: &mut Vec<Effect>) {
        if self.inbox.is_empty() {
            return;
        }
        let unwritten: BTreeSet<AttemptId> =
            self.logs_in_flight().chain(self.logs.iter().map(|(_, chunk)| chunk.attempt)).collect();
        let mut waiting = Vec::new();
        while batch.rows() < BATCH_MAX {
            let Some(event) = self.inbox.pop_front() else { break };
            if event.attempt().is_some_and(|attempt| unwritten.contains(&attempt)) {
                waiting.push(event);
                continue;
            }
            let job = self.job_of(&event);
            match job {
                Some(uid) if self.must_wait(uid, batch) => {
                    self.parked_events.entry(uid).or_default().push_back(event);
                }
                _ => {
                    self.take_event(&event, batch, out);
                    if let Some(uid) = job.filter(|uid| batch.touched.contains(uid)) {
                        batch.causes.push((Part::Job(uid), Cause::Event(event)));
                    }
                }
            }
        }
        for event in waiting.into_iter().rev() {
            self.inbox.push_front(event);
        }
    }

    /// Attempts with output that the ledger has been asked to keep.
    fn logs_in_flight(&self) -> impl Iterator<Item = AttemptId> {
        self.in_flight.values().flat_map(|flight| flight.transaction.logs.iter().map(|chunk| chunk.attempt))
    }

    fn job_of(&self, event: &Event) -> Option<JobUid> {
        match event {
            Event::Report(_, report) => self.job_of_run(report.attempt.run),
            Event::End(attempt, _) => self.job_of_run(attempt.run),
            Event::Due(run) | Event::Expired(run) | Event::Spoilt(Spoilt { run, .. }) => self.job_of_run(*run),
            Event::OutOfService(order) => Some(order.job),
        }
    }

    /// The job of a run that has not ended, as far as the ledger knows.
    pub(super) fn job_of_run(&self, id: RunId) -> Option<JobUid> {
        let live = self.runs.get(&id).map(|live| live.run.job_uid);
        live.or_else(|| {
            let in_flight = self.in_flight.values().flat_map(|flight| &flight.transaction.updated);
            in_flight.filter(|run| run.id == id).map(|run| run.job_uid).next()
        })
    }

    fn must_wait(&self, uid: JobUid, batch: &Batch) -> bool {
        self.parked_events.contains_key(&uid) || self.jobs.get(uid).is_some_and(|entry| entry.is_closed(batch))
    }

    fn take_event(&mut self, event: &Event, batch: &mut Batch, out: &mut Vec<Effect>) {
        match event {
            // It has got its lock since, and was sent.
            Event::End(attempt, End::NotStarted(Reason::LockNotTaken, _)) if self.was_sent(*attempt) => {}
            Event::End(attempt, end) => self.end_attempt(*attempt, end, batch),
            Event::Due(run) => self.judge_due_run(*run, batch),
            Event::Expired(run) => self.expire(*run, batch),
            Event::Report(from, report) if self.is_from_holder(*from, report.attempt) => {
                self.take_report(*from, report, batch, out);
            }
            // Its agent keeps what it has to say until a leader can write it.
            Event::Report(_, report) if self.out_of_reach.contains(&report.attempt.run) => {}
            Event::Report(from, report) => self.refuse_report(*from, report, batch, out),
            Event::Spoilt(spoilt) => self.end_spoilt(spoilt, batch),
            Event::OutOfService(order) => self.take_out_of_service(order, batch),
        }
    }

    fn was_sent(&self, id: AttemptId) -> bool {
        self.live_attempt(id).is_some_and(|live| live.dispatch == Dispatch::Sent)
    }

    fn is_from_holder(&self, from: AgentInstance, id: AttemptId) -> bool {
        self.live_attempt(id).and_then(|live| live.attempt()).is_some_and(|attempt| attempt.agent_instance == from)
    }

    fn take_report(&mut self, from: AgentInstance, report: &Report, batch: &mut Batch, out: &mut Vec<Effect>) {
        let id = report.attempt;
        let Some(live) = self.runs.get_mut(&id.run) else { return };
        if report.sequence <= live.last_sequence {
            if live.last_sequence == live.stored_sequence {
                let ack = Ack { attempt: id, sequence: live.stored_sequence, refused: false };
                self.send(from, ToAgent::Ack(vec![ack]), out);
            }
            return;
        }
        live.last_sequence = report.sequence;
        match &report.event {
            ReportEvent::Started => {
                if let Some(attempt) = live.attempt_mut()
                    && let Ok(running) = attempt.state.on(AttemptEvent::Started)
                {
                    attempt.state = running;
                    attempt.start_time = Some(report.time);
                    live.run.state = live.run.state.on(RunEvent::Started).expect("because its attempt just started");
                    live.run.start_time.get_or_insert(report.time);
                }
                self.soil(id);
            }
            ReportEvent::Progress(progress) => {
                live.run.progress = Some(progress.clone());
                self.soil(id);
            }
            ReportEvent::Finished(finished) => {
                batch.then.push(Then::Ack(from, Ack { attempt: id, sequence: report.sequence, refused: false }));
                self.end_attempt(id, &End::Reported(finished.clone(), report.time), batch);
            }
        }
    }

    /// The run differs from its row; the row follows unless the end comes first.
    fn soil(&mut self, id: AttemptId) {
        let now = self.now.boot;
        if let Some(live) = self.runs.get_mut(&id.run)
            && live.dirty_since.is_none()
        {
            live.dirty_since = Some(now);
            self.dirty.insert((now, id.run));
        }
    }

    /// Writes rows of runs that have outlived the group in which their end might have come.
    pub(super) fn flush_dirty(&mut self, batch: &mut Batch) {
        let mut busy = Vec::new();
        while let Some(&(since, id)) = self.dirty.first() {
            if batch.rows() >= BATCH_MAX || self.now.boot < since.saturating_add(STARTED_GROUP) {
                break;
            }
            self.dirty.remove(&(since, id));
            let Some(live) = self.runs.get_mut(&id) else { continue };
            if self.jobs.get(live.run.job_uid).is_some_and(|entry| entry.is_closed(batch)) {
                live.dirty_since = Some(self.now.boot);
                busy.push((self.now.boot, id));
                continue;
            }
            live.dirty_since = None;
            let Some(attempt) = live.attempt() else { continue };
            let attempt_id = AttemptId { run: id, number: attempt.number };
            let ack = Ack { attempt: attempt_id, sequence: live.last_sequence, refused: false };
            batch.then.push(Then::Ack(attempt.agent_instance, ack));
            if attempt.number > 1 {
                batch.attempts.insert((id, attempt.number), attempt.clone());
            }
            batch.write(&live.run);
        }
        self.dirty.extend(busy);
    }

    /// The attempt has ended, or was never known, or is another instance's: no more than a note.
    fn refuse_report(&mut self, from: AgentInstance, report: &Report, batch: &mut Batch, out: &mut Vec<Effect>) {
        let ack = Ack { attempt: report.attempt, sequence: report.sequence, refused: true };
        if batch.runs.contains_key(&report.attempt.run) {
            // It ended in this very transaction: nothing is acknowledged before it.
            batch.then.push(Then::Ack(from, ack));
            return;
        }
        let ReportEvent::Finished(finished) = &report.event else {
            return self.send(from, ToAgent::Ack(vec![ack]), out);
        };
        if let Some(entry) = self.agents.by_instance.get_mut(&from) {
            entry.foreign.remove(&report.attempt);
        }
        if finished.outcome == Outcome::Lost {
            return self.send(from, ToAgent::Ack(vec![ack]), out);
        }
        let code = finished.error.as_ref().map_or_else(String::new, |error| format!(" {}", error.code));
        batch.late.push(LateOutcome {
            attempt: report.attempt,
            outcome: format!("{}{code}", finished.outcome),
            time: report.time,
        });
        batch.then.push(Then::Ack(from, ack));
    }

    /// Takes as much output as a transaction holds, but for attempts of which earlier output is in flight.
    pub(super) fn take_logs(&mut self, batch: &mut Batch) {
        if self.logs.is_empty() {
            return;
        }
        let earlier: BTreeSet<AttemptId> = self.logs_in_flight().collect();
        let mut waiting = Vec::new();
        while batch.logs.len() < BATCH_MAX {
            let Some((from, chunk)) = self.logs.pop_front() else { break };
            if earlier.contains(&chunk.attempt) {
                waiting.push((from, chunk));
                continue;
            }
            batch.then.push(Then::LogAck(from, LogAck { attempt: chunk.attempt, sequence: chunk.sequence }));
            batch.logs.push(chunk);
        }
        for chunk in waiting.into_iter().rev() {
            self.logs.push_front(chunk);
        }
    }
}
