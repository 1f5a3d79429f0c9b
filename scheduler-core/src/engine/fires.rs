//! From the due instant to the run in the ledger with its first attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::Assign;
use crate::ids::{AgentInstance, AttemptId, JobUid, RunId};
use crate::job::Job;
use crate::run::{Attempt, AttemptState, Reason, Run, RunEvent, RunState, Trigger};
use crate::time::Timestamp;

use super::agents::Unplaceable;
use super::batch::{Batch, Then};
use super::config::HOLD;
use super::decide::{Decision, Due, Span};
use super::live::LiveRun;
use super::queue::{Candidate, Class};
use super::term::Term;

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
        while let Some(&(due, run)) = self.run_timers.first().filter(|(due, _)| *due <= now) {
            self.run_timers.remove(&(due, run));
            self.queue_run(run);
        }
    }

    /// Looks at jobs with due fires: what needs no agent is decided at once, the rest joins the queue.
    pub(super) fn consider_due(&mut self, batch: &mut Batch) {
        while let Some(uid) = self.to_consider.pop_first() {
            let Some(entry) = self.jobs.get_mut(uid) else { continue };
            if entry.busy.is_some() {
                entry.parked.push(Candidate::Due(uid));
                continue;
            }
            let Some(first) = entry.next.filter(|next| *next <= self.now.wall) else { continue };
            let (class, rank, hold_until) = (Arc::clone(&entry.class), entry.rank(first), first.saturating_add(HOLD));
            let starts = self.decide(uid).iter().any(|row| matches!(row, Decision::Start(_)));
            if starts && self.now.wall < hold_until {
                self.queue.push(Candidate::Due(uid), class, rank);
                self.holds.insert((hold_until, uid));
                if let Some(entry) = self.jobs.get_mut(uid) {
                    entry.queued += 1;
                }
            } else {
                self.enter_due(uid, batch);
            }
        }
        while let Some(&(until, uid)) = self.holds.first().filter(|(until, _)| *until <= self.now.wall) {
            self.holds.remove(&(until, uid));
            if self.unqueue(Candidate::Due(uid), uid) {
                match self.jobs.get_mut(uid) {
                    Some(entry) if entry.busy.is_some() => entry.parked.push(Candidate::Due(uid)),
                    _ => self.enter_due(uid, batch),
                }
            }
        }
    }

    /// Hands out, best first, as long as agents have room. Whether more was there than fits a batch.
    pub(super) fn hand_out(&mut self, batch: &mut Batch) -> bool {
        let (now, fresh) = (self.now.boot, self.freshness());
        while batch.rows() < self.batch_limit() && !self.tokens.is_spent() {
            let Some((candidate, instance)) = self.queue.first(|class| self.agents.place(class, now, fresh).ok())
            else {
                return false;
            };
            let uid = match candidate {
                Candidate::Due(uid) => uid,
                Candidate::Run(run) => match self.runs.get(&run) {
                    Some(live) => live.run.job_uid,
                    None => unreachable!("because a run that ends leaves the queue"),
                },
            };
            self.unqueue(candidate, uid);
            let Some(entry) = self.jobs.get_mut(uid) else { continue };
            if entry.busy.is_some() {
                entry.parked.push(candidate);
                continue;
            }
            match candidate {
                Candidate::Due(uid) => self.enter_due(uid, batch),
                Candidate::Run(run) => self.start_attempt(run, instance, batch),
            }
        }
        true
    }

    /// Takes a candidate out of the queue; whether it was there.
    pub(super) fn unqueue(&mut self, candidate: Candidate, uid: JobUid) -> bool {
        let was_there = self.queue.remove(candidate);
        if was_there && let Some(entry) = self.jobs.get_mut(uid) {
            entry.queued -= 1;
        }
        was_there
    }

    /// A run whose time has come waits for an agent, or for a slot of its job.
    pub(super) fn queue_run(&mut self, id: RunId) {
        let Some(live) = self.runs.get(&id) else { return };
        let due = live.run.next_attempt_time.unwrap_or(live.run.not_before);
        let Some(entry) = self.jobs.get_mut(live.run.job_uid) else { return };
        let rank = entry.rank(due);
        if entry.has_free_slot() {
            entry.queued += 1;
            self.queue.push(Candidate::Run(id), Arc::clone(&entry.class), rank);
        } else {
            entry.waiting.insert((rank, id));
        }
    }

    /// A slot of the job may have become free: those that wait for one move up.
    pub(super) fn promote(&mut self, uid: JobUid) {
        while let Some(entry) = self.jobs.get_mut(uid) {
            if !entry.has_free_slot() {
                return;
            }
            let Some((rank, id)) = entry.waiting.pop_first() else { return };
            entry.queued += 1;
            self.queue.push(Candidate::Run(id), Arc::clone(&entry.class), rank);
        }
    }

    fn decide(&self, uid: JobUid) -> Vec<Decision> {
        let Some(entry) = self.jobs.get(uid) else { return Vec::new() };
        let definition = &entry.job.definition;
        let is_active = |id: &&RunId| {
            self.runs.get(id).is_some_and(|live| live.run.attempt > 0 || live.run.not_before <= self.now.wall)
        };
        Due {
            compiled: &entry.compiled,
            after: entry.cursor,
            until: self.now.wall,
            grace: definition.misfire_grace_time,
            coalesce: definition.coalesce,
            overlap: definition.overlap_policy,
            max_instances: definition.max_instances,
            max_queued: definition.max_queued,
            active: entry.live.iter().filter(is_active).count(),
            waiting: entry.waiting.len(),
        }
        .decide()
    }

    /// Decides a job's due fires now; runs get their first attempt in the same transaction if there is room.
    pub(super) fn enter_due(&mut self, uid: JobUid, batch: &mut Batch) {
        self.holds.retain(|(_, held)| *held != uid);
        let rows = self.decide(uid);
        self.jobs.unschedule(uid);
        for row in rows {
            match row {
                Decision::Missed(span, reason) => {
                    self.stats.fires_missed += span.count;
                    self.enter_non_run(uid, span, RunState::Missed, reason, batch);
                }
                Decision::Skipped(span, reason) => {
                    self.stats.fires_skipped += span.count;
                    self.enter_non_run(uid, span, RunState::Skipped, reason, batch);
                }
                Decision::Start(span) => self.enter_run(uid, span, batch),
                Decision::Displace(span) => {
                    self.cancel_oldest(uid, batch);
                    self.enter_run(uid, span, batch);
                }
            }
        }
        self.jobs.reschedule(uid);
    }

    pub(super) fn enter_run(&mut self, uid: JobUid, span: Span, batch: &mut Batch) {
        let id = self.next_run_id();
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        entry.cursor = entry.cursor.max(span.last);
        let not_before = span.last.saturating_add(entry.compiled.jitter(uid, span.last));
        let run = Run { not_before, ..row(&entry.job, id, self.now.wall, Some(span)) };
        self.stats.fires_entered += span.count;
        batch.decided(span.first);
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
    }

    /// A run that is entered without an attempt says what it waits for.
    pub(super) fn explain_waiting(&mut self, batch: &mut Batch) {
        for id in batch.entered.clone() {
            let Some(live) = self.runs.get(&id).filter(|live| live.run.attempt == 0) else { continue };
            let Some(entry) = self.jobs.get(live.run.job_uid) else { continue };
            let reason = if live.run.not_before > self.now.wall {
                Reason::NotDue
            } else if !self.queue.contains(Candidate::Run(id)) {
                Reason::WaitingForSlot
            } else {
                match self.agents.place(&entry.class, self.now.boot, self.freshness()) {
                    Err(Unplaceable::UnknownTaskType) => Reason::UnknownTaskType,
                    Err(Unplaceable::NoAgent) => Reason::NoAgent,
                    Ok(_) | Err(Unplaceable::AllBusy) => Reason::AgentsBusy,
                }
            };
            self.say_why_waiting(id, reason, batch);
        }
    }

    fn say_why_waiting(&mut self, id: RunId, reason: Reason, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&id) else { return };
        live.run.reason = Some(reason);
        if let Some(entry) = self.jobs.get(live.run.job_uid) {
            let Class { task_type, queue, .. } = &*entry.class;
            live.run.reason_message = match reason {
                Reason::UnknownTaskType => format!("no connected agent offers task type {task_type}"),
                Reason::NoAgent => {
                    format!("no agent that offers {task_type} is in queue {queue} with the labels asked for")
                }
                _ => String::new(),
            };
        }
        batch.write(&live.run);
    }

    pub(super) fn enter_non_run(
        &mut self,
        uid: JobUid,
        span: Span,
        state: RunState,
        reason: Reason,
        batch: &mut Batch,
    ) {
        let id = self.next_run_id();
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        entry.cursor = entry.cursor.max(span.last);
        let now = self.now.wall;
        let run = Run { state, reason: Some(reason), end_time: Some(now), ..row(&entry.job, id, now, Some(span)) };
        batch.decided(span.first);
        batch.enter(&run);
    }

    /// Makes an attempt of a run on an agent; it is sent when the transaction is in the ledger.
    fn start_attempt(&mut self, id: RunId, instance: AgentInstance, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&id) else { return };
        let Some(entry) = self.jobs.get_mut(live.run.job_uid) else { return };
        let Some(agent) = self.agents.by_instance.get_mut(&instance) else { return };
        let Some(slot) = entry.free_slot() else {
            // `max_instances` shrank since it was queued.
            let rank = entry.rank(live.run.next_attempt_time.unwrap_or(live.run.not_before));
            entry.waiting.insert((rank, id));
            return;
        };
        let attempt = Attempt {
            number: live.run.attempt + 1,
            state: AttemptState::Pending,
            agent_id: agent.id.clone(),
            agent_instance: instance,
            slot,
            fencing_token: self.tokens.take(),
            assign_time: self.now.wall,
            start_time: None,
            end_time: None,
            reason: None,
            error: None,
            exit_code: None,
        };
        let attempt_id = AttemptId { run: id, number: attempt.number };
        entry.slots.insert(slot, attempt_id);
        agent.held.insert(attempt_id);
        if attempt.number > 1 {
            batch.attempts.insert((id, attempt.number), attempt.clone());
        }
        live.begin(attempt);
        live.run.job_revision = entry.job.revision;
        live.run.next_attempt_time = None;
        live.run.reason = None;
        live.run.reason_message.clear();
        batch.write(&live.run);
        batch.then.push(Then::Assign(attempt_id));
        self.stats.attempts_assigned += 1;
    }

    /// The order for an attempt that is in the ledger.
    pub(super) fn assignment(&self, id: AttemptId) -> Option<(AgentInstance, Assign)> {
        let live = self.live_attempt(id)?;
        let attempt = live.attempt()?;
        let entry = self.jobs.get(live.run.job_uid)?;
        let definition = &entry.job.definition;
        Some((
            attempt.agent_instance,
            Assign {
                epoch: self.epoch,
                instance: attempt.agent_instance,
                attempt: id,
                fencing_token: attempt.fencing_token,
                slot: attempt.slot,
                job: live.run.job_key.clone(),
                task_type: definition.task.task_type.clone(),
                payload: live.run.payload.clone().unwrap_or_else(|| definition.task.payload.clone()),
                scheduled_time: live.run.scheduled_time,
                start_at: live.run.not_before,
                timeout: definition.timeout,
                kill_grace: definition.kill_grace,
            },
        ))
    }

    /// `CANCEL_RUNNING`: ends the job's oldest active run, at once if nothing of it is handed out.
    fn cancel_oldest(&mut self, uid: JobUid, batch: &mut Batch) {
        let Some(entry) = self.jobs.get(uid) else { return };
        let oldest = entry
            .live
            .iter()
            .copied()
            .find(|id| self.runs.get(id).is_some_and(|live| live.run.cancel_requested_time.is_none()));
        if let Some(id) = oldest {
            self.cancel(id, Reason::CancelledByOverlap, batch);
        }
    }

    /// Ends a run that has no attempt under way, or asks the agent of the one that is to stop it.
    pub(super) fn cancel(&mut self, id: RunId, reason: Reason, batch: &mut Batch) {
        let Some(live) = self.runs.get_mut(&id) else { return };
        live.run.cancel_requested_time = Some(self.now.wall);
        live.run.reason = Some(reason);
        let Some(attempt) = live.unended_attempt().map(|attempt| attempt.number) else {
            return self.end_waiting(id, RunEvent::Cancelled, reason, batch);
        };
        batch.write(&live.run);
        batch.then.push(Then::Cancel(AttemptId { run: id, number: attempt }));
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
        labels: job.definition.labels.clone(),
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
