//! What becomes of the locks of slots: taken beside the commit of the attempt that needs one, kept for a while when it has
//! ended, given up (PROTOCOL.md, rules 8 and 19 to 21). An attempt is sent only while its agent certainly has the lock.
//!
//! The ledger says which attempt is in which slot; a lock says only whose the slot is. So nothing here is written, and what
//! a new leader needs to know of locks it reads at the coordinator.

use std::collections::BTreeSet;

use crate::ids::{AgentInstance, AttemptId, JobUid};
use crate::lock::{HeldLock, Holder, LockName};
use crate::run::Reason;
use crate::time::Boot;

use super::attempts::End;
use super::inbox::Event;
use super::input::{Effect, LockCallId};
use super::leases::AgentLease;
use super::live::Dispatch;
use super::lock_table::{Choice, LockCall, State};
use super::queue::Class;
use super::term::Term;

impl Term {
    /// Whether this leader decides fires and hands attempts out: it is confirmed, and knows the locks, and what agents run.
    pub(super) fn decides(&self) -> bool {
        !self.suspended && self.locks.are_known() && !self.waits_for_the_lost()
    }

    /// Asks the coordinator for all that has come up. Without a confirmed lease of its own, this node takes nothing.
    pub(super) fn ask_for_locks(&mut self, out: &mut Vec<Effect>) {
        if self.suspended || !self.locks.is_needed() {
            return;
        }
        let now = self.now.boot;
        self.locks.release_outdated(now);
        // Of an agent that is not known any more, what was asked for must still become known.
        let has_lease = |instance| {
            let entry = self.agents.by_instance.get(&instance);
            entry.is_none_or(|entry| matches!(entry.lease, AgentLease::Lent { .. }))
        };
        for call in self.locks.next_calls(now, has_lease) {
            let id = LockCallId(self.next_call_id().0);
            out.push(match &call {
                LockCall::Read => Effect::ReadLocks(self.candidacy, id),
                LockCall::Take(_, locks) => Effect::TakeLocks(self.candidacy, id, locks.clone()),
                LockCall::Release(locks) => Effect::ReleaseLocks(self.candidacy, id, locks.clone()),
            });
            self.locks.asked(id, call, now);
        }
    }

    pub(super) fn next_lock_call(&self) -> Option<Boot> {
        self.locks.next_wakeup().filter(|_| !self.suspended)
    }

    /// The slot for another attempt of the job on this agent, if there is one (rule 20).
    pub(super) fn free_slot(&mut self, uid: JobUid, instance: AgentInstance) -> Option<u32> {
        let entry = self.jobs.get(uid)?;
        let max = entry.job.definition.max_instances;
        if entry.slots.len() >= max as usize {
            return None;
        }
        match self.locks.choose(uid, max, &entry.slots, instance) {
            Choice::Slot(slot) => Some(slot),
            Choice::After(name) => {
                self.locks.release(name);
                None
            }
            Choice::None => None,
        }
    }

    /// Where the job's next attempt goes: to an agent that has a lock of it, unless `freest` has twice the room.
    pub(super) fn preferred_agent(&self, uid: JobUid, class: &Class, freest: AgentInstance) -> AgentInstance {
        let Some(entry) = self.jobs.get(uid).filter(|_| self.locks.is_needed()) else { return freest };
        let room = |instance| self.agents.room(instance, class, self.now.boot, self.freshness());
        let is_unused = |(name, lock): &(LockName, super::lock_table::Lock)| {
            matches!(lock.state, State::Held | State::Idle(_))
                && name.slot < entry.job.definition.max_instances
                && !entry.slots.contains_key(&name.slot)
        };
        let owners = self.locks.of_job(uid).filter(is_unused).map(|(_, lock)| lock.holder.instance);
        let most = room(freest);
        owners
            .filter(|owner| *owner == freest || room(*owner) * 2 > most)
            .max_by_key(|owner| room(*owner))
            .unwrap_or(freest)
    }

    /// The lock of an attempt is used, or is to be taken.
    pub(super) fn lock_for(&mut self, id: AttemptId) {
        if !self.locks.are_known() {
            return;
        }
        let Some(live) = self.live_attempt(id) else { return };
        let Some(attempt) = live.attempt() else { return };
        let name = LockName { job: live.run.job_uid, slot: attempt.slot };
        let holder = Holder { instance: attempt.agent_instance, epoch: self.epoch, token: attempt.fencing_token };
        self.locks.use_for(name, holder);
    }

    /// Whether the attempt may be sent, as far as its lock goes: its agent has it, on a lease that certainly lasts.
    pub(super) fn has_lock(&self, instance: AgentInstance, id: AttemptId) -> bool {
        let Some(live) = self.live_attempt(id) else { return false };
        let Some(attempt) = live.attempt() else { return false };
        let lease = self.agents.by_instance.get(&instance).map(|entry| entry.lease);
        lease.is_some_and(|lease| lease.is_good(self.now.boot))
            && self.locks.has(LockName { job: live.run.job_uid, slot: attempt.slot }, instance)
    }

    /// After a loan: the slots of its attempts are taken, again if an earlier lease ended (rule 19).
    pub(super) fn lock_all_of(&mut self, instance: AgentInstance) {
        let held = self.agents.by_instance.get(&instance).map(|entry| entry.held.clone());
        held.into_iter().flatten().for_each(|attempt| self.lock_for(attempt));
    }

    /// The agent that has the attempt in this slot.
    fn occupant(&self, name: LockName) -> Option<(AttemptId, AgentInstance)> {
        let attempt = *self.jobs.get(name.job)?.slots.get(&name.slot)?;
        let live = self.live_attempt(attempt)?;
        live.attempt().map(|found| (attempt, found.agent_instance))
    }

    /// All that is known of a job is in the ledger: attempts without a lock get one, and locks without an
    /// attempt are idle.
    pub(super) fn settle_locks(&mut self, uid: JobUid) {
        if !self.locks.is_needed() {
            return;
        }
        for (name, lock) in self.locks.of_job(uid).collect::<Vec<_>>() {
            match (lock.state, self.occupant(name)) {
                (State::Held | State::Idle(_), Some((_, instance))) if instance == lock.holder.instance => {
                    self.locks.hold(name);
                }
                (State::Held | State::Idle(_), Some(_)) => self.locks.release(name),
                (State::Held, None) => self.lay_by(name, lock.holder.instance),
                (State::Idle(_), None) | (State::Taking | State::Releasing, _) => {}
            }
        }
        let attempts = self.jobs.get(uid).into_iter().flat_map(|entry| entry.slots.values().copied());
        attempts.collect::<Vec<_>>().into_iter().for_each(|attempt| self.lock_for(attempt));
    }

    /// Nothing is in the slot: the agent keeps the lock if the job is likely to need it soon.
    fn lay_by(&mut self, name: LockName, instance: AgentInstance) {
        let limits = self.config.idle_locks;
        let entry = self.jobs.get(name.job);
        // One that cannot be read may be in any slot.
        if entry.is_some_and(|entry| entry.slots.values().any(|attempt| attempt.number == 0)) {
            return;
        }
        let soon = self.now.wall.saturating_add(limits.last);
        let is_needed_soon = entry.is_some_and(|entry| {
            name.slot < entry.job.definition.max_instances
                && (entry.next.is_some_and(|next| next <= soon) || !entry.live.is_empty())
        });
        let has_room = self.locks.idle_of(instance) < limits.an_agent && self.locks.all_idle() < limits.in_all;
        if is_needed_soon && has_room {
            self.locks.keep_until(name, self.now.boot.saturating_add(limits.last));
        } else {
            self.locks.release(name);
        }
    }

    /// What a new leader finds at the coordinator (rule 12).
    pub(super) fn locks_read(&mut self, id: LockCallId, held: Vec<HeldLock>) {
        if self.locks.answered(id).is_none() || self.locks.are_known() {
            return;
        }
        self.locks.read(held);
        for uid in self.locks.jobs() {
            self.settle_unless_busy(uid);
        }
        for instance in self.agents.by_instance.keys().copied().collect::<Vec<_>>() {
            self.lock_all_of(instance);
        }
    }

    fn settle_unless_busy(&mut self, uid: JobUid) {
        if self.jobs.get(uid).is_none_or(|entry| entry.busy.is_none()) {
            self.settle_locks(uid);
            self.promote(uid);
        }
    }

    /// The locks of a call are the agent's, but for those that are held otherwise.
    pub(super) fn locks_taken(&mut self, id: LockCallId, refused: &[HeldLock], out: &mut Vec<Effect>) {
        let Some(LockCall::Take(_, locks)) = self.locks.answered(id) else { return };
        let (mut sendable, mut jobs) = (Vec::new(), BTreeSet::new());
        for lock in locks {
            let occupant = self.occupant(lock.name).filter(|(_, instance)| *instance == lock.holder.instance);
            let is_taken = match refused.iter().find(|refused| refused.name == lock.name) {
                Some(found) => self.locks.found(&lock, found.holder),
                None => self.locks.taken(&lock).then_some(true),
            };
            match is_taken {
                Some(true) => {
                    sendable.extend(occupant.map(|(attempt, _)| attempt));
                    jobs.insert(lock.name.job);
                }
                Some(false) => {
                    let why = "another agent has the lock of its slot";
                    occupant.into_iter().for_each(|(attempt, _)| self.end_unlocked(attempt, why));
                }
                None => {}
            }
        }
        jobs.into_iter().for_each(|uid| self.settle_unless_busy(uid));
        self.send_held_back(&sendable, out);
    }

    /// The agent has no lease: nothing was taken (SCENARIOS.md, 23).
    pub(super) fn locks_not_taken(&mut self, id: LockCallId) {
        let Some(LockCall::Take(instance, locks)) = self.locks.answered(id) else { return };
        self.leases_ended(vec![instance]);
        for lock in locks {
            if let Some((attempt, _)) = self.occupant(lock.name).filter(|(_, of)| *of == instance) {
                self.end_unlocked(attempt, "its agent's lease has ended");
            }
        }
    }

    pub(super) fn locks_released(&mut self, id: LockCallId) {
        let Some(LockCall::Release(locks)) = self.locks.answered(id) else { return };
        for lock in locks {
            if self.locks.released(&lock) {
                match self.occupant(lock.name) {
                    Some((attempt, _)) => self.lock_for(attempt),
                    None => self.promote(lock.name.job),
                }
            }
        }
    }

    /// An attempt without its lock is never sent, and its run gets another (rule 8). One that was sent goes on.
    fn end_unlocked(&mut self, attempt: AttemptId, why: &str) {
        if self.live_attempt(attempt).is_some_and(|live| live.dispatch != Dispatch::Sent) {
            let end = End::NotStarted(Reason::LockNotTaken, why.to_owned());
            self.inbox.push_back(Event::End(attempt, end));
        }
    }
}
