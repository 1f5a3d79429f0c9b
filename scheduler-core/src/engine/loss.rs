//! A term on a ledger that has lost what it had confirmed (ADR 21). Agents may still run what nobody knows of any more: until
//! they have said so and it has ended, nothing is decided or handed out, or two would run in one slot.

use std::collections::BTreeSet;

use crate::ids::{AgentInstance, FencingToken};

use super::live::LiveRun;
use super::term::Term;

#[derive(Clone, Default)]
pub(super) struct Loss {
    /// Agents that the terms before knew, and of which no Inventory has come yet.
    unheard: BTreeSet<AgentInstance>,
    /// All of that is over.
    is_settled: bool,
}

impl Loss {
    /// Of a term that has just found it out, with what it had not settled itself.
    pub(super) fn of(term: &mut Term) -> Self {
        let mut loss = term.loss.take().unwrap_or_default();
        loss.unheard.extend(term.agents.by_instance.keys());
        Self { is_settled: false, ..loss }
    }

    /// What a term leaves to the next one.
    pub(super) fn left_by(term: &mut Term) -> Option<Self> {
        term.loss.take().filter(|loss| !loss.is_settled)
    }

    pub(super) fn heard_of(&mut self, instance: AgentInstance) {
        self.unheard.remove(&instance);
    }
}

impl Term {
    /// Whether agents may run what the ledger has lost.
    pub(super) fn waits_for_the_lost(&self) -> bool {
        self.loss.as_ref().is_some_and(|loss| !loss.is_settled)
    }

    pub(super) fn settle_loss(&mut self) {
        if !self.waits_for_the_lost() {
            return;
        }
        let ended = self.now.boot >= self.rights().others_ended;
        let runs = self.agents.by_instance.values().any(|entry| !entry.foreign.is_empty());
        if let Some(loss) = &mut self.loss {
            loss.is_settled = (ended || loss.unheard.is_empty()) && !runs;
        }
    }

    /// Whether the ledger may have known how an attempt ended, and lost it.
    pub(super) fn may_have_lost_the_end_of(&self, live: &LiveRun) -> bool {
        let is_of_before = |token| token < FencingToken::nth(self.epoch, 0);
        self.loss.is_some() && live.attempt().is_some_and(|attempt| is_of_before(attempt.fencing_token))
    }
}
