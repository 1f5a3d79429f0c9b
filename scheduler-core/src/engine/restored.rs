//! What a ledger needs that was restored from a backup (PROTOCOL.md, rule 12): it does not know what ran since. So what
//! came due since is not decided again, and what was under way then is not taken up again. It is entered as unknown.
//!
//! This is no part of a term that leads: whoever has the ledger alone has it made, and commits it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::RunId;
use crate::run::{AttemptEvent, Reason, RunEvent, RunState};
use crate::time::Now;
use crate::txn::{Snapshot, TookOver, Transaction};

use super::batch::Batch;
use super::config::{BATCH_MAX, Config};
use super::filling::Filling;
use super::input::{Alert, CandidacyId, Effect};
use super::memory::Memory;
use super::random::Random;
use super::request::Stats;
use super::term::{Beginning, Term};
use super::words;

const WORDS: &str = "the ledger was restored from a backup of when it was under way; how it ended is not known";

/// How a restored ledger is made fit for its next leader.
#[derive(Debug)]
pub struct Restored {
    /// In this order; the last one moves the watermark to now.
    pub transactions: Vec<Transaction>,
    pub fires: u64,
    pub runs: u64,
    /// What could not be understood, and is left as it is.
    pub alerts: Vec<Alert>,
}

/// Enters all that came due between the watermark and `now`, the ledger's clock, as `MISSED`, and ends what was under
/// way. No agent may run anything of it any more.
pub fn restored(config: Config, took_over: &TookOver, snapshot: Snapshot, now: Now) -> Restored {
    let beginning = Beginning {
        candidacy: CandidacyId(0),
        epoch: took_over.epoch,
        watermark: took_over.watermark,
        token_ceiling: took_over.token_ceiling,
        longest_agent_ttl: took_over.longest_agent_ttl,
        last_change_seq: snapshot.last_change_seq,
        random: Random::new(config.seed),
        stats: Stats::default(),
        conflicts: BTreeSet::new(),
        loss: None,
    };
    let mut told = Vec::new();
    let term = Term::new(Arc::new(config), now, beginning);
    let memory = Memory::new(took_over.watermark);
    let mut filling = Filling::new(term, memory, took_over.watermark, snapshot, &mut told);
    while !filling.goes_on(now) {}
    let mut term = filling.into_term(&mut told);
    let alerts = told.into_iter().filter_map(|effect| match effect {
        Effect::Alert(Alert::TookOver { .. }) => None,
        Effect::Alert(alert) => Some(alert),
        _ => None,
    });
    let alerts = alerts.collect();
    let mut made = Restored { transactions: Vec::new(), fires: 0, runs: 0, alerts };
    let mut batch = Batch::default();
    let jobs: Vec<_> = term.jobs.live().filter(|entry| entry.job.fires()).map(|entry| entry.job.uid).collect();
    for uid in jobs {
        let Some(entry) = term.jobs.get(uid) else { continue };
        let Some(span) = entry.undecided_until(now.wall) else { continue };
        let words = words::of_fires(Reason::LedgerRestored, span, &entry.job.definition, now.wall);
        term.enter_non_run(uid, span, RunState::Missed, Reason::LedgerRestored, words, &mut batch);
        made.fires += span.count;
        made.part(&term, &mut batch);
    }
    let runs: Vec<_> = term.runs.keys().copied().collect();
    for id in runs {
        term.end_as_unknown(id, &mut batch);
        made.runs += 1;
        made.part(&term, &mut batch);
    }
    batch.watermark = Some(took_over.watermark.max(now.wall));
    made.close(&term, batch);
    made
}

impl Restored {
    /// Begins another transaction when this one has enough.
    fn part(&mut self, term: &Term, batch: &mut Batch) {
        if batch.rows() >= BATCH_MAX {
            let whole = std::mem::take(batch);
            self.close(term, whole);
        }
    }

    fn close(&mut self, term: &Term, batch: Batch) {
        let flight = batch.into_flight(Transaction::new(term.epoch, term.now.wall));
        self.transactions.push(Arc::unwrap_or_clone(flight.transaction));
    }
}

impl Term {
    fn end_as_unknown(&mut self, id: RunId, batch: &mut Batch) {
        let now = self.now.wall;
        let Some(live) = self.runs.get_mut(&id) else { return };
        live.run.reason_message = WORDS.to_owned();
        if let Some(attempt) = live.attempt_mut().filter(|attempt| !attempt.state.is_ended()) {
            attempt.state = attempt.state.on(AttemptEvent::Lost).expect("because it has not ended");
            attempt.reason = Some(Reason::LedgerRestored);
            attempt.end_time = Some(now);
            if attempt.number > 1 {
                let attempt = attempt.clone();
                batch.attempts.insert((id, attempt.number), attempt);
            }
        }
        self.end_run(id, RunEvent::Failed, Some(Reason::LedgerRestored), batch);
    }
}
