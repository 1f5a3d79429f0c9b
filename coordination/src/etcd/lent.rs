//! The leases that this node has lent to agents, or found with them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::future;
use scheduler_core::engine::CandidacyId;
use scheduler_core::ids::AgentInstance;
use tokio::time::timeout;

use crate::Error;

use super::Shared;
use super::candidacies::State;
use super::candidate::Key;
use super::members::Failure;
use super::requests::{Guard, Outcome, Transaction, Write};

#[derive(Default)]
pub(super) struct Lent {
    by_agent: Mutex<BTreeMap<AgentInstance, Lease>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lease {
    id: i64,
    /// The revision that made the agent's key on it.
    created: i64,
}

impl Lent {
    fn by_agent(&self) -> MutexGuard<'_, BTreeMap<AgentInstance, Lease>> {
        self.by_agent.lock().expect("because nobody panics while holding it")
    }

    pub(super) fn to(&self, agent: AgentInstance) -> Option<i64> {
        self.by_agent().get(&agent).map(|lease| lease.id)
    }

    pub(super) fn all(&self) -> Vec<(AgentInstance, Lease)> {
        self.by_agent().iter().map(|(agent, lease)| (*agent, *lease)).collect()
    }

    /// Forgets a lease that has ended, unless another has been lent since; whether it does.
    pub(super) fn ended(&self, agent: AgentInstance, lease: Lease) -> bool {
        self.forget_if(agent, |lent| *lent == lease)
    }

    /// The same of the lease whose key was deleted at this revision.
    pub(super) fn deleted(&self, agent: AgentInstance, revision: i64) -> bool {
        self.forget_if(agent, |lent| lent.created < revision)
    }

    fn forget_if(&self, agent: AgentInstance, is_it: impl FnOnce(&Lease) -> bool) -> bool {
        let mut by_agent = self.by_agent();
        by_agent.get(&agent).is_some_and(is_it) && by_agent.remove(&agent).is_some()
    }
}

impl Shared {
    pub(super) fn leading(&self, candidacy: CandidacyId) -> Result<std::sync::Arc<Key>, Error> {
        match self.candidacies.state(candidacy) {
            State::Leading(key) => Ok(key),
            State::Begun | State::Leased(_) | State::Standing(_) | State::Over => {
                Err(Error::NotLeading("it is not elected, or no more".to_owned()))
            }
        }
    }

    fn agent_key(&self, agent: AgentInstance) -> String {
        format!("{}{agent}", self.settings.agent_prefix())
    }

    pub(super) fn agent_of(&self, key: &[u8]) -> Option<AgentInstance> {
        std::str::from_utf8(key).ok()?.strip_prefix(&self.settings.agent_prefix())?.parse().ok()
    }

    /// How long the lease lasts after each renewal: one that was there already is as long as whoever gave it said.
    pub(super) async fn lend(&self, leader: &Key, agent: AgentInstance, lasts: Duration) -> Result<Duration, Error> {
        let key = self.agent_key(agent);
        let (mut found, _) = self.read(&key).await?;
        if found.is_none() {
            let lasts = Duration::from_secs(lasts.as_secs() + u64::from(lasts.subsec_nanos() > 0));
            let lease = self.grant(lasts).await?;
            let transaction = Transaction {
                guards: vec![leader.guard(), Guard::Made(key.clone(), 0)],
                writes: vec![Write::Put { key: key.clone(), value: agent.to_string().into_bytes(), lease }],
                otherwise_read: vec![leader.name.clone(), key],
            };
            match self.transact(&transaction).await.map_err(of_agent)? {
                Outcome::Done { revision, .. } => {
                    self.lent.by_agent().insert(agent, Lease { id: lease, created: revision });
                    return Ok(lasts);
                }
                Outcome::NotDone { read, .. } => {
                    let mut read = read.into_iter();
                    leader.is_there(read.next().flatten().as_ref())?;
                    // An earlier try, or a call at the same time, has lent it one.
                    found = read.next().flatten();
                }
            }
        }
        let found = found.ok_or(Error::NoLease)?;
        let lease = Lease { id: found.lease(), created: found.create_revision() };
        let lasts = self.time_to_live(lease.id).await.map_err(of_agent)?;
        self.renew(lease.id).await.map_err(of_agent)?;
        self.lent.by_agent().insert(agent, lease);
        Ok(lasts)
    }

    /// Renews leases, all at once. One that is not renewed in time holds up nobody else's.
    pub(super) async fn renew_all(&self, agents: &[AgentInstance]) -> Renewed {
        let renewals = agents.iter().map(async |agent| {
            let Some(lease) = self.lent.by_agent().get(agent).copied() else { return (*agent, Renewal::Ended) };
            let renewal = match timeout(self.members.patience(), self.renew(lease.id)).await {
                Ok(Ok(())) => Renewal::Done,
                // Unless another has been lent since, or the watch was faster.
                Ok(Err(Failure::Gone)) if self.lent.ended(*agent, lease) => Renewal::Ended,
                Ok(Err(Failure::Gone)) => Renewal::Unknown,
                Ok(Err(Failure::Refused(_) | Failure::Unreachable(_))) | Err(_) => Renewal::Unknown,
            };
            (*agent, renewal)
        });
        let mut renewed = Renewed::default();
        for (agent, renewal) in future::join_all(renewals).await {
            match renewal {
                Renewal::Done => {}
                Renewal::Ended => renewed.ended.push(agent),
                Renewal::Unknown => renewed.unrenewed.push(agent),
            }
        }
        renewed
    }
}

#[derive(Default)]
pub(super) struct Renewed {
    pub(super) ended: Vec<AgentInstance>,
    pub(super) unrenewed: Vec<AgentInstance>,
}

enum Renewal {
    Done,
    Ended,
    Unknown,
}

/// What etcd says of a lease is about the agent's.
pub(super) fn of_agent(failure: Failure) -> Error {
    match failure {
        Failure::Gone => Error::NoLease,
        Failure::Refused(_) | Failure::Unreachable(_) => failure.into(),
    }
}
