//! The suite of coordinators against the election of the simulation's model (PROTOCOL.md, rule 31).

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod contract;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use coordination::{Coordinator, Error, Locks, News, Peer, Proof, Standing};
use scheduler_core::engine::{CandidacyId, Other};
use scheduler_core::ids::AgentInstance;
use scheduler_core::lock::HeldLock;
use scheduler_core::txn::Election as Won;
use simulation::{Candidate, Election, Instant, LockTable, Renewal};
use tokio::sync::watch;

const LEASE: Duration = Duration::from_secs(3);
const NODES: [&str; 2] = ["a", "b"];

/// One node, as the first of its generations; how calls meet and are lost is the simulation's own matter.
struct Model {
    node: usize,
    election: Arc<Mutex<Election>>,
    locks: Arc<Mutex<LockTable>>,
    changed: watch::Sender<()>,
    told: Mutex<Standing>,
}

fn cluster() -> (Model, Model) {
    let (election, locks, changed) = (Arc::default(), Arc::default(), watch::Sender::new(()));
    let node = |node| Model {
        node,
        election: Arc::clone(&election),
        locks: Arc::clone(&locks),
        changed: changed.clone(),
        told: Mutex::default(),
    };
    (node(0), node(1))
}

fn not_leading() -> Error {
    Error::NotLeading("another candidacy leads, or none".to_owned())
}

impl Model {
    fn candidate(&self, candidacy: CandidacyId) -> Candidate {
        Candidate { server: self.node, generation: 1, candidacy }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Election) -> T) -> T {
        let mut election = self.election.lock().unwrap();
        let changed = change(&mut election);
        election.elect();
        self.changed.send_replace(());
        changed
    }

    fn standing(&self) -> Standing {
        let election = self.election.lock().unwrap();
        let peer = |leader: Candidate| Peer {
            node: NODES[leader.server].into(),
            instance: leader.generation.to_string(),
            address: String::new(),
            version: String::new(),
            started: None,
            elected: election.created(leader).unwrap(),
        };
        let other = |server: usize| Other { node: NODES[server].into(), schedule_version: "1".to_owned() };
        let leader = election.leader().map(peer);
        let others = election.others(self.node).into_iter().map(other).collect();
        Standing { candidates: leader.clone().into_iter().collect(), leader, others }
    }
}

#[async_trait]
impl Coordinator for Model {
    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    async fn campaign(&self, candidacy: CandidacyId) -> Result<Option<Won>, Error> {
        let candidate = self.candidate(candidacy);
        if self.election.lock().unwrap().has_ended(candidate) {
            return Err(not_leading());
        }
        self.change(|election| election.stand(candidate, Instant::default().after(LEASE)));
        let is_decided = |_: &()| {
            let election = self.election.lock().unwrap();
            election.leads(candidate) || election.has_ended(candidate)
        };
        self.changed.subscribe().wait_for(is_decided).await.unwrap();
        self.prove(candidacy, &[]).await?;
        let revision = self.election.lock().unwrap().created(candidate);
        Ok(Some(Won { coordinator: "model".to_owned(), revision: revision.unwrap() }))
    }

    async fn keep_alive(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let until = Instant::default().after(LEASE);
        match self.election.lock().unwrap().renew(self.candidate(candidacy), until) {
            Renewal::Renewed => Ok(()),
            Renewal::Over | Renewal::Unknown => Err(not_leading()),
        }
    }

    async fn prove(&self, candidacy: CandidacyId, renewing: &[AgentInstance]) -> Result<Proof, Error> {
        let mut locks = self.locks.lock().unwrap();
        let lasts = |agent: &&AgentInstance| !locks.renew(**agent, Instant::default());
        let ended = renewing.iter().filter(lasts).copied().collect();
        let election = self.election.lock().unwrap();
        if election.leads(self.candidate(candidacy)) {
            Ok(Proof { revision: Some(election.revision()), ended, unrenewed: Vec::new() })
        } else {
            Err(not_leading())
        }
    }

    async fn bury(&self, leader: &Peer) -> Result<bool, Error> {
        Ok(self.change(|election| {
            let its = election.leader().filter(|its| election.created(*its) == Some(leader.elected));
            its.is_some_and(|its| election.end(its).is_some())
        }))
    }

    fn locks(&self) -> Option<&dyn Locks> {
        Some(self)
    }

    async fn resign(&self, candidacy: CandidacyId) {
        self.change(|election| election.end(self.candidate(candidacy)));
    }

    async fn news(&self) -> News {
        let mut changed = self.changed.subscribe();
        changed.wait_for(|()| self.standing() != *self.told.lock().unwrap()).await.unwrap();
        let standing = self.standing();
        self.told.lock().unwrap().clone_from(&standing);
        News::Standing(standing)
    }
}

impl Model {
    fn leading(&self, candidacy: CandidacyId) -> Result<MutexGuard<'_, LockTable>, Error> {
        if self.election.lock().unwrap().leads(self.candidate(candidacy)) {
            Ok(self.locks.lock().unwrap())
        } else {
            Err(not_leading())
        }
    }
}

#[async_trait]
impl Locks for Model {
    async fn lend(&self, candidacy: CandidacyId, agent: AgentInstance, lasts: Duration) -> Result<Duration, Error> {
        Ok(self.leading(candidacy)?.lend(agent, lasts, Instant::default()).0)
    }

    async fn take(&self, candidacy: CandidacyId, locks: &[HeldLock]) -> Result<Vec<HeldLock>, Error> {
        self.leading(candidacy)?.take(locks).ok_or(Error::NoLease)
    }

    async fn release(&self, candidacy: CandidacyId, locks: &[HeldLock]) -> Result<(), Error> {
        self.leading(candidacy)?.release(locks);
        Ok(())
    }

    async fn held(&self, candidacy: CandidacyId) -> Result<Vec<HeldLock>, Error> {
        Ok(self.leading(candidacy)?.held())
    }
}

macro_rules! case {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            contract::$case(&cluster().0).await;
        }
    };
}

for_each_case!(case);

macro_rules! case_of_two {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            let (a, b) = cluster();
            contract::two::$case(&a, &b).await;
        }
    };
}

for_each_case_of_two!(case_of_two);

macro_rules! case_of_locks {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            let (a, b) = cluster();
            contract::locks::$case(&a, &b).await;
        }
    };
}

for_each_case_of_locks!(case_of_locks);
