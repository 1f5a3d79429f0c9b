//! A leader that is left behind: deposed in the instant in which it hands something out, cut off from whoever could tell
//! it so, and met again by an agent that its successor has welcomed in between. It takes several faults at the worst
//! moments, which chance alone would hardly bring together (SCENARIOS.md, 20).

use std::time::Duration;

use executor_agent::session as agent;
use scheduler_core::txn::Transaction;
use uuid::Uuid;

use crate::event::Event;
use crate::faults::Heal;
use crate::network::{ConnectionId, End, Packet};
use crate::server::Arrival;
use crate::trace::tell;
use crate::world::World;

/// How often it is looked whether the successor has welcomed the agent, and how many times at most: by then the deposed
/// leader's own lease has run out.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 22;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LeftBehind {
    server: usize,
    agent: usize,
    instance: Uuid,
    epoch: i64,
    looks: u32,
}

impl World {
    /// The present leader's next hand-out springs it.
    pub(crate) fn lie_in_wait(&mut self) {
        self.ambush = self.coordinator.election.leader.filter(|_| self.servers.len() > 1);
    }

    /// Called when the ledger has committed, before it answers.
    pub(crate) fn spring(&mut self, server: usize, transaction: &Transaction) {
        let Some(leader) = self.ambush.filter(|leader| leader.server == server) else { return };
        let runs = transaction.entered.iter().chain(&transaction.updated);
        let first = runs.filter(|run| run.attempt == 1).filter_map(|run| run.first_attempt.as_ref());
        let mut handed_out = first.chain(transaction.attempts.iter().map(|(_, attempt)| attempt));
        let found = handed_out.find_map(|attempt| {
            let instance = attempt.agent_instance.0;
            let is_new = attempt.start_time.is_none() && !attempt.state.is_ended();
            let agent = self.agents.iter().position(|agent| agent.session.is_some() && agent.instance == instance);
            agent.filter(|_| is_new).map(|agent| (agent, instance))
        });
        let Some((agent, instance)) = found else { return };
        self.ambush = None;
        if self.coordinator.election.leader != Some(leader) {
            return;
        }
        self.tally.count("left behind", "deposed with a hand-out");
        tell!(self, "server {server} is left behind, and agent {agent} is torn from it");
        self.tear(agent, server);
        self.coordinator.cut.insert(server);
        self.ledger.cut.insert(server);
        self.end_candidacy(leader);
        let left = LeftBehind { server, agent, instance, epoch: transaction.epoch.0, looks: 0 };
        self.queue.plan(self.now.after(LOOK), Event::Heals(Heal::Deposed(left)));
    }

    /// Both sides hear at once that the connection is gone, and there is no way to another.
    fn tear(&mut self, agent: usize, server: usize) {
        let of = |(_, c): &(&ConnectionId, &crate::network::Connection)| c.agent == agent && c.server == server;
        let ids: Vec<_> = self.network.connections.iter().filter(of).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(connection) = self.network.connections.remove(&id) else { continue };
            if let Some((server, generation)) = connection.server_end() {
                let arrival = Arrival::Packet(id, Packet::End(End::Broken));
                self.queue.plan(self.now, Event::Server { server, generation, arrival });
            }
            if let Some((agent, generation, stream)) = connection.agent_end() {
                let why = agent::Closed::Lost("torn".to_owned());
                let input = Box::new(agent::Input::Closed { stream, why });
                self.queue.plan(self.now, Event::Agent { agent, generation, input });
            }
        }
        self.network.cut.insert((agent, server));
    }

    /// Once the successor has welcomed the agent, only the deposed leader can be reached.
    pub(crate) fn go_back_to_deposed(&mut self, left: LeftBehind) {
        if self.is_draining {
            return;
        }
        let LeftBehind { server, agent, instance, epoch, looks } = left;
        let is_welcomed = self.witness.highest_epoch(instance) > epoch;
        if !is_welcomed && looks < LOOKS {
            let left = LeftBehind { looks: looks + 1, ..left };
            self.queue.plan(self.now.after(LOOK), Event::Heals(Heal::Deposed(left)));
            return;
        }
        if is_welcomed {
            self.tally.count("left behind", "met again");
            tell!(self, "agent {agent} reaches only the deposed server {server}");
            for other in (0..self.servers.len()).filter(|other| *other != server) {
                self.tear(agent, other);
                self.heal_later(Heal::Link(agent, other));
            }
        }
        self.heal_link(agent, server);
        let lasts = self.random.millis(200, 3_000);
        for heal in [Heal::Coordinator(server), Heal::Ledger(server)] {
            self.queue.plan(self.now.after(lasts), Event::Heals(heal));
        }
    }
}
