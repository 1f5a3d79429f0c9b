//! The modelled etcd: an election on leases. Its answers are linearizable, and late; its leases may end early.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use scheduler_core::engine::ProofId;

use crate::clock::Instant;
use crate::event::Event;
use crate::plant::Plant;
use crate::server::Arrival;
use crate::trace::tell;
use crate::world::World;

const LEASE: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) server: usize,
    pub(crate) generation: u32,
    /// The key's create revision.
    pub(crate) candidacy: u64,
}

#[derive(Default)]
pub(crate) struct Coordinator {
    pub(crate) leader: Option<Candidate>,
    waiting: VecDeque<Candidate>,
    /// When each server process's lease ends.
    leases: BTreeMap<(usize, u32), Instant>,
    pub(crate) is_down: bool,
    pub(crate) cut: BTreeSet<usize>,
    next_candidacy: u64,
}

impl Coordinator {
    pub(crate) fn next_candidacy(&mut self) -> u64 {
        self.next_candidacy += 1;
        self.next_candidacy
    }

    fn reaches(&self, server: usize) -> bool {
        !self.is_down && !self.cut.contains(&server)
    }
}

impl World {
    pub(crate) fn campaign_arrives(&mut self, candidate: Candidate) {
        let Candidate { server, generation, candidacy } = candidate;
        if self.servers[server].generation != generation || self.servers[server].candidacy != Some(candidacy) {
            return;
        }
        if !self.coordinator.reaches(server) {
            let at = self.now.after(Duration::from_millis(500));
            self.queue.plan(at, Event::CampaignArrives { server, generation, candidacy });
            return;
        }
        let ends = self.now.after(LEASE);
        if self.coordinator.leases.insert((server, generation), ends).is_none() {
            self.queue.plan(ends, Event::LeaseEnds { server, generation });
        }
        self.coordinator.waiting.push_back(candidate);
        self.elect();
    }

    fn elect(&mut self) {
        while self.coordinator.leader.is_none() && !self.coordinator.is_down {
            let Some(candidate) = self.coordinator.waiting.pop_front() else { return };
            let Candidate { server, generation, candidacy } = candidate;
            if !self.coordinator.leases.contains_key(&(server, generation)) {
                continue;
            }
            self.coordinator.leader = Some(candidate);
            self.tally.count("coordinator", "elected");
            tell!(self, "the coordinator elects server {server} (candidacy {candidacy})");
            let at = self.now.after(self.network_delay());
            self.queue.plan(at, Event::Server { server, generation, arrival: Arrival::Elected(candidacy) });
            self.announce_leader();
        }
    }

    fn announce_leader(&mut self) {
        let leader = self.coordinator.leader.map(|leader| leader.server);
        for server in 0..self.servers.len() {
            if self.coordinator.reaches(server) {
                let at = self.now.after(self.network_delay());
                let generation = self.servers[server].generation;
                self.queue.plan(at, Event::Server { server, generation, arrival: Arrival::LeaderIs(leader) });
            }
        }
    }

    /// A server's keep-alive, sent while its process runs.
    pub(crate) fn keep_alive(&mut self, server: usize, generation: u32) {
        if self.servers[server].generation != generation || self.servers[server].engine.is_none() {
            return;
        }
        self.queue.plan(self.now.after(KEEP_ALIVE), Event::KeepAlive { server, generation });
        if self.servers[server].is_frozen || !self.coordinator.reaches(server) {
            return;
        }
        let ends = self.now.after(LEASE);
        let ours = self.coordinator.leader.filter(|l| (l.server, l.generation) == (server, generation));
        if ours.is_some_and(|leader| self.servers[server].candidacy != Some(leader.candidacy)) {
            // Given up while the coordinator could not be told.
            self.revoke_lease(server, generation);
        }
        let leader = self.coordinator.leader.map(|leader| leader.server);
        match self.coordinator.leases.get_mut(&(server, generation)) {
            Some(lease) => *lease = ends,
            None => {
                // The lease has gone: so has the key that stood on it.
                let candidacy = self.servers[server].candidacy;
                if let Some(candidacy) = candidacy {
                    self.arrive(server, generation, Arrival::Unelected(candidacy));
                }
            }
        }
        if self.servers[server].leader_hint != leader {
            self.arrive(server, generation, Arrival::LeaderIs(leader));
        }
    }

    pub(crate) fn lease_ends(&mut self, server: usize, generation: u32) {
        let Some(ends) = self.coordinator.leases.get(&(server, generation)).copied() else { return };
        if self.coordinator.is_down {
            // Without quorum nothing ends; afterwards leases have their whole time again.
            self.coordinator.leases.insert((server, generation), self.now.after(LEASE));
        }
        let ends = if self.coordinator.is_down { self.now.after(LEASE) } else { ends };
        if ends > self.now {
            self.queue.plan(ends, Event::LeaseEnds { server, generation });
            return;
        }
        self.revoke_lease(server, generation);
    }

    /// The lease is gone, with all that stands on it: at its end, early, or because its holder resigned.
    pub(crate) fn revoke_lease(&mut self, server: usize, generation: u32) {
        if self.coordinator.leases.remove(&(server, generation)).is_none() {
            return;
        }
        self.tally.count("coordinator", "lease ended");
        self.coordinator.waiting.retain(|waiting| (waiting.server, waiting.generation) != (server, generation));
        let Some(leader) = self.coordinator.leader.filter(|l| (l.server, l.generation) == (server, generation)) else {
            return;
        };
        tell!(self, "the coordinator ends server {server}'s leadership");
        self.coordinator.leader = None;
        if self.coordinator.reaches(server) {
            let at = self.now.after(self.network_delay());
            let arrival = Arrival::Unelected(leader.candidacy);
            self.queue.plan(at, Event::Server { server, generation, arrival });
        }
        self.elect();
        if self.coordinator.leader.is_none() {
            self.announce_leader();
        }
    }

    pub(crate) fn coordinator_returns(&mut self) {
        self.coordinator.is_down = false;
        self.elect();
    }

    /// A linearizable read: the key is there now, or there is no answer.
    pub(crate) fn proof_asked(&mut self, server: usize, generation: u32, candidacy: u64, proof: ProofId) {
        let leads = self.coordinator.leader == Some(Candidate { server, generation, candidacy });
        let answered = self.coordinator.reaches(server) && leads;
        if !answered && self.plant != Some(Plant::ConfirmedWithoutProof) {
            self.tally.count("coordinator", "proof refused");
            return;
        }
        if self.profile.proofs_lost > 0.0 && self.random.chance(self.profile.proofs_lost) {
            self.tally.count("fault", "proof lost");
            return;
        }
        self.tally.count("coordinator", "proof given");
        let at = self.now.after(self.network_delay());
        self.queue.plan(at, Event::Server { server, generation, arrival: Arrival::Proved(proof) });
    }
}
