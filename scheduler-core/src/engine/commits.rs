//! The ledger's answers to transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::{Ack, LogAck, ToAgent};
use crate::ids::{AgentInstance, AttemptId, JobUid};
use crate::txn::{CalendarWrite, Call, CallId, Failure};

use super::batch::{InFlight, Then};
use super::config::{LEDGER_RETRY, MAX_CLOCK_SKEW};
use super::input::{Alert, Effect};
use super::queue::Candidate;
use super::request::{Answer, Away};
use super::term::Term;

/// What the term cannot go on after.
#[derive(Debug)]
pub(super) enum Over {
    /// Another leader has the ledger.
    Deposed(String),
    /// The ledger's clock was put back, and ours with it: it never takes what was decided by the clock of before.
    ClockWentBack(String),
    /// The ledger has something else than the engine thinks: load everything anew.
    Disagreement(String),
    /// It is a copy of before something that was confirmed: the same.
    WentBack(String),
}

impl From<Over> for Alert {
    fn from(over: Over) -> Self {
        match over {
            Over::Deposed(why) => Self::Deposed(why),
            Over::ClockWentBack(why) => Self::LedgerFails(why),
            Over::Disagreement(why) | Over::WentBack(why) => Self::Disagreement(why),
        }
    }
}

impl Term {
    pub(super) fn committed(&mut self, id: CallId, out: &mut Vec<Effect>) {
        let Some(flight) = self.in_flight.remove(&id) else { return };
        self.ledger_fails = false;
        self.marks.confirmed(&flight.transaction);
        if let Some(watermark) = flight.transaction.watermark {
            self.watermark.committed = self.watermark.committed.max(watermark);
        }
        if let Some(ceiling) = flight.transaction.token_ceiling {
            self.tokens.ceiling = ceiling;
            self.tokens.raising = false;
        }
        self.numbers.committed(&flight.transaction, self.now.boot);
        self.publish(Some(Arc::clone(&flight.transaction)), out);
        self.follow_up(&flight, out);
        for uid in flight.touched {
            self.release(uid);
        }
        for request in std::mem::take(&mut self.parked_for_commit).into_iter().rev() {
            self.requests.push_front(request);
        }
    }

    /// Changes in flight hold it back: they may be in the ledger, or come after later ones.
    pub(super) fn changes_committed(&self) -> i64 {
        let in_flight = self.in_flight.values().filter_map(|flight| flight.transaction.first_change());
        in_flight.map(|first| first - 1).fold(self.last_change_seq, i64::min)
    }

    /// What waited for the commit.
    pub(super) fn follow_up(&mut self, flight: &InFlight, out: &mut Vec<Effect>) {
        let mut acks = BTreeMap::<AgentInstance, Vec<Ack>>::new();
        let mut log_acks = BTreeMap::<AgentInstance, BTreeMap<AttemptId, u64>>::new();
        let (mut assigned, mut cancelled) = (Vec::new(), Vec::new());
        for then in &flight.then {
            match then {
                Then::AnswerJob(handle, uid) => {
                    let write = flight.transaction.jobs.iter().rfind(|write| write.job.uid == *uid);
                    let job = write.expect("because the answer was promised with the write").job.clone();
                    out.push(Effect::Answer(*handle, Ok(Answer::Job(Box::new(job)))));
                }
                Then::Answer(handle, answer) => out.push(Effect::Answer(*handle, Ok((**answer).clone()))),
                Then::AnswerCalendar(handle, key) => {
                    let calendar = flight.transaction.calendars.iter().rev().find_map(|write| match write {
                        CalendarWrite::Put(calendar) if calendar.key == *key => Some(calendar.clone()),
                        CalendarWrite::Put(_) | CalendarWrite::Delete(_) => None,
                    });
                    let calendar = calendar.expect("because the answer was promised with the write");
                    out.push(Effect::Answer(*handle, Ok(Answer::Calendar(Box::new(calendar)))));
                }
                Then::AnswerBackfill(handle, id) => {
                    let begun = flight.transaction.backfills.iter().find(|backfill| backfill.id == *id);
                    let mut backfill = begun.expect("because the answer was promised with the write").clone();
                    let moved = flight.transaction.backfill_progress.iter().find(|(moved, _)| moved == id);
                    backfill.progress = moved.map_or(backfill.progress, |(_, progress)| *progress);
                    out.push(Effect::Answer(*handle, Ok(Answer::Backfill(Box::new(backfill)))));
                }
                Then::AnswerRun(handle, run) => {
                    let written = flight.transaction.entered.iter().chain(&flight.transaction.updated);
                    let run = written.clone().find(|written| written.id == *run);
                    let run = run.expect("because the answer was promised with the write").clone();
                    out.push(Effect::Answer(*handle, Ok(Answer::Run(Box::new(run)))));
                }
                Then::Ack(instance, ack) => {
                    self.stored(*ack);
                    acks.entry(*instance).or_default().push(*ack);
                }
                Then::LogAck(instance, ack) => {
                    // One of all before it, which are there: see `inbox`.
                    let stored = log_acks.entry(*instance).or_default().entry(ack.attempt).or_default();
                    *stored = ack.sequence.max(*stored);
                }
                Then::Assign(attempt) => assigned.push(*attempt),
                Then::Cancel(attempt) => cancelled.push(*attempt),
            }
        }
        self.send_assignments(&assigned, out);
        // After the Assign of the same attempt, if this transaction has both.
        for attempt in cancelled {
            self.send_cancel(attempt, out);
        }
        for (instance, acks) in acks {
            self.send(instance, ToAgent::Ack(acks), out);
        }
        for (instance, stored) in log_acks {
            let acks = stored.into_iter().map(|(attempt, sequence)| LogAck { attempt, sequence }).collect();
            self.send(instance, ToAgent::LogAck(acks), out);
        }
    }

    fn stored(&mut self, ack: Ack) {
        if let Some(live) = self.runs.get_mut(&ack.attempt.run)
            && live.is_current(ack.attempt)
        {
            live.stored_sequence = live.stored_sequence.max(ack.sequence);
        }
    }

    /// The job is free again: what came up meanwhile is looked at.
    pub(super) fn release(&mut self, uid: JobUid) {
        let Some(entry) = self.jobs.get_mut(uid) else { return self.settle_locks(uid) };
        entry.busy = None;
        let parked = std::mem::take(&mut entry.parked);
        self.settle_locks(uid);
        for candidate in parked {
            match candidate {
                Candidate::Due(uid) => {
                    self.to_consider.insert(uid);
                }
                Candidate::Run(run) => self.queue_run(run),
            }
        }
        self.promote(uid);
        for request in self.parked_requests.remove(&uid).into_iter().flatten().rev() {
            self.requests.push_front(request);
        }
        for event in self.parked_events.remove(&uid).into_iter().flatten().rev() {
            self.inbox.push_front(event);
        }
    }

    /// What was not done, or may not have been, is asked for again, the same to the letter (rule 3).
    pub(super) fn failed(&mut self, id: CallId, failure: Failure, out: &mut Vec<Effect>) -> Result<(), Over> {
        let decided_at = self.in_flight.get(&id).map(|flight| flight.transaction.decided_at);
        match failure {
            Failure::Clock { .. } if decided_at > Some(self.now.wall.saturating_add(MAX_CLOCK_SKEW)) => {
                Err(Over::ClockWentBack(failure.to_string()))
            }
            Failure::Unavailable(_) | Failure::Unknown(_) | Failure::Clock { .. } => {
                self.ledger_has_failed(&failure.to_string(), out);
                if let Some(flight) = self.in_flight.get_mut(&id) {
                    flight.retry_at = Some(self.now.boot.saturating_add(LEDGER_RETRY));
                }
                Ok(())
            }
            Failure::Deposed { .. } | Failure::LaterElection(_) | Failure::WentBack { .. } => {
                Err(self.ended_by(&failure).expect("because each of them ends a term"))
            }
            Failure::Conflict { job_uid, scheduled_time } => {
                self.conflicted(id, (job_uid, scheduled_time), &failure.to_string(), out)
            }
            Failure::Refused(why) => self.refused(id, &why, out),
        }
    }

    /// What a failure of any call says of the term, if it ends it.
    pub(super) fn ended_by(&self, failure: &Failure) -> Option<Over> {
        match failure {
            // It had ours, and a later one only replaces it.
            Failure::Deposed { current } if *current < self.epoch => {
                let why = format!("the ledger has lost this term: it is at epoch {current}");
                Some(Over::WentBack(why))
            }
            Failure::WentBack { .. } => Some(Over::WentBack(failure.to_string())),
            Failure::Deposed { .. } | Failure::LaterElection(_) => Some(Over::Deposed(failure.to_string())),
            Failure::Unavailable(_)
            | Failure::Unknown(_)
            | Failure::Conflict { .. }
            | Failure::Clock { .. }
            | Failure::Refused(_) => None,
        }
    }

    /// Nothing is known of what it was asked for; what it was not asked for yet is refused (rule 1).
    pub(super) fn ledger_is_silent(&mut self, out: &mut Vec<Effect>) {
        self.ledger_has_failed("it does not answer", out);
    }

    fn ledger_has_failed(&mut self, why: &str, out: &mut Vec<Effect>) {
        if !self.ledger_fails {
            out.push(Effect::Alert(Alert::LedgerFails(why.to_owned())));
            self.refuse_waiting(Away::Ledger, out);
        }
        self.ledger_fails = true;
    }

    pub(super) fn repeat_failed(&mut self, out: &mut Vec<Effect>) {
        self.repeat_reloads(out);
        let now = self.now.boot;
        if self.leaving.is_some() {
            return;
        }
        for (id, flight) in &mut self.in_flight {
            if flight.retry_at.is_some_and(|time| time <= now) {
                flight.retry_at = None;
                out.push(Effect::Call(*id, Call::Commit(Arc::clone(&flight.transaction))));
            }
        }
    }
}
