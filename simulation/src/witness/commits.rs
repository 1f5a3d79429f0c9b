//! What is committed, judged at the instant of the commit.

use std::sync::Arc;

use scheduler_core::engine::Command;
use scheduler_core::ids::{AttemptId, FencingToken, JobUid, RunId};
use scheduler_core::run::{Attempt, Reason, Run, Trigger};
use scheduler_core::txn::{Change, JobWrite, TookOver, Transaction};

use super::{AttemptRecord, RunRecord};
use crate::client::{Clients, WriteId};
use crate::ledger::short;
use crate::promise::Promise;
use crate::transition::Transition;
use crate::world::World;

impl World {
    pub(crate) fn witness_take_over(&mut self, took_over: &TookOver) {
        let witness = &mut self.witness;
        let grows = took_over.epoch > witness.epoch && FencingToken::nth(took_over.epoch, 0) > witness.highest_token;
        if !grows {
            let how =
                format!("epoch {} after {} and tokens up to {}", took_over.epoch, witness.epoch, witness.highest_token);
            self.broken(Promise::P4, how);
            return;
        }
        witness.epoch = took_over.epoch;
        witness.watermark = took_over.watermark;
    }

    /// Applies a transaction to the ledger, and judges it.
    pub(crate) fn apply(&mut self, transaction: &Arc<Transaction>) {
        if transaction.epoch != self.witness.epoch {
            let (theirs, ours) = (transaction.epoch, self.witness.epoch);
            self.broken(Promise::P3, format!("epoch {theirs} wrote to the ledger in epoch {ours}"));
        }
        self.ledger.tables.apply(transaction);
        for write in &transaction.calendars {
            self.witness_calendar(write);
        }
        for write in &transaction.jobs {
            self.witness_version(write);
        }
        for run in &transaction.entered {
            self.witness_entry(run);
        }
        for run in transaction.entered.iter().chain(&transaction.updated) {
            self.witness_run(run, transaction);
        }
        let first = transaction.entered.iter().chain(&transaction.updated);
        let first = first.filter_map(|run| run.first_attempt.as_ref().map(|attempt| (run.id, attempt)));
        let attempts = first.chain(transaction.attempts.iter().map(|(run, attempt)| (*run, attempt)));
        // A slot that one attempt leaves another may take in the same transaction.
        let (known, new): (Vec<_>, Vec<_>) = attempts.partition(|(run, attempt)| {
            self.witness.attempts.contains_key(&AttemptId { run: *run, number: attempt.number })
        });
        for (run, attempt) in known.into_iter().chain(new) {
            self.witness_attempt(run, attempt);
        }
        for write in &transaction.jobs {
            self.witness_change(write, transaction);
        }
        self.check_backfills(transaction);
        self.check_entries(transaction);
        if let Some(watermark) = transaction.watermark {
            self.tally.count("ledger", "watermark written");
            self.check_watermark(watermark);
        }
        self.check_counts(transaction);
        self.check_floor(transaction);
    }

    fn witness_run(&mut self, run: &Run, transaction: &Transaction) {
        let state = run.state;
        let is_new = !self.witness.runs.contains_key(&run.id);
        let record = self.witness.runs.entry(run.id).or_insert_with(|| RunRecord {
            job: run.job_uid,
            revision: run.job_revision,
            trigger: run.trigger,
            state,
            scheduled_time: run.scheduled_time,
            end_time: None,
            next_attempt_time: None,
            not_before: run.not_before,
            payload: run.payload.clone(),
            latest: 0,
        });
        if is_new && !transaction.entered.iter().any(|entered| entered.id == run.id) {
            return self.broken(Promise::P5, format!("run {} is updated, and nobody entered it", short(run.id)));
        }
        if record.state.is_ended() && record.state != state {
            let was = record.state;
            return self.broken(Promise::P5, format!("run {} was {was} and becomes {state}", short(run.id)));
        }
        let counts = is_new || record.state != state;
        let waits_anew = run.next_attempt_time.is_some() && run.next_attempt_time != record.next_attempt_time;
        let transition = match record.state {
            _ if is_new => Some(Transition::RunEntered(state)),
            before if before != state || waits_anew => Some(Transition::Run(before, state)),
            _ => None,
        };
        record.end_time = run.end_time;
        record.next_attempt_time = run.next_attempt_time;
        record.revision = run.job_revision;
        record.latest = record.latest.max(run.attempt);
        record.state = state;
        let is_ended = state.is_ended();
        let trigger = record.trigger;
        if let Some(job) = self.witness.jobs.get_mut(&run.job_uid) {
            if is_ended {
                self.witness.unended.remove(&run.id);
                job.unended_scheduled.remove(&run.id);
            } else {
                self.witness.unended.insert(run.id);
                if trigger == Trigger::Schedule {
                    job.unended_scheduled.insert(run.id);
                }
            }
        }
        if let Some(transition) = transition {
            self.tally.goes(transition);
        }
        if counts {
            self.tally.count("run", state.as_str());
            if let Some(reason) = run.reason {
                self.tally.count("reason", reason.as_str());
            }
        }
        if is_new && let Some(write) = run.labels.get("write").and_then(|number| number.parse().ok()).map(WriteId) {
            self.witness_made_run(write, run.id);
        }
    }

    fn witness_made_run(&mut self, write: WriteId, run: RunId) {
        let made = self.witness.runs_by.entry(write).or_default();
        *made += 1;
        if *made > 1 {
            self.broken(Promise::P2, format!("write {} made a second run, {}", write.0, short(run)));
        }
        self.check_was_not_refused(write);
    }

    pub(super) fn check_was_not_refused(&mut self, write: WriteId) {
        let Some(known) = self.clients.writes.get(&write) else { return };
        if known.is_bad {
            return self.broken(Promise::P8, format!("write {} is bad input, and is in the ledger", write.0));
        }
        if !known.is_open && known.only_refused {
            self.broken(Promise::P5, format!("write {} was refused for certain, and is done later", write.0));
        }
        if let Some(Command::CreateJob { validate_only: true, .. }) =
            self.clients.writes.get(&write).map(|known| &known.command)
        {
            self.broken(Promise::P8, format!("write {} asked for a check only, and is in the ledger", write.0));
        }
    }

    fn witness_attempt(&mut self, run: RunId, attempt: &Attempt) {
        let id = AttemptId { run, number: attempt.number };
        let Some(uid) = self.ledger.tables.runs.get(&run).map(|run| run.job_uid) else {
            return self.broken(Promise::P5, format!("an attempt of run {} that nobody entered", short(run)));
        };
        let ended = attempt.state.is_ended().then_some((attempt.state, attempt.reason));
        if !self.witness.attempts.contains_key(&id) {
            self.witness_hand_out(id, uid, attempt);
        }
        let Some(record) = self.witness.attempts.get_mut(&id) else { return };
        if record.instance != attempt.agent_instance.0 {
            return self.broken(Promise::P3, format!("attempt {} changes its agent", short_attempt(id)));
        }
        if let Some((before, _)) = record.ended {
            if ended.map(|(state, _)| state) != Some(before) {
                let how = format!("attempt {} was {before} and becomes {}", short_attempt(id), attempt.state);
                self.broken(Promise::P5, how);
            }
            return;
        }
        if record.state != attempt.state {
            self.tally.goes(Transition::Attempt(record.state, attempt.state));
            record.state = attempt.state;
        }
        let Some((state, reason)) = ended else { return };
        record.ended = Some((state, reason));
        self.tally.count("attempt", state.as_str());
        if let Some(job) = self.witness.jobs.get_mut(&uid) {
            job.unended_attempts.remove(&id);
        }
        self.check_end(id, state, reason);
    }

    /// A new attempt comes into the ledger.
    fn witness_hand_out(&mut self, id: AttemptId, uid: JobUid, attempt: &Attempt) {
        let trigger = self.ledger.tables.runs.get(&id.run).map(|run| (run.trigger, run.job_revision));
        let Some((trigger, revision)) = trigger else { return };
        let name = short_attempt(id);
        self.tally.count("attempt", "handed out");
        self.tally.goes(Transition::HandedOut(attempt.state));
        let Some(job) = self.witness.jobs.get_mut(&uid) else {
            return self.broken(Promise::P5, format!("attempt {name} of a job that nobody made"));
        };
        // Of a transaction with a change of the job and a hand-out, the change came first.
        let Some((now, version)) = job.versions.last_key_value().map(|(now, version)| (*now, &version.job)) else {
            return;
        };
        let limit = version.definition.max_instances;
        let stopped = !version.definition.enabled || version.delete_time.is_some();
        let paused = version.pause.is_some() && trigger == Trigger::Schedule && id.number == 1;
        let slot_taken = job.unended_attempts.iter().any(|other| self.witness.attempts[other].slot == attempt.slot);
        let too_many = job.unended_attempts.len() >= limit as usize;
        let last_token = job.last_tokens.insert(attempt.slot, attempt.fencing_token);
        let token_falls = last_token.is_some_and(|last| attempt.fencing_token <= last);
        self.witness.highest_token = self.witness.highest_token.max(attempt.fencing_token);
        job.unended_attempts.insert(id);
        let record = AttemptRecord {
            job: uid,
            instance: attempt.agent_instance.0,
            slot: attempt.slot,
            token: attempt.fencing_token,
            state: attempt.state,
            ended: None,
            limit,
            revision,
            is_fires_first: trigger == Trigger::Schedule && id.number == 1,
            was_sent: false,
        };
        self.witness.attempts.insert(id, record);
        let before = AttemptId { number: id.number.saturating_sub(1), ..id };
        let overtakes = id.number > 1 && self.witness.attempts.get(&before).is_none_or(|other| other.ended.is_none());
        let broken = [
            (stopped, Promise::P9, "is handed out while its job is disabled or deleted".to_owned()),
            (paused, Promise::P9, "is handed out while its job is paused".to_owned()),
            (revision != now, Promise::P9, format!("is handed out under revision {revision}, current is {now}")),
            (slot_taken, Promise::P4, format!("takes slot {}, which is held", attempt.slot)),
            (too_many, Promise::P4, format!("is one more than max_instances {limit}")),
            (
                token_falls,
                Promise::P4,
                format!("has token {}, which is not above its slot's last", attempt.fencing_token),
            ),
            (overtakes, Promise::P7, "is handed out before the one before it ended".to_owned()),
        ];
        for (is_broken, promise, how) in broken {
            if is_broken {
                self.broken(promise, format!("attempt {name} {how}"));
            }
        }
    }

    fn witness_change(&mut self, write: &JobWrite, transaction: &Transaction) {
        self.tally.count("change", write.change.as_str());
        if let Some(author) = Clients::write_of(&write.author) {
            let changes = self.witness.changes_by.entry(author).or_default();
            changes.insert((write.job.uid, write.job.revision));
            // A calendar's change is one of every job that names it.
            let of_job = changes.iter().filter(|(uid, _)| *uid == write.job.uid).count();
            if of_job > 1 || (changes.len() > 1 && write.change != Change::Calendar) {
                self.broken(Promise::P2, format!("write {} was done twice", author.0));
            }
            self.check_was_not_refused(author);
        }
        self.check_change(write, transaction);
    }

    /// Nothing committed ever goes, but by a purge.
    fn check_counts(&mut self, transaction: &Transaction) {
        let (runs, known) = (self.ledger.tables.runs.len(), self.witness.runs.len());
        if runs != known {
            self.broken(Promise::P5, format!("{known} runs were committed, the ledger has {runs}"));
        }
        let (jobs, known) = (self.ledger.tables.jobs.len(), self.witness.jobs.len());
        if jobs != known {
            self.broken(Promise::P5, format!("{known} jobs were committed, the ledger has {jobs}"));
        }
        for run in transaction.entered.iter().chain(&transaction.updated) {
            self.check_after_completion(run.job_uid);
        }
        for write in &transaction.jobs {
            self.check_after_completion(write.job.uid);
        }
    }
}

pub(crate) fn short_attempt(id: AttemptId) -> String {
    format!("{}/{}", short(id.run), id.number)
}

/// Whether an attempt that ended for this reason never started.
pub(super) fn never_started(reason: Option<Reason>) -> bool {
    matches!(reason, Some(Reason::NotStarted | Reason::LockNotTaken | Reason::RefusedByAgent | Reason::Revoked))
}
