//! A change of a job carried out: it closes the books of the old definition in its own transaction, and
//! enters what it owes itself (rule 7).

use std::time::Duration;

use crate::ids::{AttemptId, JobUid, RunId};
use crate::job::Job;
use crate::run::{Reason, RunEvent, RunState};
use crate::schedule::Compiled;
use crate::time::Timestamp;
use crate::txn::{Change, JobWrite};

use super::attempts::End;
use super::batch::Batch;
use super::decide::Lateness;
use super::jobs::JobEntry;
use super::live::Dispatch;
use super::plan::{Planned, owed};
use super::queue::{Candidate, Class};
use super::term::Term;
use super::words;

const TICK: Duration = Duration::from_micros(1);

impl Term {
    /// Puts the change and all that it brings with it into the batch, and into memory.
    pub(super) fn carry_out(&mut self, planned: Planned, author: String, batch: &mut Batch) -> JobUid {
        let Planned { mut job, compiled, change, note, catch_up, missed } = planned;
        let uid = job.uid;
        self.last_change_seq += 1;
        job.change_seq = self.last_change_seq;
        let mut had = Vec::new();
        let was_covered = self.jobs.get(uid).map(|entry| entry.cursor);
        if let Some(old) = self.jobs.get(uid).map(|entry| entry.job.clone()) {
            job.revision += 1;
            job.update_time = self.now.wall;
            had.clone_from(&old.definition.schedule.at);
            self.jobs.unschedule(uid);
            self.unqueue(Candidate::Due(uid), uid);
            self.release_hold(uid);
            self.to_consider.remove(&uid);
            let reschedules = old.fires() != job.fires() || old.definition.schedule != job.definition.schedule;
            if reschedules || matches!(change, Change::Calendar | Change::Undelete) {
                // By a clock that has gone back since, more may be decided than the watermark tells.
                let decided = self.jobs.get(uid).map_or(Timestamp::MIN, |entry| entry.cursor);
                job.effective_from = self.change_time().max(decided);
                self.close_books(uid, change, job.effective_from, missed, batch);
                if old.fires() {
                    // Until the change is in the ledger, the old definition may still owe what comes after it.
                    batch.decided(job.effective_from.saturating_add(TICK));
                }
            }
            // What was counted on the way: the closing of the books, and transactions since the plan was made.
            job.counts = self.jobs.get(uid).map_or(job.counts, |entry| entry.job.counts);
            self.replace(job.clone(), compiled);
        } else {
            self.jobs.insert(JobEntry::new(job.clone(), compiled, job.effective_from));
        }
        if change == Change::Resume {
            self.forget_failures(uid, batch);
        }
        self.take_back_unsent(uid, batch);
        self.drop_backfills(uid, batch);
        self.end_what_waits(uid, change, batch);
        if matches!(change, Change::Create | Change::Update | Change::Restore) && job.fires() {
            let oldest = self.now.wall.saturating_sub(job.definition.misfire_grace_time);
            for at in owed(&job, &had, oldest) {
                self.enter_uncovered(uid, at, batch);
            }
        }
        if catch_up {
            self.make_up(uid, was_covered, batch);
        }
        self.enter_next_after_completion(uid, job.definition.schedule.start_time, batch);
        self.jobs.reschedule(uid);
        self.may_be_complete(uid);
        job.counts = self.jobs.get(uid).map_or(job.counts, |entry| entry.job.counts);
        batch.touched.insert(uid);
        batch.jobs.push(JobWrite { job, change, author, note });
        uid
    }

    /// The old definition's undecided fires become one MISSED record.
    fn close_books(
        &mut self,
        uid: JobUid,
        change: Change,
        until: Timestamp,
        missed: Option<Reason>,
        batch: &mut Batch,
    ) {
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        let undecided = if entry.job.fires() { entry.undecided_until(until) } else { None };
        if let (Some(span), Some(reason)) = (undecided, missed) {
            let message = words::of_change(change, span);
            self.enter_non_run(uid, span, RunState::Missed, reason, message, batch);
        }
        if let Some(entry) = self.jobs.get_mut(uid) {
            entry.cursor = entry.cursor.max(until);
        }
    }

    /// What is in the ledger and was never sent is not handed out: it would be so after the change, under the
    /// definition of before.
    fn take_back_unsent(&mut self, uid: JobUid, batch: &mut Batch) {
        let Some(entry) = self.jobs.get(uid) else { return };
        let unsent = |id: &AttemptId| self.live_attempt(*id).is_some_and(|live| live.dispatch == Dispatch::Unsent);
        let unsent: Vec<AttemptId> = entry.slots.values().copied().filter(unsent).collect();
        for id in unsent {
            self.end_attempt(
                id,
                &End::NotStarted(Reason::Revoked, "its job was changed before it was sent".to_owned()),
                batch,
            );
        }
    }

    /// The new definition takes the old one's place; what waits is queued anew under it.
    fn replace(&mut self, job: Job, compiled: Compiled) {
        let uid = job.uid;
        let live: Vec<RunId> = match self.jobs.get_mut(uid) {
            Some(entry) => {
                entry.class = Class::of(&job.definition);
                entry.job = job;
                entry.compiled = compiled;
                entry.waiting.clear();
                entry.live.iter().copied().collect()
            }
            None => return,
        };
        for id in live {
            let queued = self.unqueue(Candidate::Run(id), uid);
            let waits = self.runs.get(&id).is_some_and(|live| {
                let due = live.run.next_attempt_time.unwrap_or(live.run.not_before);
                live.unended_attempt().is_none() && !self.run_timers.contains(&(due, id))
            });
            if queued || waits {
                self.queue_run(id);
            }
        }
    }

    /// Pause: scheduled runs that were never handed out are skipped. Disable and delete: all that waits ends.
    fn end_what_waits(&mut self, uid: JobUid, change: Change, batch: &mut Batch) {
        let is_enabled = self.jobs.get(uid).is_some_and(|entry| entry.job.definition.enabled);
        let (event, reason) = match change {
            Change::Update | Change::Restore if !is_enabled => (RunEvent::Cancelled, Reason::Disabled),
            Change::Pause => (RunEvent::Skipped, Reason::Paused),
            Change::Disable => (RunEvent::Cancelled, Reason::Disabled),
            Change::Delete => (RunEvent::Cancelled, Reason::Deleted),
            Change::Create
            | Change::Update
            | Change::Resume
            | Change::Enable
            | Change::Undelete
            | Change::Restore
            | Change::Calendar => return,
        };
        let Some(entry) = self.jobs.get(uid) else { return };
        let ends = |id: &RunId| {
            self.runs.get(id).is_some_and(|live| {
                live.unended_attempt().is_none() && (change != Change::Pause || live.is_fire_not_handed_out())
            })
        };
        let ended: Vec<RunId> = entry.live.iter().copied().filter(ends).collect();
        for id in ended {
            self.end_waiting(id, event, reason, batch);
        }
    }

    /// Who resumes a job gives it a new chance.
    fn forget_failures(&mut self, uid: JobUid, batch: &mut Batch) {
        if let Some(entry) = self.jobs.get_mut(uid)
            && entry.job.counts.failures > 0
        {
            entry.job.counts.failures = 0;
            batch.counts.insert(uid, entry.job.counts);
        }
    }

    /// Enters the fires of a paused span, however late they are (`catch_up`).
    fn make_up(&mut self, uid: JobUid, paused_from: Option<Timestamp>, batch: &mut Batch) {
        let (Some(entry), Some(from)) = (self.jobs.get_mut(uid), paused_from) else { return };
        let until = entry.cursor;
        entry.cursor = from;
        self.enter_up_to(uid, until, Lateness::Ignored, batch);
        if let Some(entry) = self.jobs.get_mut(uid) {
            entry.cursor = entry.cursor.max(until);
        }
    }
}
