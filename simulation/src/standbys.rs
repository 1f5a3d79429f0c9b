//! What the leader tells those that stand by, and what they have made of it when they lead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scheduler_core::engine::{Alert, Effect, Engine, remembered};
use scheduler_core::ids::{FencingToken, JobUid};
use scheduler_core::job::Job;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Call;

use crate::event::Event;
use crate::plant::Plant;
use crate::promise::Promise;
use crate::server::Arrival;
use crate::tally::Check;
use crate::world::World;

/// How often a leader tells.
const EVERY: Duration = Duration::from_millis(500);
/// How long before the watermark rows are looked at: what clocks may differ.
const SKEW: Duration = Duration::from_secs(5);

impl World {
    pub(crate) fn tells(&mut self, s: usize, generation: u32) {
        if self.servers[s].generation != generation || self.servers[s].engine.is_none() {
            return;
        }
        self.queue.plan(self.now.after(EVERY), Event::Tells { server: s, generation });
        let told = self.servers[s].engine.as_ref().and_then(Engine::changes_committed);
        let Some(mut told) = told.filter(|_| !self.servers[s].is_frozen) else { return };
        if self.plant == Some(Plant::ChangesToldAsRead) {
            told = told.max(self.ledger.tables.last_change());
        }
        for other in (0..self.servers.len()).filter(|other| *other != s) {
            let at = self.now.after(self.network_delay());
            let generation = self.servers[other].generation;
            self.queue.plan(at, Event::Server { server: other, generation, arrival: Arrival::ChangesTold(told) });
        }
    }

    /// What a new leader knows of jobs from before is what it would have read, but for what it has made of them by now.
    pub(crate) fn check_memory(&mut self, s: usize, effects: &[Effect]) {
        let begins =
            |effect: &Effect| matches!(effect, Effect::Alert(Alert::TookOver { jobs, read, .. }) if read < jobs);
        if !effects.iter().any(begins) {
            return;
        }
        let Some(engine) = &self.servers[s].engine else { return };
        let Some(epoch) = engine.epoch().filter(|epoch| *epoch == self.ledger.tables.epoch) else { return };
        let tables = &self.ledger.tables;
        let all = tables.load(tables.watermark.saturating_sub(SKEW), self.ledger.now(self.now), None);
        let all = remembered(all, tables.watermark);
        let known: BTreeMap<_, _> = engine.jobs().map(|(job, next)| (job.uid, (job, next))).collect();
        // Its first transactions are on their way: runs have ended, and were counted.
        let first = effects.iter().filter_map(|effect| match effect {
            Effect::Call(_, Call::Commit(transaction)) => Some(&transaction.counts),
            _ => None,
        });
        let counted: BTreeSet<_> = first.flatten().map(|(uid, _)| *uid).collect();
        let begun = FencingToken::nth(epoch, 0).0;
        let is_changed = |uid: &JobUid| known.get(uid).is_some_and(|(job, _)| job.change_seq > begun);
        let expected = all.iter().filter(|(job, _)| !is_changed(&job.uid) && !counted.contains(&job.uid));
        let other = |(job, next): &&(Job, Option<Timestamp>)| known.get(&job.uid) != Some(&(job, *next));
        let wrong =
            expected.clone().find(other).map(|(job, next)| format!("{:?}, not {job:?}, {next:?}", known.get(&job.uid)));
        let is_there = |uid: JobUid| all.iter().any(|(job, _)| job.uid == uid);
        let gone =
            known.keys().find(|uid| !is_there(**uid) && !is_changed(uid)).map(|uid| format!("{uid}, which is gone"));
        self.tally.count("check", Check::KnownJobsTakenOver.name());
        if let Some(wrong) = wrong.or(gone) {
            self.broken(Promise::P1, format!("server {s} knows {wrong}"));
        }
    }
}
