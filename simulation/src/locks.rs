//! Agents' leases and the locks on them, as etcd has them. No time passes in it, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::ids::AgentInstance;
use scheduler_core::lock::{HeldLock, Holder, LockName};

use crate::clock::Instant;

#[derive(Default)]
pub struct LockTable {
    leases: BTreeMap<AgentInstance, Lease>,
    held: BTreeMap<LockName, Holder>,
}

struct Lease {
    /// After each renewal.
    lasts: Duration,
    ends: Instant,
}

impl LockTable {
    /// Gives a lease, or renews the one that is there; how long it lasts after each renewal, and when it ends.
    pub fn lend(&mut self, agent: AgentInstance, lasts: Duration, now: Instant) -> (Duration, Instant) {
        let lease = self.leases.entry(agent).or_insert(Lease { lasts, ends: now });
        lease.ends = lease.ends.max(now.after(lease.lasts));
        (lease.lasts, lease.ends)
    }

    /// Whether there was one.
    pub fn renew(&mut self, agent: AgentInstance, now: Instant) -> bool {
        let lasts = self.leases.get(&agent).map(|lease| lease.lasts);
        lasts.map(|lasts| self.lend(agent, lasts, now)).is_some()
    }

    /// It will end later than it should; when.
    pub fn delay(&mut self, agent: AgentInstance, by: Duration) -> Option<Instant> {
        let lease = self.leases.get_mut(&agent)?;
        lease.ends = lease.ends.after(by);
        Some(lease.ends)
    }

    pub fn lasts(&self, agent: AgentInstance) -> bool {
        self.leases.contains_key(&agent)
    }

    /// When the lease ends, while it lasts.
    pub fn lasts_until(&self, agent: AgentInstance) -> Option<Instant> {
        self.leases.get(&agent).map(|lease| lease.ends)
    }

    /// Those that have a lease.
    pub fn agents(&self) -> Vec<AgentInstance> {
        self.leases.keys().copied().collect()
    }

    /// The agent's locks go with its lease.
    pub fn end(&mut self, agent: AgentInstance) {
        self.leases.remove(&agent);
        self.held.retain(|_, holder| holder.instance != agent);
    }

    /// Takes those that are free; the others are told as they are. `None`: the agent has no lease.
    pub fn take(&mut self, locks: &[HeldLock]) -> Option<Vec<HeldLock>> {
        if locks.iter().any(|lock| !self.leases.contains_key(&lock.holder.instance)) {
            return None;
        }
        let taken = locks.iter().map(|lock| {
            let holder = *self.held.entry(lock.name).or_insert(lock.holder);
            HeldLock { name: lock.name, holder }
        });
        Some(taken.zip(locks).filter(|(found, asked)| found != *asked).map(|(found, _)| found).collect())
    }

    pub fn release(&mut self, locks: &[HeldLock]) {
        for lock in locks {
            if self.held.get(&lock.name) == Some(&lock.holder) {
                self.free(lock.name);
            }
        }
    }

    pub(crate) fn free(&mut self, name: LockName) {
        self.held.remove(&name);
    }

    pub(crate) fn holder(&self, name: LockName) -> Option<Holder> {
        self.held.get(&name).copied()
    }

    pub fn held(&self) -> Vec<HeldLock> {
        self.held.iter().map(|(name, holder)| HeldLock { name: *name, holder: *holder }).collect()
    }
}
