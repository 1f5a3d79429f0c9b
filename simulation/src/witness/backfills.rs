//! Whether a backfill enters every instant of its span, once, and no more at a time than was asked for (promises 1, 2
//! and 4). Its instants are worked out here, from the definition that held when it began.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scheduler_core::backfill::{Backfill, Progress};
use scheduler_core::engine::Command;
use scheduler_core::ids::{BackfillId, JobUid, RunId};
use scheduler_core::run::{Reason, Run, Trigger};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Transaction;

use crate::client::Clients;
use crate::ledger::short;
use crate::promise::Promise;
use crate::world::World;

pub(crate) struct BackfillRecord {
    job: JobUid,
    concurrency: usize,
    instants: BTreeSet<Timestamp>,
    entered: BTreeMap<Timestamp, RunId>,
    unended: BTreeSet<RunId>,
    is_closed: bool,
}

impl World {
    /// After the transaction's runs have been taken down.
    pub(super) fn check_backfills(&mut self, transaction: &Transaction) {
        for backfill in &transaction.backfills {
            self.check_beginning(backfill);
        }
        for run in transaction.entered.iter().filter(|run| run.trigger == Trigger::Backfill) {
            self.check_backfilled(run);
        }
        for run in transaction.entered.iter().chain(&transaction.updated) {
            if let Some(record) = run.backfill_id.and_then(|id| self.witness.backfills.get_mut(&id)) {
                if run.state.is_ended() {
                    record.unended.remove(&run.id);
                } else {
                    record.unended.insert(run.id);
                }
            }
        }
        for (id, progress) in &transaction.backfill_progress {
            self.check_progress(*id, progress);
        }
    }

    fn check_beginning(&mut self, backfill: &Backfill) {
        if self.witness.backfills.contains_key(&backfill.id) {
            return;
        }
        let Some(job) = self.witness.jobs.get(&backfill.job_uid) else {
            return self.broken(Promise::P5, format!("backfill {} of a job that nobody made", backfill.id));
        };
        let version = job.version();
        let before = backfill.start_time.saturating_sub(Duration::from_micros(1));
        let fires = std::iter::successors(version.compiled.next(before), |last| version.compiled.next(*last));
        let instants: BTreeSet<_> = fires.take_while(|fire| *fire < backfill.end_time).collect();
        let is_right = instants.iter().eq(backfill.instants.iter());
        let is_allowed = version.job.definition.enabled && version.job.delete_time.is_none();
        let record = BackfillRecord {
            job: backfill.job_uid,
            concurrency: backfill.concurrency as usize,
            is_closed: instants.is_empty(),
            instants,
            entered: BTreeMap::new(),
            unended: BTreeSet::new(),
        };
        self.witness.backfills.insert(backfill.id, record);
        self.tally.count("backfill", "begun");
        if !is_right {
            let how = format!("backfill {} of {} has not the fires of its span", backfill.id, backfill.job_key);
            self.broken(Promise::P1, how);
        }
        if !is_allowed {
            self.broken(Promise::P9, format!("a backfill of {} begins, which runs nothing", backfill.job_key));
        }
        let Some(write) = Clients::write_of(&backfill.author) else { return };
        if !self.witness.backfills_by.insert(write) {
            self.broken(Promise::P2, format!("write {} began a second backfill", write.0));
        }
        let dry = self.clients.writes.get(&write).map(|known| &known.command);
        if matches!(dry, Some(Command::BackfillJob { validate_only: true, .. })) {
            self.broken(Promise::P8, format!("write {} asked for a check only, and is in the ledger", write.0));
        }
        self.check_was_not_refused(write);
    }

    fn check_backfilled(&mut self, run: &Run) {
        let name = short(run.id);
        let Some(record) = run.backfill_id.and_then(|id| self.witness.backfills.get_mut(&id)) else {
            return self.broken(Promise::P5, format!("run {name} is of a backfill that nobody began"));
        };
        let before = record.entered.insert(run.scheduled_time, run.id);
        let (is_wanted, is_closed) = (record.instants.contains(&run.scheduled_time), record.is_closed);
        let broken = [
            (before.is_some_and(|other| other != run.id), Promise::P2, "has the instant of another run"),
            (!is_wanted, Promise::P2, "has no instant of its backfill"),
            (is_closed && before.is_none(), Promise::P9, "is entered though its backfill was dropped"),
            (run.occurrence == 0 || run.covers_from.is_some(), Promise::P2, "covers instants of the schedule"),
        ];
        for (is_broken, promise, how) in broken {
            if is_broken {
                self.broken(promise, format!("backfill run {name} of {} {how}", run.job_key));
            }
        }
    }

    fn check_progress(&mut self, id: BackfillId, progress: &Progress) {
        let Some(record) = self.witness.backfills.get_mut(&id) else {
            return self.broken(Promise::P5, format!("backfill {id} moves, and nobody began it"));
        };
        if progress.closed_time.is_some() && !record.is_closed {
            record.is_closed = true;
            self.tally.count("backfill", if progress.dropped.is_some() { "dropped" } else { "entered whole" });
        }
        let (entered, unended) = (record.entered.len(), record.unended.len());
        let (wanted, concurrency) = (record.instants.len(), record.concurrency);
        let job = self.witness.jobs.get(&record.job).map(|job| &job.version().job);
        let may_drop = match progress.dropped {
            Some(Reason::Disabled) => job.is_some_and(|job| !job.definition.enabled),
            Some(Reason::Deleted) => job.is_some_and(|job| job.delete_time.is_some()),
            Some(_) => false,
            None => progress.closed_time.is_none() || entered == wanted,
        };
        let broken = [
            (progress.entered as usize != entered, Promise::P1, format!("is at {}, not {entered}", progress.entered)),
            (unended > concurrency, Promise::P4, format!("has {unended} runs under way, more than {concurrency}")),
            (!may_drop, Promise::P1, format!("is closed with {entered} of {wanted} instants entered")),
        ];
        for (is_broken, promise, how) in broken {
            if is_broken {
                self.broken(promise, format!("backfill {id} {how}"));
            }
        }
    }

    /// A backfill that has instants left, and none of its runs under way.
    pub(crate) fn stuck_backfill(&self) -> Option<BackfillId> {
        let is_stuck = |record: &BackfillRecord| !record.is_closed && record.unended.is_empty();
        self.witness.backfills.iter().find(|(_, record)| is_stuck(record)).map(|(id, _)| *id)
    }
}
