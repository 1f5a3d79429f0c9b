//! Locks as keys on the leases of their agents, in batches that are done while this node leads, or not at all.

use etcd_client::KeyValue;
use scheduler_core::ids::{AgentInstance, Epoch, FencingToken};
use scheduler_core::lock::{HeldLock, Holder, LockName};

use crate::Error;

use super::Shared;
use super::candidate::Key;
use super::lent::of_agent;
use super::requests::{Guard, Outcome, Transaction, Write};

/// etcd takes 128 compares or operations; one of each is about the leader's key.
const MOST: usize = 127;
/// A batch of which nothing changes between two tries is not tried for ever.
const TRIES: usize = 3;

fn value(holder: &Holder) -> Vec<u8> {
    format!("{} {} {}", holder.instance, holder.epoch, holder.token.0).into_bytes()
}

fn holder(value: &[u8]) -> Option<Holder> {
    let mut parts = std::str::from_utf8(value).ok()?.split(' ');
    let instance: AgentInstance = parts.next()?.parse().ok()?;
    let (epoch, token) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Holder { instance, epoch: Epoch(epoch), token: FencingToken(token) })
}

impl Shared {
    fn lock_key(&self, name: LockName) -> String {
        format!("{}{}/{}", self.settings.lock_prefix(), name.job, name.slot)
    }

    fn held_lock(&self, kv: &KeyValue) -> Option<HeldLock> {
        let name = std::str::from_utf8(kv.key()).ok()?.strip_prefix(&self.settings.lock_prefix())?;
        let (job, slot) = name.split_once('/')?;
        let name = LockName { job: job.parse().ok()?, slot: slot.parse().ok()? };
        Some(HeldLock { name, holder: holder(kv.value())? })
    }

    pub(super) async fn held(&self) -> Result<Vec<HeldLock>, Error> {
        let mut held: Vec<HeldLock> = Vec::new();
        for kv in self.read_pages(&self.settings.lock_prefix()).await? {
            match self.held_lock(&kv) {
                Some(lock) => held.push(lock),
                None => {
                    tracing::error!(key = %String::from_utf8_lossy(kv.key()), "a lock cannot be understood");
                }
            }
        }
        held.sort();
        Ok(held)
    }

    /// Takes locks for the agent that has this lease; those that are held otherwise.
    pub(super) async fn take(&self, leader: &Key, lease: i64, locks: &[HeldLock]) -> Result<Vec<HeldLock>, Error> {
        let mut refused = Vec::new();
        for batch in locks.chunks(MOST) {
            let mut open = batch.to_vec();
            let mut tries = TRIES;
            while let Some(read) = self.try_to_take(leader, lease, &open).await? {
                let (before, mut unreadable) = (open.len(), false);
                let is_free = |lock: &HeldLock, found: Option<&KeyValue>| match found {
                    None => true,
                    Some(kv) if kv.value() == value(&lock.holder) => false,
                    Some(kv) => {
                        match holder(kv.value()) {
                            Some(holder) => refused.push(HeldLock { name: lock.name, holder }),
                            None => unreadable = true,
                        }
                        false
                    }
                };
                retain(&mut open, &read, is_free);
                if unreadable {
                    return Err(Error::Refused("a lock cannot be understood".to_owned()));
                }
                tries = if open.len() < before { TRIES } else { tries - 1 };
                if open.is_empty() {
                    break;
                }
                if tries == 0 {
                    return Err(Error::Unreachable("the locks change too often".to_owned()));
                }
            }
        }
        Ok(refused)
    }

    /// `None`: done. Else what the locks are.
    async fn try_to_take(
        &self,
        leader: &Key,
        lease: i64,
        locks: &[HeldLock],
    ) -> Result<Option<Vec<Option<KeyValue>>>, Error> {
        let keys: Vec<String> = locks.iter().map(|lock| self.lock_key(lock.name)).collect();
        let puts = keys.iter().zip(locks);
        let puts = puts.map(|(key, lock)| Write::Put { key: key.clone(), value: value(&lock.holder), lease });
        let free = keys.iter().map(|key| Guard::Made(key.clone(), 0)).collect();
        self.try_batch(leader, free, puts.collect(), keys).await
    }

    /// Frees locks that still are as they are named here.
    pub(super) async fn release(&self, leader: &Key, locks: &[HeldLock]) -> Result<(), Error> {
        for batch in locks.chunks(MOST) {
            let mut open = batch.to_vec();
            let mut tries = TRIES;
            while !open.is_empty() {
                let keys: Vec<String> = open.iter().map(|lock| self.lock_key(lock.name)).collect();
                let guards = keys.iter().zip(&open);
                let guards = guards.map(|(key, lock)| Guard::Is(key.clone(), value(&lock.holder))).collect();
                let deletes = keys.iter().map(|key| Write::Delete { key: key.clone() }).collect();
                let Some(read) = self.try_batch(leader, guards, deletes, keys).await? else { break };
                let before = open.len();
                let is_there = |lock: &HeldLock, found: Option<&KeyValue>| {
                    found.is_some_and(|kv| kv.value() == value(&lock.holder))
                };
                retain(&mut open, &read, is_there);
                tries = if open.len() < before { TRIES } else { tries - 1 };
                if tries == 0 {
                    return Err(Error::Unreachable("the locks change too often".to_owned()));
                }
            }
        }
        Ok(())
    }

    async fn try_batch(
        &self,
        leader: &Key,
        mut guards: Vec<Guard>,
        writes: Vec<Write>,
        keys: Vec<String>,
    ) -> Result<Option<Vec<Option<KeyValue>>>, Error> {
        guards.push(leader.guard());
        let otherwise_read = std::iter::once(leader.name.clone()).chain(keys).collect();
        match self.transact(&Transaction { guards, writes, otherwise_read }).await.map_err(of_agent)? {
            Outcome::Done { .. } => Ok(None),
            Outcome::NotDone { mut read, .. } => {
                leader.is_there(read.first().and_then(Option::as_ref))?;
                Ok(Some(read.split_off(1)))
            }
        }
    }
}

/// Keeps those locks of which what was found says so.
fn retain(
    open: &mut Vec<HeldLock>,
    read: &[Option<KeyValue>],
    mut stays: impl FnMut(&HeldLock, Option<&KeyValue>) -> bool,
) {
    let mut found = read.iter();
    open.retain(|lock| stays(lock, found.next().and_then(Option::as_ref)));
}
