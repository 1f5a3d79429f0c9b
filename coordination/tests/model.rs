//! The suite of coordinators against the election of the simulation's model (PROTOCOL.md, rule 31).

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod contract;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use coordination::{Coordinator, Error, News, Peer, Standing};
use scheduler_core::engine::{CandidacyId, Other};
use simulation::{Candidate, Election, Instant, Renewal};
use tokio::sync::watch;

const LEASE: Duration = Duration::from_secs(3);
const NODES: [&str; 2] = ["a", "b"];

/// One node, as the first of its generations; how calls meet and are lost is the simulation's own matter.
struct Model {
    node: usize,
    election: Arc<Mutex<Election>>,
    changed: watch::Sender<()>,
    told: Mutex<Standing>,
}

fn cluster() -> (Model, Model) {
    let (election, changed) = (Arc::default(), watch::Sender::new(()));
    let node = |node| Model { node, election: Arc::clone(&election), changed: changed.clone(), told: Mutex::default() };
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
        };
        let other = |server: usize| Other { node: NODES[server].into(), schedule_version: "1".to_owned() };
        Standing {
            leader: election.leader().map(peer),
            others: election.others(self.node).into_iter().map(other).collect(),
        }
    }
}

#[async_trait]
impl Coordinator for Model {
    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    async fn campaign(&self, candidacy: CandidacyId) -> Result<(), Error> {
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
        if self.election.lock().unwrap().leads(candidate) { Ok(()) } else { Err(not_leading()) }
    }

    async fn keep_alive(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let until = Instant::default().after(LEASE);
        match self.election.lock().unwrap().renew(self.candidate(candidacy), until) {
            Renewal::Renewed => Ok(()),
            Renewal::Over | Renewal::Unknown => Err(not_leading()),
        }
    }

    async fn prove(&self, candidacy: CandidacyId) -> Result<(), Error> {
        if self.election.lock().unwrap().leads(self.candidate(candidacy)) { Ok(()) } else { Err(not_leading()) }
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
