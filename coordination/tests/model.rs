//! The suite of coordinators against the election of the simulation's model (PROTOCOL.md, rule 31).

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod contract;

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use coordination::{Coordinator, Error, News};
use scheduler_core::engine::CandidacyId;
use simulation::{Candidate, Election, Instant, Renewal};

const LEASE: Duration = Duration::from_secs(3);

/// One node, as the first of its generations; how calls meet and are lost is the simulation's own matter.
#[derive(Default)]
struct Model(Mutex<Election>);

fn of_this_node(candidacy: CandidacyId) -> Candidate {
    Candidate { server: 0, generation: 1, candidacy }
}

fn not_leading() -> Error {
    Error::NotLeading("another candidacy leads, or none".to_owned())
}

#[async_trait]
impl Coordinator for Model {
    fn lease(&self) -> Option<Duration> {
        Some(LEASE)
    }

    async fn campaign(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let mut election = self.0.lock().unwrap();
        election.stand(of_this_node(candidacy), Instant::default().after(LEASE));
        election.elect();
        if election.leads(of_this_node(candidacy)) { Ok(()) } else { Err(not_leading()) }
    }

    async fn keep_alive(&self, candidacy: CandidacyId) -> Result<(), Error> {
        let until = Instant::default().after(LEASE);
        match self.0.lock().unwrap().renew(of_this_node(candidacy), until) {
            Renewal::Renewed => Ok(()),
            Renewal::Over | Renewal::Unknown => Err(not_leading()),
        }
    }

    async fn prove(&self, candidacy: CandidacyId) -> Result<(), Error> {
        if self.0.lock().unwrap().leads(of_this_node(candidacy)) { Ok(()) } else { Err(not_leading()) }
    }

    async fn resign(&self, candidacy: CandidacyId) {
        let mut election = self.0.lock().unwrap();
        election.end(of_this_node(candidacy));
        election.elect();
    }

    async fn news(&self) -> News {
        // It is told by the simulation's world, when something happens.
        std::future::pending().await
    }
}

macro_rules! case {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            contract::$case(&Model::default()).await;
        }
    };
}

for_each_case!(case);
