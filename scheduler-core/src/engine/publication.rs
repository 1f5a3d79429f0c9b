//! What those who watch runs are told: each transaction, once it is in the ledger, and what they may rely on from then
//! on (PROTOCOL.md, rule 2).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ids::{Epoch, RunId};
use crate::run::Run;
use crate::time::Timestamp;
use crate::txn::Transaction;

use super::input::Effect;
use super::term::Term;

/// One step of a term's stream of events.
#[derive(Clone, PartialEq, Debug)]
pub struct Publication {
    pub epoch: Epoch,
    /// `None`: the term has begun, and who watched an earlier one may have missed something.
    pub committed: Option<Arc<Transaction>>,
    /// No run with a lower id will be entered or change any more.
    pub floor: RunId,
    /// What ends from now on has an `end_time` of this or later, unless the clock is put back.
    pub time: Timestamp,
    /// Runs with output that the leader has and the ledger not yet.
    pub logs_under_way: BTreeSet<RunId>,
}

impl Term {
    pub(super) fn publish(&mut self, committed: Option<Arc<Transaction>>, out: &mut Vec<Effect>) {
        self.raise_floor();
        let in_flight = self.in_flight.values().flat_map(|flight| &flight.transaction.logs);
        let logs = in_flight.chain(self.logs.iter().map(|(_, chunk)| chunk));
        let decided = self.in_flight.values().map(|flight| flight.transaction.decided_at);
        out.push(Effect::Publish(Publication {
            epoch: self.epoch,
            committed,
            floor: self.floor,
            time: decided.fold(self.now.wall, Timestamp::min),
            logs_under_way: logs.map(|chunk| chunk.attempt.run).collect(),
        }));
    }

    fn raise_floor(&mut self) {
        // Of a job that is being read anew, memory has lost runs that the ledger has.
        if !self.reloads.is_empty() {
            return;
        }
        let lowest = |runs: &[Run]| runs.iter().map(|run| run.id).min();
        let written = self.in_flight.values().map(|flight| &flight.transaction);
        let written = written.flat_map(|transaction| [lowest(&transaction.entered), lowest(&transaction.updated)]);
        let next = RunId::at(self.now.wall, 0);
        let floor = written.flatten().chain(self.runs.keys().next().copied()).fold(next, RunId::min);
        self.floor = self.floor.max(floor);
        // The clock may be put back; ids go on from here.
        self.last_run_id = self.last_run_id.max(Some(self.floor));
    }
}
