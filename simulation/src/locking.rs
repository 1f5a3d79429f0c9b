//! What a server asks the modelled etcd about locks, in guarded transactions: done while it leads, or not at all; late, lost,
//! or done once more. The promises that locks are for are judged with it.

use std::time::Duration;

use scheduler_core::engine::{Effect, IdleLocks, Input, LockCallId};
use scheduler_core::ids::AttemptId;
use scheduler_core::lock::HeldLock;

use crate::election::Candidate;
use crate::event::Event;
use crate::plant::Plant;
use crate::promise::Promise;
use crate::server::Arrival;
use crate::trace::tell;
use crate::trouble::Nuisance;
use crate::witness::short_attempt;
use crate::world::World;

/// Short, so that locks are given up and taken again all the time.
const LOCK_IDLE: Duration = Duration::from_secs(8);
/// By then a leader has heard that an agent's lease has ended, or is suspended: its watch is looked after once a second, and
/// its own lease lasts three.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) enum LockCall {
    Read,
    Take(Vec<HeldLock>),
    Release(Vec<HeldLock>),
}

#[derive(Debug)]
pub(crate) enum LockAnswer {
    Read(Vec<HeldLock>),
    /// All but these.
    Taken(Vec<HeldLock>),
    NoLease,
    Released,
}

impl LockAnswer {
    pub(crate) fn of(self, id: LockCallId) -> Input {
        match self {
            Self::Read(held) => Input::LocksRead(id, held),
            Self::Taken(refused) => Input::LocksTaken(id, refused),
            Self::NoLease => Input::LocksNotTaken(id),
            Self::Released => Input::LocksReleased(id),
        }
    }
}

impl World {
    pub(crate) fn idle_locks(&mut self) -> IdleLocks {
        if self.profile.is_directed {
            return IdleLocks::default();
        }
        let last = self.random.pick(&[Duration::ZERO, LOCK_IDLE, LOCK_IDLE * 10]);
        let an_agent = self.random.pick(&[2, usize::MAX]);
        IdleLocks { last, an_agent, in_all: self.random.pick(&[3, usize::MAX]) }
    }

    pub(crate) fn ask_about_locks(&mut self, s: usize, effect: Effect) {
        let (candidacy, id, call) = match effect {
            Effect::ReadLocks(candidacy, id) => (candidacy, id, LockCall::Read),
            Effect::TakeLocks(candidacy, id, locks) => (candidacy, id, LockCall::Take(locks)),
            Effect::ReleaseLocks(candidacy, id, locks) => (candidacy, id, LockCall::Release(locks)),
            _ => return,
        };
        if let (LockCall::Take(_), Some(Plant::DispatchBeforeLock)) = (&call, self.plant) {
            let (at, generation) = (self.now, self.servers[s].generation);
            let arrival = Arrival::OfLocks(id, LockAnswer::Taken(Vec::new()));
            self.queue.plan(at, Event::Server { server: s, generation, arrival });
        }
        self.tell_coordinator(s, candidacy, |candidate| Event::LocksAsked(candidate, id, call));
    }

    pub(crate) fn locks_asked(&mut self, candidate: Candidate, id: LockCallId, call: LockCall) {
        let (lost, repeated) = (self.profile.lock_calls_lost, self.profile.lock_calls_repeated);
        let is_lost = lost > 0.0 && self.random.chance(lost);
        if is_lost {
            self.tally.count("fault", Nuisance::LockCallLost.name());
        }
        let is_served = self.coordinator.reaches(candidate.server) && self.coordinator.election.leads(candidate);
        if !is_served || (is_lost && self.random.chance(0.5)) {
            return;
        }
        if repeated > 0.0 && self.random.chance(repeated) {
            self.tally.count("fault", Nuisance::LockCallRepeated.name());
            let at = self.now.after(self.random.millis(100, 4_000));
            self.queue.plan(at, Event::LocksAsked(candidate, id, call.clone()));
        }
        tell!(self, "the coordinator does lock call {} of server {}: {call:?}", id.0, candidate.server);
        let answer = match call {
            LockCall::Read => LockAnswer::Read(self.coordinator.locks.held()),
            LockCall::Take(locks) => self.take_locks(&locks),
            LockCall::Release(locks) => self.release_locks(&locks),
        };
        tell!(self, "… {answer:?}");
        if !is_lost {
            self.coordinator_answers(candidate, Arrival::OfLocks(id, answer));
        }
    }

    fn take_locks(&mut self, locks: &[HeldLock]) -> LockAnswer {
        let Some(refused) = self.coordinator.locks.take(locks) else {
            self.tally.count("coordinator", "lock of an agent without a lease");
            return LockAnswer::NoLease;
        };
        for lock in locks.iter().filter(|lock| !refused.iter().any(|refused| refused.name == lock.name)) {
            self.tally.count("coordinator", "lock taken");
            let others = self.witness.running_in(lock.name).filter(|(_, of)| *of != lock.holder.instance.0);
            if let Some((attempt, _)) = others.min() {
                let how = format!("the lock of {}'s slot is taken for another agent", short_attempt(attempt));
                self.broken(Promise::P4, how);
            }
        }
        refused.iter().for_each(|_| self.tally.count("coordinator", "lock refused"));
        LockAnswer::Taken(refused)
    }

    fn release_locks(&mut self, locks: &[HeldLock]) -> LockAnswer {
        for lock in locks {
            let Some(holder) = self.coordinator.locks.holder(lock.name) else { continue };
            if holder != lock.holder && self.plant != Some(Plant::LockOfAnotherReleased) {
                self.tally.count("coordinator", "release of another's lock refused");
                continue;
            }
            self.tally.count("coordinator", "lock released");
            let users = self.witness.running_in(lock.name).filter(|(_, of)| *of == holder.instance.0);
            if let Some((attempt, _)) = users.min() {
                let how = format!("the lock of {} is released while it runs", short_attempt(attempt));
                self.broken(Promise::P4, how);
            }
            self.coordinator.locks.free(lock.name);
        }
        LockAnswer::Released
    }

    /// An attempt is sent: its agent has the lock, or its leader cannot have heard yet that it has not.
    pub(crate) fn check_lock(&mut self, attempt: AttemptId) {
        let Some((name, instance)) = self.witness.slot_of(attempt) else { return };
        if self.coordinator.locks.holder(name).is_some_and(|holder| holder.instance == instance) {
            return;
        }
        let ended = self.coordinator.leases_ended.get(&instance);
        if ended.is_none_or(|ended| ended.after(HEARD_WITHIN) < self.now) {
            let how = format!("attempt {} is sent, and its agent has not the lock of its slot", short_attempt(attempt));
            self.broken(Promise::P4, how);
        }
    }
}
