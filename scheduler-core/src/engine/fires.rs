//! From the due instant to its row in the ledger.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{JobUid, RunId};
use crate::job::{Job, OverlapPolicy};
use crate::run::{Reason, Run, RunEvent, RunState, Trigger};
use crate::time::Timestamp;

use super::batch::Batch;
use super::config::{BATCH_MAX, HOLD};
use super::decide::{Decision, Due, Lateness, Span};
use super::inbox::Event;
use super::jobs::JobEntry;
use super::live::LiveRun;
use super::queue::Candidate;
use super::term::Term;
use super::words;

impl Term {
    /// An agent that has not been heard of for longer than this gets no new work.
    pub(super) fn freshness(&self) -> Duration {
        self.config.agent_ttl / 3
    }

    /// Moves what has become due to where the next transaction looks.
    pub(super) fn wake_timers(&mut self) {
        let now = self.now.wall;
        while let Some(&(instant, uid)) = self.jobs.fires.first().filter(|(instant, _)| *instant <= now) {
            self.jobs.fires.remove(&(instant, uid));
            self.jobs.undecided.insert((instant, uid));
            self.to_consider.insert(uid);
        }
        if !self.decides() {
            // What has become due holds the watermark back; it is decided when the lease is confirmed, and the locks known.
            return;
        }
        while let Some(&(due, run)) = self.run_timers.first().filter(|(due, _)| *due <= now) {
            self.run_timers.remove(&(due, run));
            let is_fire = |live: &LiveRun| live.run.attempt == 0 && live.run.trigger == Trigger::Schedule;
            if self.runs.get(&run).is_some_and(is_fire) {
                self.inbox.push_back(Event::Due(run));
            } else {
                self.queue_run(run);
            }
        }
        while let Some(&(until, run)) = self.deadlines.first().filter(|(until, _)| *until <= now) {
            self.deadlines.remove(&(until, run));
            self.inbox.push_back(Event::Expired(run));
        }
    }

    /// Looks at jobs with due fires: what needs no agent is decided at once, the rest joins the queue.
    pub(super) fn consider_due(&mut self, batch: &mut Batch) {
        while batch.rows() < BATCH_MAX {
            let Some(uid) = self.to_consider.pop_first() else { break };
            let Some(entry) = self.jobs.get_mut(uid) else { continue };
            if entry.is_closed(batch) {
                entry.parked.push(Candidate::Due(uid));
                continue;
            }
            let Some(first) = entry.next.filter(|next| *next <= self.now.wall) else {
                // The clock has been put back since: its time will come again.
                self.jobs.not_due_yet(uid);
                continue;
            };
            let (class, rank, hold_until) = (Arc::clone(&entry.class), entry.rank(first), first.saturating_add(HOLD));
            let due = self.decide(uid, self.now.wall, Lateness::Counts);
            let starts = due.iter().any(|row| matches!(row, Decision::Start(_)));
            if starts && self.now.wall < hold_until {
                self.queue.push(Candidate::Due(uid), class, rank);
                self.holds.insert((hold_until, uid));
                if let Some(entry) = self.jobs.get_mut(uid) {
                    entry.queued += 1;
                    entry.held_until = Some(hold_until);
                }
            } else {
                self.enter_due(uid, batch);
            }
        }
        while batch.rows() < BATCH_MAX {
            let due = self.holds.first().filter(|(until, _)| *until <= self.now.wall);
            let Some(&(until, uid)) = due else { break };
            self.holds.remove(&(until, uid));
            if self.unqueue(Candidate::Due(uid), uid) {
                match self.jobs.get_mut(uid) {
                    Some(entry) if entry.is_closed(batch) => entry.parked.push(Candidate::Due(uid)),
                    _ => self.enter_due(uid, batch),
                }
            }
        }
    }

    /// How many of the job's runs have not ended and have come due, `besides` not counted.
    fn active_runs(&self, entry: &JobEntry, besides: Option<RunId>) -> usize {
        let is_active = |id: &&RunId| {
            Some(**id) != besides
                && (self.runs.get(id)).is_some_and(|live| live.run.attempt > 0 || live.run.not_before <= self.now.wall)
        };
        entry.live.iter().filter(is_active).count()
    }

    fn decide(&self, uid: JobUid, until: Timestamp, lateness: Lateness) -> Vec<Decision> {
        let Some(entry) = self.jobs.get(uid) else { return Vec::new() };
        let definition = &entry.job.definition;
        Due {
            compiled: &entry.compiled,
            after: entry.cursor,
            until,
            left: entry.job.fires_left(),
            lateness,
            grace: definition.misfire_grace_time,
            coalesce: definition.coalesce,
            overlap: definition.overlap_policy,
            max_instances: definition.max_instances,
            max_queued: definition.max_queued,
            active: self.active_runs(entry, None),
            waiting: entry.waiting.len(),
        }
        .decide()
    }

    /// Decides a job's due fires now; runs get their first attempt in the same transaction if there is room.
    pub(super) fn enter_due(&mut self, uid: JobUid, batch: &mut Batch) {
        self.release_hold(uid);
        self.jobs.unschedule(uid);
        self.enter_up_to(uid, self.now.wall, Lateness::Counts, batch);
        self.jobs.reschedule(uid);
    }

    /// Its due fires are not held any more, whatever comes next.
    pub(super) fn release_hold(&mut self, uid: JobUid) {
        if let Some(until) = self.jobs.get_mut(uid).and_then(|entry| entry.held_until.take()) {
            self.holds.remove(&(until, uid));
        }
    }

    /// Rows for all undecided instants up to `until`.
    pub(super) fn enter_up_to(&mut self, uid: JobUid, until: Timestamp, lateness: Lateness, batch: &mut Batch) {
        for row in self.decide(uid, until, lateness) {
            match row {
                Decision::Missed(span, reason) => {
                    let message = self.why_not(uid, reason, span);
                    self.enter_non_run(uid, span, RunState::Missed, reason, message, batch);
                }
                Decision::Skipped(span, reason) => {
                    let message = self.why_not(uid, reason, span);
                    self.enter_non_run(uid, span, RunState::Skipped, reason, message, batch);
                }
                Decision::Start(span) => self.enter_run(uid, span, batch),
                Decision::Displace(span) => {
                    self.cancel_oldest(uid, None, batch);
                    self.enter_run(uid, span, batch);
                }
            }
        }
    }

    fn why_not(&self, uid: JobUid, reason: Reason, span: Span) -> String {
        let entry = self.jobs.get(uid);
        entry.map_or_else(String::new, |entry| words::of_fires(reason, span, &entry.job.definition, self.now.wall))
    }

    /// Counts decided instants, for jobs that have a bound on them.
    fn count_fires(&mut self, uid: JobUid, fires: u64, batch: &mut Batch) {
        if let Some(entry) = self.jobs.get_mut(uid)
            && entry.job.definition.schedule.max_fires.is_some()
        {
            entry.job.counts.fires += fires;
            batch.counts.insert(uid, entry.job.counts);
        }
    }

    /// An instant that the change itself owes: it lies before the span that rows cover from now on.
    pub(super) fn enter_uncovered(&mut self, uid: JobUid, at: Timestamp, batch: &mut Batch) {
        let id = self.next_run_id();
        let Some(entry) = self.jobs.get(uid) else { return };
        let base = row(&entry.job, id, self.now.wall, None);
        self.count_fires(uid, 1, batch);
        self.admit(Run { trigger: Trigger::Schedule, scheduled_time: at, not_before: at, ..base }, batch);
    }

    /// Of an after_completion job: the next run, unless one has not ended or the job does not fire (rule 10).
    pub(super) fn enter_next_after_completion(&mut self, uid: JobUid, at: Option<Timestamp>, batch: &mut Batch) {
        let Some(entry) = self.jobs.get(uid) else { return };
        let at = at.map_or(self.now.wall, |at| at.max(self.now.wall));
        let is_scheduled = |id: &RunId| self.runs.get(id).is_some_and(|live| live.run.trigger == Trigger::Schedule);
        if entry.compiled.after_completion().is_none()
            || !entry.job.fires()
            || entry.job.fires_left() == Some(0)
            || entry.job.definition.schedule.end_time.is_some_and(|end| at > end)
            || entry.live.iter().any(is_scheduled)
        {
            return;
        }
        self.enter_uncovered(uid, at, batch);
    }

    /// A run that was entered ahead of its time is due: overlap is judged now.
    pub(super) fn judge_due_run(&mut self, id: RunId, batch: &mut Batch) {
        let Some(live) = self.runs.get(&id) else { return };
        let uid = live.run.job_uid;
        let Some(entry) = self.jobs.get(uid) else { return };
        // A change of the job may have queued it, and handed it out, since it came due.
        let waits = self.queue.contains(Candidate::Run(id)) || entry.waiting.iter().any(|(_, waiting)| *waiting == id);
        if live.run.attempt > 0 || waits {
            return;
        }
        let definition = Arc::clone(&entry.job.definition);
        let full = self.active_runs(entry, Some(id)) >= definition.max_instances as usize;
        match definition.overlap_policy {
            OverlapPolicy::Skip if full => self.end_waiting(id, RunEvent::Skipped, Reason::Overlap, batch),
            OverlapPolicy::Queue if full && entry.waiting.len() >= definition.max_queued as usize => {
                self.end_waiting(id, RunEvent::Skipped, Reason::QueueFull, batch);
            }
            OverlapPolicy::CancelRunning if full => {
                self.cancel_oldest(uid, Some(id), batch);
                self.queue_run(id);
            }
            OverlapPolicy::Skip | OverlapPolicy::Queue | OverlapPolicy::CancelRunning => self.queue_run(id),
        }
    }

    /// A run that has never been handed out must be by then.
    pub(super) fn set_deadline(&mut self, id: RunId) {
        let Some(live) = self.runs.get(&id).filter(|live| live.run.attempt == 0) else { return };
        let not_before = live.run.not_before;
        let deadline = self.jobs.get(live.run.job_uid).and_then(|entry| entry.job.definition.start_deadline);
        if let Some(deadline) = deadline.map(|deadline| not_before.saturating_add(deadline)) {
            self.deadlines.insert((deadline, id));
            if let Some(live) = self.runs.get_mut(&id) {
                live.deadline = Some(deadline);
            }
        }
    }

    /// It has started, or ended.
    pub(super) fn release_deadline(&mut self, id: RunId) {
        if let Some(deadline) = self.runs.get_mut(&id).and_then(|live| live.deadline.take()) {
            self.deadlines.remove(&(deadline, id));
        }
    }

    pub(super) fn enter_run(&mut self, uid: JobUid, span: Span, batch: &mut Batch) {
        let id = self.next_run_id();
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        entry.cursor = entry.cursor.max(span.last);
        let not_before = span.last.saturating_add(entry.compiled.jitter(uid, span.last));
        let run = Run { not_before, ..row(&entry.job, id, self.now.wall, Some(span)) };
        self.stats.fires_entered += span.count;
        batch.decided(span.first);
        self.count_fires(uid, span.count, batch);
        self.admit(run, batch);
    }

    /// A new run joins the unended ones; the hand-out that follows may give it its first attempt.
    pub(super) fn admit(&mut self, run: Run, batch: &mut Batch) {
        let (id, uid, not_before) = (run.id, run.job_uid, run.not_before);
        batch.enter(&run);
        self.runs.insert(id, LiveRun::new(run));
        if let Some(entry) = self.jobs.get_mut(uid) {
            entry.live.insert(id);
        }
        if not_before > self.now.wall {
            self.run_timers.insert((not_before, id));
        } else {
            self.queue_run(id);
        }
        self.set_deadline(id);
    }

    pub(super) fn enter_non_run(
        &mut self,
        uid: JobUid,
        span: Span,
        state: RunState,
        reason: Reason,
        reason_message: String,
        batch: &mut Batch,
    ) {
        let id = self.next_run_id();
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        entry.cursor = entry.cursor.max(span.last);
        let now = self.now.wall;
        let base = row(&entry.job, id, now, Some(span));
        let run = Run { state, reason: Some(reason), reason_message, end_time: Some(now), ..base };
        batch.decided(span.first);
        batch.enter(&run);
        if state == RunState::Missed {
            self.stats.fires_missed += span.count;
        } else {
            self.stats.fires_skipped += span.count;
        }
        self.count_fires(uid, span.count, batch);
        self.may_be_complete(uid);
    }
}

/// A row of a job as it begins: of a span of instants, or of none.
pub(super) fn row(job: &Job, id: RunId, now: Timestamp, span: Option<Span>) -> Run {
    let scheduled_time = span.map_or(now, |span| span.last);
    Run {
        id,
        job_uid: job.uid,
        job_key: job.key.clone(),
        job_revision: job.revision,
        trigger: if span.is_some() { Trigger::Schedule } else { Trigger::Manual },
        scheduled_time,
        occurrence: if span.is_some() { 0 } else { Run::occurrence_of(id) },
        covers_from: span.map(|span| span.covers_from),
        decided_at: now,
        not_before: scheduled_time,
        state: RunState::Pending,
        reason: None,
        reason_message: String::new(),
        attempt: 0,
        uncounted_attempts: 0,
        next_attempt_time: None,
        first_attempt: None,
        coalesced_count: span.map_or(1, |span| span.count),
        first_scheduled_time: span.filter(|span| span.first < span.last).map(|span| span.first),
        retry_of: None,
        backfill_id: None,
        labels: job.definition.labels.to_map(),
        payload: None,
        cancel_requested_time: None,
        create_time: now,
        start_time: None,
        end_time: None,
        progress: None,
        result: None,
        error: None,
        exit_code: None,
    }
}
