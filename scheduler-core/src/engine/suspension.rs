//! A leader that cannot confirm its lease is suspended: it decides no fires and hands nothing out. Reports, changes of
//! jobs and what their transactions enter go on, because the ledger refuses them once another node leads
//! (PROTOCOL.md, rule 13).

use std::sync::Arc;

use crate::ids::AttemptId;
use crate::run::Reason;
use crate::txn::{Call, CallId, Transaction};

use super::attempts::End;
use super::inbox::Event;
use super::input::{Effect, ProofId};
use super::live::Dispatch;
use super::term::Term;

impl Term {
    /// The lease is confirmed again: what was held back is sent, the rest follows in the next transactions.
    pub(super) fn resume(&mut self, out: &mut Vec<Effect>) {
        self.suspended = false;
        let joined = self.agents.by_instance.values().filter(|entry| entry.joined);
        let held: Vec<AttemptId> = joined.flat_map(|entry| entry.held.iter().copied()).collect();
        self.send_held_back(&held, out);
    }

    /// Sends attempts that are in the ledger and were never sent; those that are to be cancelled end instead.
    pub(super) fn send_held_back(&mut self, attempts: &[AttemptId], out: &mut Vec<Effect>) {
        let mut sendable = Vec::new();
        for attempt in attempts {
            let live = self.live_attempt(*attempt).filter(|live| live.dispatch == Dispatch::Unsent);
            let Some(live) = live else { continue };
            if live.run.cancel_requested_time.is_none() {
                sendable.push(*attempt);
            } else if self.jobs.get(live.run.job_uid).is_none_or(|entry| entry.busy.is_none()) {
                // A cancel whose commit is under way is followed up after it.
                self.end_unsent(*attempt);
            }
        }
        self.send_assignments(&sendable, out);
    }

    pub(super) fn end_unsent(&mut self, attempt: AttemptId) {
        let end = End::NotStarted(Reason::NotStarted, "it was cancelled before it was sent".to_owned());
        self.inbox.push_back(Event::End(attempt, end));
    }

    /// Whether the epoch is ours, which confirms heartbeats (rule 18): a transaction that it takes proves that nobody has taken
    /// over before.
    pub(super) fn question_to_ledger(&self, id: ProofId) -> Effect {
        let nothing = Transaction { confirmed: self.marks.to_tell(), ..Transaction::new(self.epoch, self.now.wall) };
        Effect::Call(CallId(id.0), Call::Commit(Arc::new(nothing)))
    }

    /// Whether the ledger was asked about the epoch under this number.
    pub(super) fn is_question(&self, id: CallId) -> bool {
        self.agents.asked.contains_key(&ProofId(id.0))
    }
}
