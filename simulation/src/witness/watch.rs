//! A client that watches all runs: it follows each leader's publications, and where leaders change it goes on from the
//! ledger by what the last one told it. In the end it knows what the ledger knows.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::engine::Publication;
use scheduler_core::ids::{Epoch, RunId};
use scheduler_core::run::RunState;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Transaction;

use crate::ledger::short;
use crate::plant::Plant;
use crate::promise::Promise;
use crate::world::World;

/// By how much the clocks of two leaders, or one clock at two times, may differ.
const MARGIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Watcher {
    epoch: Epoch,
    /// Of the latest publication: no run with a lower id will be entered or change.
    from: Option<(RunId, Timestamp)>,
    states: BTreeMap<RunId, RunState>,
}

impl World {
    pub(crate) fn watch(&mut self, s: usize, publication: &Publication) {
        let Publication { epoch, committed, floor, time, .. } = publication;
        let is_lost = self.plant == Some(Plant::PublicationLost) && committed.is_some() && self.random.chance(0.1);
        if is_lost {
            return;
        }
        let floor = &if self.plant == Some(Plant::FloorTooHigh) { RunId::at(*time, 0) } else { *floor };
        let watcher = &mut self.witness.watcher;
        if *epoch < watcher.epoch {
            return;
        }
        if committed.is_some() && *epoch > watcher.epoch {
            return self.broken(Promise::P5, format!("server {s} publishes in epoch {epoch} before its term"));
        }
        if committed.is_none() {
            let (floor, time) = watcher.from.unwrap_or((RunId(uuid::Uuid::nil()), Timestamp::from_secs(0)));
            let floor = RunId::at(floor.time().saturating_sub(MARGIN), 0);
            let since = time.saturating_sub(MARGIN);
            for (id, run) in self.ledger.tables.runs.range(floor..) {
                if run.end_time.is_none_or(|end| end >= since) {
                    watcher.states.insert(*id, run.state);
                }
            }
        }
        if let Some(transaction) = committed {
            for run in transaction.entered.iter().chain(&transaction.updated) {
                watcher.states.insert(run.id, run.state);
            }
        }
        watcher.epoch = *epoch;
        watcher.from = Some((*floor, *time));
    }

    /// What is written lies above what its leader has said that it would.
    pub(super) fn check_floor(&mut self, transaction: &Transaction) {
        let Watcher { epoch, from: Some((floor, _)), .. } = self.witness.watcher else { return };
        let mut written = transaction.entered.iter().chain(&transaction.updated).map(|run| run.id);
        if epoch == transaction.epoch
            && let Some(low) = written.find(|id| *id < floor)
        {
            let (low, floor) = (short(low), short(floor));
            self.broken(Promise::P5, format!("run {low} is written, and watchers were told of nothing below {floor}"));
        }
    }

    pub(crate) fn why_watcher_lags(&self) -> Option<String> {
        let known = &self.witness.watcher.states;
        let differs = |(id, state): (&RunId, RunState)| (known.get(id) != Some(&state)).then_some((*id, state));
        let missed = self.ledger.tables.runs.iter().map(|(id, run)| (id, run.state)).find_map(differs);
        missed.map(|(id, state)| format!("run {} is {state}, and who watches knows {:?}", short(id), known.get(&id)))
    }
}
