//! Agents' streams: each direction in order, nothing lost but by the connection's end, nothing in order between two
//! streams. A connection may be half-open: one side, or neither, knows that the other is gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use executor_agent::session as agent;
use executor_agent::session::StreamId;
use punctual_proto::v1;
use scheduler_core::agent::Closed;

use crate::clock::Instant;
use crate::event::Event;
use crate::server::Arrival;
use crate::trace::tell;
use crate::trouble::Nuisance;
use crate::world::World;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ConnectionId(pub(crate) u64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Agent,
    Server,
}

#[derive(Debug)]
pub(crate) enum Packet {
    Open,
    Opened,
    ToServer(Box<v1::AgentMessage>),
    ToAgent(Box<v1::ServerMessage>),
    /// The sender closed it, or its machine did when the process died.
    End(End),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Broken,
    AlreadyExists,
}

impl From<Closed> for End {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::AlreadyExists => Self::AlreadyExists,
            Closed::Replaced | Closed::Protocol(_) | Closed::NotLeading => Self::Broken,
        }
    }
}

pub(crate) struct Connection {
    pub(crate) agent: usize,
    agent_generation: u32,
    stream: StreamId,
    pub(crate) server: usize,
    server_generation: u32,
    agent_open: bool,
    pub(crate) server_open: bool,
    /// The latest arrival planned in each direction.
    to_agent_at: Instant,
    to_server_at: Instant,
    /// What waits for a partition to end.
    held: VecDeque<(Side, Packet)>,
}

impl Connection {
    /// The server and its generation, if it still has it open.
    pub(crate) fn server_end(&self) -> Option<(usize, u32)> {
        self.server_open.then_some((self.server, self.server_generation))
    }

    /// The agent, its generation and its stream, if it still has it open.
    pub(crate) fn agent_end(&self) -> Option<(usize, u32, StreamId)> {
        self.agent_open.then_some((self.agent, self.agent_generation, self.stream))
    }
}

#[derive(Default)]
pub(crate) struct Network {
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    next: u64,
    pub(crate) cut: BTreeSet<(usize, usize)>,
}

impl World {
    /// One way through the network.
    pub(crate) fn network_delay(&mut self) -> std::time::Duration {
        let usual = self.profile.network_delay;
        let delay = usual / 2 + usual.mul_f64(self.random.below(1_000) as f64 / 1_000.0);
        if self.profile.slow_messages > 0.0 && self.random.chance(self.profile.slow_messages) {
            self.tally.count("fault", Nuisance::SlowMessage.name());
            return delay + self.random.millis(50, 3_000);
        }
        delay
    }

    pub(crate) fn connect(&mut self, agent: usize, stream: StreamId, server: usize) -> ConnectionId {
        self.network.next += 1;
        let id = ConnectionId(self.network.next);
        let connection = Connection {
            agent,
            agent_generation: self.agents[agent].generation,
            stream,
            server,
            server_generation: self.servers[server].generation,
            agent_open: true,
            server_open: true,
            to_agent_at: self.now,
            to_server_at: self.now,
            held: VecDeque::new(),
        };
        self.network.connections.insert(id, connection);
        if self.network.cut.contains(&(agent, server)) || self.servers[server].engine.is_none() {
            let refused = self.now.after(self.random.millis(1, 1_000));
            if let Some(connection) = self.network.connections.get_mut(&id) {
                connection.server_open = false;
            }
            self.queue
                .plan(refused, Event::Delivered { connection: id, to: Side::Agent, packet: Packet::End(End::Broken) });
        } else {
            self.send_packet(id, Side::Server, Packet::Open);
        }
        id
    }

    /// Puts a packet on its way; each direction keeps its order.
    pub(crate) fn send_packet(&mut self, id: ConnectionId, to: Side, packet: Packet) {
        let delay = self.network_delay();
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        let last = match to {
            Side::Agent => &mut connection.to_agent_at,
            Side::Server => &mut connection.to_server_at,
        };
        *last = (*last).max(self.now.after(delay));
        self.queue.plan(*last, Event::Delivered { connection: id, to, packet });
    }

    pub(crate) fn delivered(&mut self, id: ConnectionId, to: Side, packet: Packet) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        let is_cut = self.network.cut.contains(&(connection.agent, connection.server));
        if is_cut || !connection.held.is_empty() {
            self.tally.count("network", "packet held by a partition");
            connection.held.push_back((to, packet));
            return;
        }
        self.hand_over(id, to, packet);
    }

    fn hand_over(&mut self, id: ConnectionId, to: Side, packet: Packet) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        match to {
            Side::Server => {
                if !connection.server_open {
                    return;
                }
                let (server, generation) = (connection.server, connection.server_generation);
                if matches!(packet, Packet::End(_)) {
                    connection.server_open = false;
                }
                if let Packet::ToServer(message) = &packet
                    && !matches!(message.message, Some(v1::agent_message::Message::Heartbeat(_)))
                {
                    tell!(self, "agent {} to server {server}: {}", connection.agent, brief(message));
                }
                self.arrive(server, generation, Arrival::Packet(id, packet));
            }
            Side::Agent => {
                if !connection.agent_open {
                    return;
                }
                let (agent, generation, stream) = (connection.agent, connection.agent_generation, connection.stream);
                if let Packet::ToAgent(message) = &packet
                    && !matches!(message.message, Some(v1::server_message::Message::HeartbeatConfirmed(_)))
                {
                    tell!(self, "server {} to agent {agent}: {}", connection.server, brief(message));
                }
                let input = match packet {
                    Packet::Opened => agent::Input::Connected { stream },
                    Packet::ToAgent(message) => {
                        let Some(message) = message.message else { return };
                        agent::Input::Message { stream, message: Box::new(message) }
                    }
                    Packet::End(end) => {
                        connection.agent_open = false;
                        let why = match end {
                            End::Broken => agent::Closed::Lost("broken".to_owned()),
                            End::AlreadyExists => agent::Closed::AlreadyExists("another instance lives".to_owned()),
                        };
                        agent::Input::Closed { stream, why }
                    }
                    Packet::Open | Packet::ToServer(_) => return,
                };
                self.agent_input(agent, generation, input);
            }
        }
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: ConnectionId) {
        if self.network.connections.get(&id).is_some_and(|connection| !connection.agent_open && !connection.server_open)
        {
            self.network.connections.remove(&id);
        }
    }

    /// One side closes: the other hears of it in its turn.
    pub(crate) fn end_connection(&mut self, id: ConnectionId, by: Side, end: End) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        let to = match by {
            Side::Agent => {
                connection.agent_open = false;
                Side::Server
            }
            Side::Server => {
                connection.server_open = false;
                Side::Agent
            }
        };
        self.send_packet(id, to, Packet::End(end));
        self.forget_if_over(id);
    }

    /// A process died; its machine closes its connections, unless the machine died too.
    pub(crate) fn drop_connections(&mut self, of: impl Fn(&Connection) -> bool, by: Side, silently: bool) {
        let ids: Vec<_> = self.network.connections.iter().filter(|(_, c)| of(c)).map(|(id, _)| *id).collect();
        for id in ids {
            if silently {
                self.tally.count("fault", Nuisance::HalfOpen.name());
                let Some(connection) = self.network.connections.get_mut(&id) else { continue };
                match by {
                    Side::Agent => connection.agent_open = false,
                    Side::Server => connection.server_open = false,
                }
                self.forget_if_over(id);
            } else {
                self.end_connection(id, by, End::Broken);
            }
        }
    }

    /// The connection breaks: both sides hear of it in their own time, and what is under way is lost.
    pub(crate) fn break_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.remove(&id) else { return };
        tell!(self, "the connection of agent {} to server {} breaks", connection.agent, connection.server);
        if let Some((agent, generation, stream)) = connection.agent_end() {
            let at = self.now.after(self.random.millis(0, 800));
            let why = agent::Closed::Lost("reset".to_owned());
            let input = Box::new(agent::Input::Closed { stream, why });
            self.queue.plan(at, Event::Agent { agent, generation, input });
        }
        if let Some((server, generation)) = connection.server_end() {
            let at = self.now.after(self.random.millis(0, 800));
            let arrival = Arrival::Packet(id, Packet::End(End::Broken));
            self.queue.plan(at, Event::Server { server, generation, arrival });
        }
    }

    pub(crate) fn heal_link(&mut self, agent: usize, server: usize) {
        if !self.network.cut.remove(&(agent, server)) {
            return;
        }
        let ids: Vec<_> = (self.network.connections.iter())
            .filter(|(_, c)| c.agent == agent && c.server == server)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            while let Some((to, packet)) =
                self.network.connections.get_mut(&id).and_then(|connection| connection.held.pop_front())
            {
                self.hand_over(id, to, packet);
            }
        }
    }
}

/// The beginning of a message, for the trace.
fn brief(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:?}");
    let text = text.trim_start_matches(|c: char| c != '{').trim_start_matches("{ message: Some(");
    text.chars().take(160).collect()
}
