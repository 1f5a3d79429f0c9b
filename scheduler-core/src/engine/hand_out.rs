//! From the queue to an attempt on an agent: best first, as long as agents have room and jobs have slots.

use std::sync::Arc;

use crate::agent::Assign;
use crate::ids::{AgentInstance, AttemptId, JobUid, RunId};
use crate::run::{Attempt, AttemptState, Reason};

use super::agents::Unplaceable;
use super::batch::{Batch, Then};
use super::queue::{Candidate, Class};
use super::term::Term;

impl Term {
    /// Hands out, best first, as long as agents have room. Whether more was there than fits a batch.
    pub(super) fn hand_out(&mut self, batch: &mut Batch) -> bool {
        let (now, fresh) = (self.now.boot, self.freshness());
        while !self.tokens.is_spent() {
            let Some((candidate, instance)) = self.queue.first(|class| self.agents.place(class, now, fresh).ok())
            else {
                return false;
            };
            // An attempt of a run that this batch enters is no further row.
            let is_entered = matches!(candidate, Candidate::Run(run) if batch.entered.contains(&run));
            if batch.rows() >= self.batch_limit() && !is_entered {
                return true;
            }
            let uid = match candidate {
                Candidate::Due(uid) => uid,
                Candidate::Run(run) => match self.runs.get(&run) {
                    Some(live) => live.run.job_uid,
                    None => unreachable!("because a run that ends leaves the queue"),
                },
            };
            self.unqueue(candidate, uid);
            let Some(entry) = self.jobs.get_mut(uid) else { continue };
            if entry.is_closed(batch) {
                entry.parked.push(candidate);
                continue;
            }
            match candidate {
                Candidate::Due(uid) => self.enter_due(uid, batch),
                Candidate::Run(run) => {
                    let class = Arc::clone(&entry.class);
                    let instance = self.preferred_agent(uid, &class, instance);
                    self.start_attempt(run, instance, batch);
                }
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

    /// Makes an attempt of a run on an agent; it is sent when the transaction is in the ledger.
    fn start_attempt(&mut self, id: RunId, instance: AgentInstance, batch: &mut Batch) {
        let Some(uid) = self.runs.get(&id).map(|live| live.run.job_uid) else { return };
        let slot = self.free_slot(uid, instance);
        if slot.is_some() {
            self.release_deadline(id);
        }
        let Some(live) = self.runs.get_mut(&id) else { return };
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        let Some(agent) = self.agents.by_instance.get_mut(&instance) else { return };
        let Some(slot) = slot else {
            // `max_instances` shrank since it was queued, or a lock is in the way for a moment.
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
        self.lock_for(attempt_id);
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
                start_at: Some(live.run.not_before).filter(|start| *start > self.now.wall),
                timeout: definition.timeout,
                kill_grace: definition.kill_grace,
            },
        ))
    }
}
