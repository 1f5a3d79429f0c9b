//! The locks of slots as this leader knows them: keys at the cluster's coordinator, each on the lease of the agent that has
//! it (PROTOCOL.md, rules 19 to 21). What becomes of them is decided in `locking`; a node that is alone has none.
//!
//! A lock is asked for under the token of the attempt that it is taken for. Once its release has been asked for, under
//! that token nobody uses it any more: a release that comes late, or is done twice, does nothing to a later holder.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::ids::{AgentInstance, AttemptId, FencingToken, JobUid};
use crate::lock::{HeldLock, Holder, LockName};
use crate::time::Boot;

use super::input::LockCallId;

/// A call that is not answered within this is made again. An answer that comes later still counts.
const PATIENCE: Duration = Duration::from_secs(1);
/// Locks of one call, which etcd takes as one transaction (rule 21).
const MOST: usize = 127;
/// By then a call has been done, as often as it will ever be.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lock {
    pub(super) holder: Holder,
    pub(super) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// To be taken, or asked for: whether the agent has it is not known.
    Taking,
    /// The agent has it, for an attempt in its slot, or for one whose end is not in the ledger yet.
    Held,
    /// The agent has it until then, and nothing is in its slot.
    Idle(Boot),
    /// To be given up, or asked for that.
    Releasing,
}

/// What the coordinator was asked.
#[derive(Clone, Debug)]
pub(super) enum LockCall {
    Read,
    /// For one agent.
    Take(AgentInstance, Vec<HeldLock>),
    Release(Vec<HeldLock>),
}

/// What an agent can do about a slot of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// It can be used.
    Slot(u32),
    /// None, until another agent has given up this one.
    After(LockName),
    /// None, until something changes.
    None,
}

#[derive(Default)]
pub(super) struct LockTable {
    /// Of a node in a cluster.
    is_needed: bool,
    /// What the coordinator has is known.
    is_read: bool,
    is_asked_for: bool,
    by_name: BTreeMap<LockName, Lock>,
    calls: BTreeMap<LockCallId, LockCall>,
    /// When what each call without an answer asked for is asked for again …
    unanswered: BTreeSet<(Boot, LockCallId)>,
    /// … and until when its late answer still counts.
    late: VecDeque<(Boot, LockCallId)>,
    to_take: BTreeSet<(AgentInstance, LockName)>,
    to_release: BTreeSet<LockName>,
    /// Tokens under which a release was asked for a while ago.
    given_up: BTreeSet<FencingToken>,
    given_up_order: VecDeque<(Boot, FencingToken)>,
    idle: BTreeSet<(Boot, LockName)>,
    idle_of: BTreeMap<AgentInstance, usize>,
}

impl LockTable {
    pub(super) fn new(in_cluster: bool) -> Self {
        Self { is_needed: in_cluster, ..Self::default() }
    }

    pub(super) fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Whether attempts can be handed out as far as locks go.
    pub(super) fn are_known(&self) -> bool {
        self.is_read || !self.is_needed
    }

    /// Whether the agent certainly took it, and has not given it up; its lease is another matter.
    pub(super) fn has(&self, name: LockName, instance: AgentInstance) -> bool {
        let is_its =
            |lock: &Lock| lock.holder.instance == instance && matches!(lock.state, State::Held | State::Idle(_));
        !self.is_needed || self.by_name.get(&name).is_some_and(is_its)
    }

    pub(super) fn of_job(&self, job: JobUid) -> impl Iterator<Item = (LockName, Lock)> {
        let slots = LockName { job, slot: 0 }..=LockName { job, slot: u32::MAX };
        self.by_name.range(slots).map(|(name, lock)| (*name, *lock))
    }

    pub(super) fn jobs(&self) -> BTreeSet<JobUid> {
        self.by_name.keys().map(|name| name.job).collect()
    }

    pub(super) fn idle_of(&self, instance: AgentInstance) -> usize {
        self.idle_of.get(&instance).copied().unwrap_or_default()
    }

    pub(super) fn all_idle(&self) -> usize {
        self.idle.len()
    }

    /// Of the slots below `max` that no attempt is in: one whose lock the agent has, else one that nobody has.
    pub(super) fn choose(
        &self,
        job: JobUid,
        max: u32,
        in_use: &BTreeMap<u32, AttemptId>,
        instance: AgentInstance,
    ) -> Choice {
        let is_free = |slot: &u32| !in_use.contains_key(slot);
        if !self.is_needed {
            return (0..max).find(is_free).map_or(Choice::None, Choice::Slot);
        }
        let locks: BTreeMap<u32, Lock> = self.of_job(job).map(|(name, lock)| (name.slot, lock)).collect();
        let free = locks.iter().filter(|(slot, _)| **slot < max && is_free(slot));
        let own = free.clone().find(|(_, lock)| lock.holder.instance == instance && lock.state != State::Releasing);
        let none = || (0..max).find(|slot| is_free(slot) && !locks.contains_key(slot));
        if let Some(slot) = own.map(|(slot, _)| *slot).or_else(none) {
            return Choice::Slot(slot);
        }
        let others = free.clone().find(|(_, lock)| matches!(lock.state, State::Idle(_)));
        others.map_or(Choice::None, |(slot, _)| Choice::After(LockName { job, slot: *slot }))
    }

    /// An attempt is in the slot: the agent has the lock already, or it is to be taken.
    pub(super) fn use_for(&mut self, name: LockName, holder: Holder) {
        if !self.is_needed {
            return;
        }
        match self.by_name.get(&name) {
            None => {
                self.by_name.insert(name, Lock { holder, state: State::Taking });
                self.to_take.insert((holder.instance, name));
            }
            Some(lock) if lock.holder.instance == holder.instance && matches!(lock.state, State::Idle(_)) => {
                self.set(name, State::Held);
            }
            Some(_) => {}
        }
    }

    pub(super) fn hold(&mut self, name: LockName) {
        self.set(name, State::Held);
    }

    pub(super) fn keep_until(&mut self, name: LockName, until: Boot) {
        self.set(name, State::Idle(until));
    }

    pub(super) fn release(&mut self, name: LockName) {
        if self.set(name, State::Releasing) {
            self.to_release.insert(name);
        }
    }

    /// Whether it is there.
    fn set(&mut self, name: LockName, state: State) -> bool {
        let Some(lock) = self.by_name.get_mut(&name) else { return false };
        let before = std::mem::replace(&mut lock.state, state);
        let instance = lock.holder.instance;
        self.is_idle_no_more(name, instance, before);
        if let State::Idle(until) = state {
            self.idle.insert((until, name));
            *self.idle_of.entry(instance).or_default() += 1;
        }
        true
    }

    fn is_idle_no_more(&mut self, name: LockName, instance: AgentInstance, state: State) {
        let State::Idle(until) = state else { return };
        self.idle.remove(&(until, name));
        if let Some(count) = self.idle_of.get_mut(&instance) {
            *count -= 1;
            if *count == 0 {
                self.idle_of.remove(&instance);
            }
        }
    }

    fn remove(&mut self, name: LockName) {
        if let Some(lock) = self.by_name.remove(&name) {
            self.is_idle_no_more(name, lock.holder.instance, lock.state);
            self.to_take.remove(&(lock.holder.instance, name));
            self.to_release.remove(&name);
        }
    }

    /// Its lease has ended: the locks are gone, and answers about them are about nothing. Who was asked for all locks before may
    /// still have seen these.
    pub(super) fn forget(&mut self, instance: AgentInstance) {
        let its = self.by_name.iter().filter(|(_, lock)| lock.holder.instance == instance);
        for name in its.map(|(name, _)| *name).collect::<Vec<_>>() {
            self.remove(name);
        }
        let is_about_it = |call: &LockCall| match call {
            LockCall::Read => true,
            LockCall::Take(of, _) => *of == instance,
            LockCall::Release(_) => false,
        };
        self.calls.retain(|_, call| !is_about_it(call));
        self.is_asked_for = false;
    }

    /// Idle locks whose time is up are given up.
    pub(super) fn release_outdated(&mut self, now: Boot) {
        while let Some((_, name)) = self.idle.first().copied().filter(|(until, _)| *until <= now) {
            self.release(name);
        }
    }

    /// What the coordinator is to be asked now. Nothing is asked for an agent that is waiting for its lease.
    pub(super) fn next_calls(&mut self, now: Boot, has_lease: impl Fn(AgentInstance) -> bool) -> Vec<LockCall> {
        if !self.is_needed {
            return Vec::new();
        }
        self.ask_again(now);
        let mut calls = Vec::new();
        if !self.is_read && !self.is_asked_for {
            self.is_asked_for = true;
            calls.push(LockCall::Read);
        }
        let (now_due, waiting) = std::mem::take(&mut self.to_take).into_iter().partition(|(of, _)| has_lease(*of));
        self.to_take = waiting;
        let now_due: BTreeSet<_> = now_due;
        let mut of_agents = BTreeMap::<AgentInstance, Vec<LockName>>::new();
        now_due.into_iter().for_each(|(of, name)| of_agents.entry(of).or_default().push(name));
        for (instance, names) in of_agents {
            let chunks = names.chunks(MOST);
            calls.extend(chunks.map(|names| LockCall::Take(instance, self.as_asked(names))));
        }
        let names: Vec<LockName> = std::mem::take(&mut self.to_release).into_iter().collect();
        calls.extend(names.chunks(MOST).map(|names| LockCall::Release(self.as_asked(names))));
        calls
    }

    fn as_asked(&self, names: &[LockName]) -> Vec<HeldLock> {
        let of = |name: &LockName| Some(HeldLock { name: *name, holder: self.by_name.get(name)?.holder });
        names.iter().filter_map(of).collect()
    }

    pub(super) fn asked(&mut self, id: LockCallId, call: LockCall, now: Boot) {
        if let LockCall::Release(locks) = &call {
            let tokens = locks.iter().map(|lock| lock.holder.token);
            self.given_up_order.extend(tokens.filter(|token| self.given_up.insert(*token)).map(|token| (now, token)));
        }
        self.calls.insert(id, call);
        self.unanswered.insert((now.saturating_add(PATIENCE), id));
    }

    /// What was not answered in time; and what will never be is forgotten.
    fn ask_again(&mut self, now: Boot) {
        let is_past = |(asked, _): &mut (Boot, FencingToken)| now.since(*asked) >= ARRIVES_WITHIN;
        while let Some((_, token)) = self.given_up_order.pop_front_if(is_past) {
            self.given_up.remove(&token);
        }
        while let Some((_, id)) = self.late.pop_front_if(|(until, _)| *until <= now) {
            self.calls.remove(&id);
        }
        while let Some((at, id)) = self.unanswered.first().copied().filter(|(at, _)| *at <= now) {
            self.unanswered.remove(&(at, id));
            let Some(call) = self.calls.get(&id) else { continue };
            self.late.push_back((now.saturating_add(ARRIVES_WITHIN), id));
            match call {
                LockCall::Read => self.is_asked_for = false,
                LockCall::Take(instance, locks) => {
                    let waits = locks.iter().filter(|lock| self.is(lock, State::Taking));
                    let waits: Vec<_> = waits.map(|lock| (*instance, lock.name)).collect();
                    self.to_take.extend(waits);
                }
                LockCall::Release(locks) => {
                    let waits = locks.iter().filter(|lock| self.is(lock, State::Releasing));
                    let waits: Vec<_> = waits.map(|lock| lock.name).collect();
                    self.to_release.extend(waits);
                }
            }
        }
    }

    fn is(&self, lock: &HeldLock, state: State) -> bool {
        self.by_name.get(&lock.name) == Some(&Lock { holder: lock.holder, state })
    }

    pub(super) fn next_wakeup(&self) -> Option<Boot> {
        let unanswered = self.unanswered.iter().find(|(_, id)| self.calls.contains_key(id)).map(|(at, _)| *at);
        let idle = self.idle.first().map(|(until, _)| *until);
        unanswered.into_iter().chain(idle).min()
    }

    /// A call that is answered; `None`: its answer is about nothing any more.
    pub(super) fn answered(&mut self, id: LockCallId) -> Option<LockCall> {
        self.calls.remove(&id)
    }

    pub(super) fn read(&mut self, held: Vec<HeldLock>) {
        if std::mem::replace(&mut self.is_read, true) {
            return;
        }
        let held = held.into_iter().map(|lock| (lock.name, Lock { holder: lock.holder, state: State::Held }));
        self.by_name.extend(held);
    }

    /// Whether this is news.
    pub(super) fn taken(&mut self, lock: &HeldLock) -> bool {
        self.is(lock, State::Taking) && {
            self.to_take.remove(&(lock.holder.instance, lock.name));
            self.set(lock.name, State::Held)
        }
    }

    /// It is held otherwise than anybody here knew. Of another agent nobody needs it; the same agent's is as good, unless it
    /// comes from a taking that was done again after the release. `None`: this is no news; else whether the agent has it.
    pub(super) fn found(&mut self, asked: &HeldLock, found: Holder) -> Option<bool> {
        if !self.is(asked, State::Taking) {
            return None;
        }
        self.remove(asked.name);
        self.by_name.insert(asked.name, Lock { holder: found, state: State::Held });
        let is_its = found.instance == asked.holder.instance && !self.given_up.contains(&found.token);
        if !is_its {
            self.release(asked.name);
        }
        Some(is_its)
    }

    /// Whether this is news.
    pub(super) fn released(&mut self, lock: &HeldLock) -> bool {
        self.is(lock, State::Releasing) && {
            self.remove(lock.name);
            true
        }
    }
}
