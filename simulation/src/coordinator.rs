//! The modelled etcd: an election on leases. Its answers are linearizable, and late or lost; its leases end early or late.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scheduler_core::engine::{KeepAliveId, LoanId, ProofId};
use scheduler_core::ids::AgentInstance;
use scheduler_core::txn::Election as Won;

use crate::clock::Instant;
use crate::election::{Candidate, Election, Renewal};
use crate::event::Event;
use crate::locks::LockTable;
use crate::plant::Plant;
use crate::server::Arrival;
use crate::trace::tell;
use crate::trouble::Nuisance;
use crate::world::World;

pub(crate) const LEASE: Duration = Duration::from_secs(3);
/// How often a server's watch is looked after.
const WATCH: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Coordinator {
    pub(crate) election: Election,
    pub(crate) locks: LockTable,
    /// When an agent's lease last ended.
    pub(crate) leases_ended: BTreeMap<AgentInstance, Instant>,
    pub(crate) is_down: bool,
    pub(crate) cut: BTreeSet<usize>,
}

impl Coordinator {
    pub(crate) fn reaches(&self, server: usize) -> bool {
        !self.is_down && !self.cut.contains(&server)
    }
}

impl World {
    pub(crate) fn coordinator_answers(&mut self, candidate: Candidate, arrival: Arrival) {
        let Candidate { server, generation, .. } = candidate;
        let at = self.now.after(self.network_delay());
        self.queue.plan(at, Event::Server { server, generation, arrival });
    }

    pub(crate) fn campaign_arrives(&mut self, candidate: Candidate) {
        let server = &self.servers[candidate.server];
        if server.generation != candidate.generation || server.candidacy != Some(candidate.candidacy) {
            return;
        }
        if !self.coordinator.reaches(candidate.server) {
            let at = self.now.after(Duration::from_millis(500));
            self.queue.plan(at, Event::CampaignArrives(candidate));
            return;
        }
        let ends = self.now.after(LEASE);
        if self.coordinator.election.stand(candidate, ends) {
            self.queue.plan(ends, Event::LeaseEnds(candidate));
        }
        self.elect();
        self.announce();
    }

    fn elect(&mut self) {
        if self.coordinator.is_down {
            return;
        }
        let Some(candidate) = self.coordinator.election.elect() else { return };
        self.tally.count("coordinator", "elected");
        tell!(self, "the coordinator elects server {} (candidacy {})", candidate.server, candidate.candidacy.0);
        if self.coordinator.reaches(candidate.server) {
            self.coordinator_answers(candidate, self.elected(candidate));
        }
    }

    fn elected(&self, candidate: Candidate) -> Arrival {
        let won = |revision| Won { coordinator: "etcd".to_owned(), revision };
        Arrival::Elected(candidate.candidacy, self.coordinator.election.created(candidate).map(won))
    }

    /// Tells everybody who can be reached who leads and who stands.
    fn announce(&mut self) {
        for server in 0..self.servers.len() {
            if self.coordinator.reaches(server) {
                let generation = self.servers[server].generation;
                let at = self.now.after(self.network_delay());
                let arrival = self.standing(server);
                self.queue.plan(at, Event::Server { server, generation, arrival });
            }
        }
    }

    fn standing(&self, server: usize) -> Arrival {
        let leader = self.coordinator.election.leader.map(|leader| leader.server);
        Arrival::Standing(leader, self.coordinator.election.others(server).into_iter().collect())
    }

    /// A watch brings what was missed while the coordinator could not be reached.
    pub(crate) fn watches(&mut self, server: usize, generation: u32) {
        if self.servers[server].generation != generation || self.servers[server].engine.is_none() {
            return;
        }
        self.queue.plan(self.now.after(WATCH), Event::Watches { server, generation });
        if self.servers[server].is_frozen || !self.coordinator.reaches(server) {
            return;
        }
        let leader = self.coordinator.election.leader.map(|leader| leader.server);
        let watcher = &self.servers[server];
        if watcher.leader_hint != leader || !watcher.others.iter().copied().eq(self.coordinator.election.others(server))
        {
            self.arrive(server, generation, self.standing(server));
        }
        let locks = &self.coordinator.locks;
        let ended: Vec<_> = self.servers[server].lent.iter().filter(|agent| !locks.lasts(**agent)).copied().collect();
        if !ended.is_empty() {
            self.arrive(server, generation, Arrival::LeasesEnded(ended));
        }
        let watcher = &self.servers[server];
        let Some(candidacy) = watcher.candidacy.filter(|_| watcher.generation == generation) else { return };
        let candidate = Candidate { server, generation, candidacy };
        if self.coordinator.election.has_ended(candidate) {
            self.arrive(server, generation, Arrival::Unelected(candidacy));
        } else if self.coordinator.election.leads(candidate) && !watcher.is_elected {
            self.arrive(server, generation, self.elected(candidate));
        }
    }

    pub(crate) fn keep_alive_arrives(&mut self, candidate: Candidate, id: KeepAliveId) {
        let rate = self.profile.keep_alives_lost;
        let is_lost = rate > 0.0 && self.random.chance(rate);
        if !self.coordinator.reaches(candidate.server) || (is_lost && self.random.chance(0.5)) {
            self.tally.count("fault", Nuisance::KeepAliveLost.name());
            return;
        }
        let renewed = self.now.after(LEASE + self.lateness());
        let arrival = match self.coordinator.election.renew(candidate, renewed) {
            Renewal::Unknown => return,
            Renewal::Over => Arrival::Unelected(candidate.candidacy),
            Renewal::Renewed => Arrival::KeptAlive(candidate.candidacy, id),
        };
        if is_lost {
            self.tally.count("fault", Nuisance::KeepAliveLost.name());
            return;
        }
        self.tally.count("coordinator", "kept alive");
        self.coordinator_answers(candidate, arrival);
    }

    /// How much later than it should a lease ends.
    fn lateness(&mut self) -> Duration {
        if self.profile.leases_late > 0.0 && self.random.chance(self.profile.leases_late) {
            self.tally.count("fault", Nuisance::LeaseLate.name());
            return self.random.millis(1, 4_000);
        }
        Duration::ZERO
    }

    /// A guarded transaction: done while the candidate leads, or not at all.
    pub(crate) fn loan_asked(&mut self, candidate: Candidate, id: LoanId, agent: AgentInstance, lasts: Duration) {
        if !self.coordinator.reaches(candidate.server) || !self.coordinator.election.leads(candidate) {
            return;
        }
        let (lasts, ends) = self.coordinator.locks.lend(agent, lasts, self.now);
        let late = self.lateness();
        let ends = self.coordinator.locks.delay(agent, late).unwrap_or(ends);
        self.queue.plan(ends, Event::AgentLeaseEnds(agent));
        if self.profile.proofs_lost > 0.0 && self.random.chance(self.profile.proofs_lost) {
            self.tally.count("fault", Nuisance::ProofLost.name());
            return;
        }
        self.tally.count("coordinator", "lease lent to an agent");
        self.coordinator_answers(candidate, Arrival::LeaseLent(id, agent, lasts));
    }

    pub(crate) fn agent_lease_ends(&mut self, agent: AgentInstance) {
        let Some(mut ends) = self.coordinator.locks.lasts_until(agent) else { return };
        if self.coordinator.is_down {
            self.coordinator.locks.renew(agent, self.now);
            ends = self.coordinator.locks.lasts_until(agent).unwrap_or(ends);
        }
        if ends > self.now {
            self.queue.plan(ends, Event::AgentLeaseEnds(agent));
            return;
        }
        self.tally.count("coordinator", "agent's lease ended");
        self.end_agent_lease(agent);
    }

    /// At its end, or early. Who cannot be told finds it with the next look at its watch.
    pub(crate) fn end_agent_lease(&mut self, agent: AgentInstance) {
        self.end_agent_lease_unheard(agent);
        let Some(leader) = self.coordinator.election.leader.filter(|leader| self.coordinator.reaches(leader.server))
        else {
            return;
        };
        self.coordinator_answers(leader, Arrival::LeasesEnded(vec![agent]));
    }

    pub(crate) fn end_agent_lease_unheard(&mut self, agent: AgentInstance) {
        self.coordinator.locks.end(agent);
        self.coordinator.leases_ended.insert(agent, self.now);
    }

    pub(crate) fn resignation_arrives(&mut self, candidate: Candidate) {
        if self.coordinator.reaches(candidate.server) {
            self.tally.count("coordinator", "resigned");
            self.end_candidacy(candidate);
        } else {
            self.tally.count("fault", "resignation lost");
        }
    }

    pub(crate) fn lease_ends(&mut self, candidate: Candidate) {
        let Some(mut ends) = self.coordinator.election.lasts_until(candidate) else { return };
        if self.coordinator.is_down {
            // Without quorum nothing ends; afterwards leases have their whole time again.
            ends = self.now.after(LEASE);
            self.coordinator.election.renew(candidate, ends);
        }
        if ends > self.now {
            self.queue.plan(ends, Event::LeaseEnds(candidate));
            return;
        }
        self.tally.count("coordinator", "lease ended");
        self.end_candidacy(candidate);
    }

    /// The lease is gone, with the key that stands on it: at its end, early, or because its holder resigned.
    pub(crate) fn end_candidacy(&mut self, candidate: Candidate) {
        let Some(has_led) = self.coordinator.election.end(candidate) else { return };
        if has_led {
            tell!(self, "the coordinator ends server {}'s leadership", candidate.server);
        }
        if self.coordinator.reaches(candidate.server) {
            self.coordinator_answers(candidate, Arrival::Unelected(candidate.candidacy));
        }
        self.elect();
        self.announce();
    }

    /// It was lost and built anew: all keys and leases are gone with its history.
    pub(crate) fn coordinator_forgets(&mut self) {
        let election = &mut self.coordinator.election;
        let all: Vec<Candidate> = election.waiting.iter().chain(&election.leader).copied().collect();
        election.forget();
        for candidate in all {
            self.end_candidacy(candidate);
        }
        for agent in self.coordinator.locks.agents() {
            self.end_agent_lease_unheard(agent);
        }
    }

    pub(crate) fn coordinator_returns(&mut self) {
        self.coordinator.is_down = false;
        self.elect();
        self.announce();
    }

    /// The leases are renewed, and then the key is read: it is there, or there is no answer.
    pub(crate) fn proof_asked(&mut self, candidate: Candidate, proof: ProofId, renewing: &[AgentInstance]) {
        let mut ended = Vec::new();
        if self.coordinator.reaches(candidate.server) {
            for agent in renewing {
                if !self.coordinator.locks.renew(*agent, self.now) {
                    ended.push(*agent);
                }
            }
        }
        let answered = self.coordinator.reaches(candidate.server) && self.coordinator.election.leads(candidate);
        if !answered && self.plant != Some(Plant::ConfirmedWithoutProof) {
            self.tally.count("coordinator", "proof refused");
            return;
        }
        if self.profile.proofs_lost > 0.0 && self.random.chance(self.profile.proofs_lost) {
            self.tally.count("fault", Nuisance::ProofLost.name());
            return;
        }
        self.tally.count("coordinator", "proof given");
        let revision = self.coordinator.election.revision();
        self.coordinator_answers(candidate, Arrival::Proved(proof, revision, ended));
    }
}
