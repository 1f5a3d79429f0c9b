//! What planted bugs do to what passes between a server's engine and everybody else.

use std::time::Duration;

use agent_wire::{Credits, server_messages};
use scheduler_core::agent::{Assign, FromAgent, StreamId, ToAgent};
use scheduler_core::engine::{Answer, Command};
use scheduler_core::ids::JobUid;
use scheduler_core::schedule::SHORTEST_EVERY;
use scheduler_core::txn::Call;

use crate::clock::Instant;
use crate::network::{ConnectionId, Packet, Side};
use crate::plant::Plant;
use crate::world::World;

/// An order that is kept back: see [`Plant::ChangeAnsweredBeforeRevocation`].
pub(crate) struct HeldBack {
    stream: StreamId,
    assign: Assign,
    until: Instant,
}

/// Orders that no change comes for are sent all the same.
const HELD_BACK: Duration = Duration::from_secs(2);

impl World {
    /// Planted bugs: see [`Plant::InventoryIgnored`] and [`Plant::InventoryBelievedEmpty`].
    pub(crate) fn alter_inventory(&mut self, id: ConnectionId, message: &mut FromAgent) {
        let FromAgent::Inventory(inventory) = message else { return };
        match self.plant {
            Some(Plant::InventoryIgnored) => {
                let agent = self.network.connections.get(&id).map(|connection| connection.agent);
                let instance = agent.map(|agent| self.agents[agent].instance);
                inventory.held = self.witness.unended_of(instance);
            }
            Some(Plant::InventoryBelievedEmpty) => {
                inventory.held.clear();
                inventory.reports.clear();
            }
            _ => {}
        }
    }

    /// A planted bug: see [`Plant::ReportAcknowledgedEarly`].
    pub(crate) fn acknowledge_early(&mut self, s: usize, id: ConnectionId, message: &FromAgent) {
        if self.plant != Some(Plant::ReportAcknowledgedEarly) {
            return;
        }
        let FromAgent::Reports(reports) = message else { return };
        let acks = reports.iter().map(|report| scheduler_core::agent::Ack {
            attempt: report.attempt,
            sequence: report.sequence,
            refused: false,
        });
        let acks = acks.collect();
        self.send(s, StreamId(id.0), ToAgent::Ack(acks));
    }

    /// A planted bug: see [`Plant::AssignedTwice`].
    pub(crate) fn send_to_another(&mut self, s: usize, not: ConnectionId, message: ToAgent) {
        let ToAgent::Assign(mut assignments) = message else { return };
        let others: Vec<_> = self.servers[s].streams.iter().filter(|(id, o)| **id != not && !o.waits).collect();
        let Some(other) = others.first().map(|(id, _)| **id) else { return };
        let Some(agent) = self.network.connections.get(&other).map(|connection| connection.agent) else { return };
        for assign in &mut assignments {
            assign.instance = scheduler_core::ids::AgentInstance(self.agents[agent].instance);
        }
        for part in server_messages(ToAgent::Assign(assignments), "n", &mut Credits::default()) {
            self.send_packet(other, Side::Agent, Packet::ToAgent(Box::new(part)));
        }
    }

    /// A planted bug: see [`Plant::ChangeAnsweredEarly`].
    pub(crate) fn answer_change_early(&mut self, s: usize, call: &Call) {
        if self.plant != Some(Plant::ChangeAnsweredEarly) {
            return;
        }
        let Call::Commit(transaction) = call else { return };
        for write in &transaction.jobs {
            if let Some(handle) = self.clients.handle_of(&write.author) {
                let answer = Ok(Answer::Job(Box::new(write.job.clone())));
                self.answer(s, handle, answer);
            }
        }
    }

    /// A planted bug: see [`Plant::BadInputPutRight`].
    pub(crate) fn put_right(&self, command: &mut Command) {
        if self.plant == Some(Plant::BadInputPutRight)
            && let Command::CreateJob { definition, .. } = command
        {
            definition.schedule.every.iter_mut().for_each(|every| *every = (*every).max(SHORTEST_EVERY));
        }
    }

    /// A planted bug: see [`Plant::ChangeAnsweredBeforeRevocation`]. Takes some orders out of what is to be sent.
    pub(crate) fn hold_back(&mut self, s: usize, stream: StreamId, message: &mut ToAgent) {
        let ToAgent::Assign(assignments) = message else { return };
        if self.plant != Some(Plant::ChangeAnsweredBeforeRevocation) || self.is_draining {
            return;
        }
        let until = self.now.after(HELD_BACK);
        for assign in std::mem::take(assignments) {
            if self.random.chance(0.3) {
                self.servers[s].held_back.push(HeldBack { stream, assign, until });
            } else {
                assignments.push(assign);
            }
        }
    }

    /// Sends what was kept back until a change of its job was answered, or for long enough.
    pub(crate) fn send_held_back(&mut self, s: usize, changed: &[JobUid]) {
        let (now, epoch) = (self.now, self.witness.epoch());
        let server = &mut self.servers[s];
        server.held_back.retain(|held| held.assign.epoch == epoch);
        // This bug is not that a leader goes on without its lease.
        if server.held_back.is_empty() || server.confirmed_until <= now {
            return;
        }
        let is_changed =
            |held: &HeldBack| self.witness.job_of(held.assign.attempt).is_some_and(|uid| changed.contains(&uid));
        let is_due = |held: &HeldBack| held.until <= now || is_changed(held);
        let held_back = std::mem::take(&mut self.servers[s].held_back);
        let (due, rest): (Vec<_>, Vec<_>) = held_back.into_iter().partition(is_due);
        self.servers[s].held_back = rest;
        for held in due {
            self.put_on_stream(s, held.stream, ToAgent::Assign(vec![held.assign]));
        }
    }
}
