//! From the election to a term: the transaction that ends the previous one, and the memory made from what the ledger
//! holds (PROTOCOL.md, rule 12).

use std::sync::Arc;

use crate::schedule;
use crate::txn::{Call, CallId, Done, Election, Failure, Known, Snapshot, TakeOver, TookOver};

use super::config::{LEDGER_RETRY, MAX_CLOCK_SKEW};
use super::filling::Filling;
use super::input::{Alert, Effect, ProofId};
use super::memory::Memory;
use super::random::Random;
use super::request::Stats;
use super::term::{Beginning, Term};
use super::{Engine, Phase};

/// The ledger has an election that looks later than this node's: is it of an earlier history of the coordinator?
pub(super) struct Doubt {
    found: Election,
    /// To the coordinator; `None`: answered, it is.
    question: Option<ProofId>,
}

impl Engine {
    /// Asks for the ledger. Only a leader whose lease is confirmed does: another may have taken over since.
    pub(super) fn take_over(&mut self, out: &mut Vec<Effect>) {
        let is_due = match &self.phase {
            Phase::TakingOver { call: None, retry_at } => *retry_at <= self.now.boot,
            Phase::TakingOver { .. } | Phase::Standby | Phase::Loading { .. } | Phase::Leading(_) | Phase::Ended => {
                false
            }
        };
        if !is_due || !self.is_confirmed() {
            return;
        }
        let call = CallId(self.next_number());
        let take_over = TakeOver {
            node: self.config.node.clone(),
            agent_ttl: self.config.agent_ttl,
            schedule_version: schedule::VERSION.clone(),
            election: self.lease.as_ref().and_then(|lease| lease.election.clone()),
            instead_of: self.doubt.take().filter(|doubt| doubt.question.is_none()).map(|doubt| doubt.found),
        };
        out.push(Effect::Call(call, Call::TakeOver(take_over)));
        self.phase = Phase::TakingOver { call: Some(call), retry_at: self.now.boot };
    }

    pub(super) fn took_over(&mut self, result: Result<Done, Failure>, out: &mut Vec<Effect>) {
        match result {
            Ok(Done::TookOver(took_over)) => {
                self.stop_reading();
                let known = self.warming.memory.known();
                self.load(took_over, known, out);
            }
            Ok(_) => {}
            Err(Failure::LaterElection(found)) => self.doubt_election(found, out),
            Err(failure) => self.begin_again(&failure, out),
        }
    }

    fn load(&mut self, took_over: TookOver, known: Option<Known>, out: &mut Vec<Effect>) {
        let call = CallId(self.next_number());
        let entered_since = took_over.watermark.saturating_sub(MAX_CLOCK_SKEW);
        out.push(Effect::Call(call, Call::Load { epoch: took_over.epoch, entered_since, known }));
        self.phase = Phase::Loading { call, took_over, filling: None };
    }

    /// Whether this node's key lives, and at which revision: what follows from the ledger's election hangs on that.
    fn doubt_election(&mut self, found: Election, out: &mut Vec<Effect>) {
        let question = ProofId(self.next_number());
        if let Some(lease) = &self.lease {
            out.push(Effect::ProveLeadership(lease.candidacy, question, Vec::new()));
        }
        self.doubt = Some(Doubt { found, question: Some(question) });
        self.phase = Phase::TakingOver { call: None, retry_at: self.now.boot.saturating_add(LEDGER_RETRY) };
    }

    /// The key lives, and the coordinator has not come to the ledger's revision yet: that is of a history that is gone. Else
    /// somebody was elected after this node, which stands again.
    pub(super) fn judge_election(&mut self, id: ProofId, revision: Option<i64>, out: &mut Vec<Effect>) {
        let Some(doubt) = self.doubt.as_mut().filter(|doubt| doubt.question == Some(id)) else { return };
        if revision.is_some_and(|revision| revision < doubt.found.revision) {
            doubt.question = None;
            self.phase = Phase::TakingOver { call: None, retry_at: self.now.boot };
        } else {
            self.doubt = None;
            self.depose("the ledger has a later election".to_owned(), out);
        }
    }

    pub(super) fn loaded(&mut self, took_over: &TookOver, result: Result<Done, Failure>, out: &mut Vec<Effect>) {
        match result {
            Ok(Done::Loaded(snapshot)) => {
                let mut memory = self.take_memory();
                if snapshot.since.is_none() {
                    memory = Memory::new(took_over.watermark);
                } else if !memory.agrees_with(&snapshot, took_over.watermark) {
                    out.push(Effect::Alert(Alert::MemoryDiffers));
                    return self.load(took_over.clone(), None, out);
                }
                let begun = self.begin_filling(took_over, memory, *snapshot, out);
                if let Phase::Loading { filling, .. } = &mut self.phase {
                    *filling = begun;
                }
            }
            Ok(_) => {}
            Err(failure) => self.begin_again(&failure, out),
        }
    }

    /// A failed take-over or load is begun again from the start: a term must know what it leads.
    fn begin_again(&mut self, failure: &Failure, out: &mut Vec<Effect>) {
        out.push(Effect::Alert(Alert::LedgerFails(failure.to_string())));
        self.phase = Phase::TakingOver { call: None, retry_at: self.now.boot.saturating_add(LEDGER_RETRY) };
    }

    fn begin_filling(
        &mut self,
        took_over: &TookOver,
        memory: Memory,
        snapshot: Snapshot,
        out: &mut Vec<Effect>,
    ) -> Option<Box<Filling>> {
        let beginning = Beginning {
            candidacy: self.lease.as_ref()?.candidacy,
            epoch: took_over.epoch,
            watermark: took_over.watermark,
            token_ceiling: took_over.token_ceiling,
            // A ledger that has gone back may not know what was told since.
            longest_agent_ttl: took_over.longest_agent_ttl.max(self.candidacy.longest_ttl_seen()),
            last_change_seq: snapshot.last_change_seq,
            random: Random::new(self.random.wide()),
            stats: Stats { take_overs: self.stats.take_overs + 1, ..self.stats },
            conflicts: self.conflicts.clone(),
            loss: self.loss.clone(),
        };
        let term = Term::new(Arc::clone(&self.config), self.now, beginning);
        Some(Box::new(Filling::new(term, memory, took_over.watermark, snapshot, out)))
    }

    /// Goes on making the memory of a term; when that is done, the term begins.
    pub(super) fn fill(&mut self, out: &mut Vec<Effect>) {
        let Phase::Loading { filling: Some(filling), .. } = &mut self.phase else { return };
        if filling.goes_on(self.now)
            && let Phase::Loading { filling: Some(filling), .. } = std::mem::replace(&mut self.phase, Phase::Standby)
        {
            self.begin_term(*filling, out);
        }
    }

    fn begin_term(&mut self, filling: Filling, out: &mut Vec<Effect>) {
        let mut term = filling.into_term(out);
        term.begin(!self.is_confirmed(), self.numbers);
        self.conflicts.clear();
        self.loss = None;
        term.publish(None, out);
        for (stream, hello) in std::mem::take(&mut self.waiting).hellos {
            term.hello(stream, hello, out);
        }
        self.phase = Phase::Leading(term);
        for (_, handle, request) in std::mem::take(&mut self.early) {
            self.receive_request(handle, request, out);
        }
    }
}
