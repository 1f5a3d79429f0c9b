//! Which server the session talks to: streams, Hello and Welcome, heartbeats, Redirects.

use std::time::Duration;

use prost_types::Timestamp;
use punctual_proto::v1::agent_message::Message as AgentMessage;
use punctual_proto::v1::hello::OfferedTaskType;
use punctual_proto::v1::server_message::Message as ServerMessage;
use punctual_proto::v1::{Draining, Heartbeat, HeartbeatConfirmed, Hello, Redirect, Welcome};

use super::ids::{Epoch, StreamId};
use super::input::{Closed, Effect, Notice};
use super::link::{Link, State, Terms};
use super::{Session, outbox};
use crate::time::{Boot, Wall};

const PROTOCOL_VERSION: i32 = 1;
/// How often it is said that no server can be reached.
const NO_SERVER_EVERY: Duration = Duration::from_secs(60);

impl Session {
    pub(super) fn connected(&mut self, stream: StreamId) {
        let now = self.now.boot;
        let Some(link) = self.links.get_mut(&stream).filter(|link| link.state == State::Connecting) else { return };
        link.state = State::Greeting;
        link.heard = now;
        link.useful = now;
        let hello = self.hello();
        self.send(stream, AgentMessage::Hello(hello));
    }

    pub(super) fn closed(&mut self, stream: StreamId, why: Closed) {
        let Some(link) = self.forget(stream) else { return };
        self.not_reached(&link);
        self.servers.failed(link.server, self.now.boot);
        let server = self.servers.address(link.server).to_owned();
        match why {
            Closed::AlreadyExists(message) => {
                if !self.already_exists_said {
                    self.already_exists_said = true;
                    self.emit(Effect::Say(Notice::AlreadyExists { server, message }));
                }
            }
            Closed::Lost(error) => self.say_no_server(error),
        }
    }

    pub(super) fn received(&mut self, stream: StreamId, message: ServerMessage) {
        let now = self.now.boot;
        let Some(link) = self.links.get_mut(&stream) else { return };
        link.heard = now;
        match message {
            ServerMessage::Welcome(welcome) => self.welcomed(stream, welcome),
            ServerMessage::Redirect(redirect) => self.redirected(stream, &redirect),
            ServerMessage::HeartbeatConfirmed(confirmed) => self.heartbeat_confirmed(stream, confirmed),
            // Nothing else means anything before our Inventory, or on a stream that is not the leader's any more.
            _ if self.current != Some(stream) => {}
            ServerMessage::Assignments(assignments) => {
                for assign in assignments.assignments {
                    self.assigned(stream, assign);
                }
            }
            ServerMessage::Revoke(revoke) => self.revoked(stream, revoke),
            ServerMessage::Cancel(cancel) => self.cancelled(&cancel),
            ServerMessage::Acks(acks) => self.acknowledged(stream, &acks),
            ServerMessage::Drain(_) => self.drain(),
        }
    }

    fn welcomed(&mut self, stream: StreamId, welcome: Welcome) {
        let now = self.now.boot;
        let epoch = welcome.epoch.map(Epoch);
        if epoch.is_some_and(|epoch| epoch < self.highest_epoch) {
            self.leave_stale(stream);
            return;
        }
        let Some(link) = self.links.get_mut(&stream) else { return };
        link.terms = Terms::of(&welcome);
        link.useful = now;
        link.next_heartbeat = now;
        link.state = epoch.map_or(State::Waiting, State::Welcomed);
        let (server, link_ttl) = (link.server, link.terms.ttl);
        self.servers.worked(server);
        self.hops = 0;
        if let Some(time) = welcome.server_time {
            self.offset.welcomed(now, Wall::from(time));
        }
        let Some(epoch) = epoch else {
            // An elected node without an epoch gets heartbeats and nothing else.
            if self.current == Some(stream) {
                self.current = None;
                self.proofs_needed_until = None;
            }
            return;
        };
        self.highest_epoch = epoch;
        (self.led_to, self.unreached_leader, self.fell_silent) = (None, None, None);
        self.close_others(stream);
        self.current = Some(stream);
        self.already_exists_said = false;
        self.no_server_said = None;
        self.proofs_needed_until = (!self.config.instances_proved_gone.is_empty()).then_some(now + link_ttl);
        let server = self.servers.address(server).to_owned();
        self.emit(Effect::Say(Notice::Welcomed { server, node: welcome.node_id }));
        self.send_inventory(stream);
        if self.draining {
            self.say_draining();
        }
    }

    /// Older streams, and those that have not got anywhere, are closed and what they hold unread is dropped. A newer one
    /// whose node is about to take over stays.
    fn close_others(&mut self, stream: StreamId) {
        let stays =
            |(other, link): (&StreamId, &Link)| *other == stream || (*other > stream && link.state == State::Waiting);
        let others: Vec<_> = self.links.iter().filter(|entry| !stays(*entry)).map(|(other, _)| *other).collect();
        for other in others {
            self.close(other);
        }
    }

    fn redirected(&mut self, stream: StreamId, redirect: &Redirect) {
        let Some(link) = self.close(stream) else { return };
        self.servers.answered(link.server);
        self.hops += 1;
        let target = self.servers.redirected(link.server, &redirect.leader_address, self.hops, self.now.boot);
        self.led_to = target.map(|target| (target, redirect.node_id.clone()));
        self.unreached_leader = None;
        self.give_up_silent(&redirect.leader_address);
    }

    /// A connection that was never made, to where the leader was said to be, is told of in the next Hello.
    fn not_reached(&mut self, link: &Link) {
        if link.state == State::Connecting {
            self.not_reached_at(link.server);
        }
    }

    fn not_reached_at(&mut self, server: usize) {
        if let Some((_, node)) = self.led_to.take_if(|(led_to, _)| *led_to == server) {
            self.unreached_leader = Some(node);
        }
    }

    /// A leader that fell silent and does not let itself be connected to again is told of before that has failed: tasks live
    /// on what is left of the right to run.
    fn still_silent(&mut self) {
        let is_tried = |link: &Link| link.state == State::Connecting && Some(link.server) == self.fell_silent;
        if let Some(server) = self.links.values().find(|link| is_tried(link)).map(|link| link.server) {
            self.not_reached_at(server);
        }
    }

    /// Who leads there may not be who was there: a stream that has been silent is begun anew.
    fn give_up_silent(&mut self, address: &str) {
        let now = self.now.boot;
        let is_silent = |link: &Link| link.silent_at() <= now && self.servers.address(link.server) == address;
        let silent: Vec<_> = self.links.iter().filter(|(_, link)| is_silent(link)).map(|(stream, _)| *stream).collect();
        for stream in silent {
            self.fell_silent = self.close(stream).map(|link| link.server);
        }
    }

    fn heartbeat_confirmed(&mut self, stream: StreamId, confirmed: HeartbeatConfirmed) {
        let now = self.now.boot;
        let Some(link) = self.links.get_mut(&stream) else { return };
        let Some(sent) = link.confirmed(confirmed.n) else { return };
        link.useful = now;
        let ttl = link.terms.ttl;
        if let (Some(received), Some(answered)) = (confirmed.received_time, confirmed.sent_time) {
            self.offset.confirmed(now, sent, Wall::from(received), Wall::from(answered));
            if let Some(notice) = self.offset.judge_machine(self.now) {
                self.emit(Effect::Say(notice));
            }
        }
        if let Some(end) = self.right.confirm(sent, ttl) {
            self.right_ending_said = false;
            self.emit(Effect::RunUntil(end));
        }
    }

    pub(super) fn leave_stale(&mut self, stream: StreamId) {
        let Some(link) = self.close(stream) else { return };
        self.servers.failed(link.server, self.now.boot);
        let server = self.servers.address(link.server).to_owned();
        self.emit(Effect::Say(Notice::LeftStaleServer { server }));
    }

    pub(super) fn say_draining(&mut self) {
        if let Some(stream) = self.current {
            self.send(stream, AgentMessage::Draining(Draining {}));
        }
    }

    /// Does what time asks of the streams: heartbeats, giving up dead ones, opening new ones.
    pub(super) fn keep_connected(&mut self) {
        let now = self.now.boot;
        if self.proofs_needed_until.is_some_and(|until| until <= now) {
            self.proofs_needed_until = None;
            self.config.instances_proved_gone.clear();
            self.emit(Effect::ProofsTaken);
        }
        let dead: Vec<_> = self.links.iter().filter(|(_, link)| link.dead_at() <= now).map(|(id, _)| *id).collect();
        for stream in dead {
            if let Some(link) = self.close(stream) {
                self.not_reached(&link);
                self.servers.failed(link.server, now);
                self.say_no_server("it does not answer".to_owned());
            }
        }
        let beating: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.beats() && link.next_heartbeat <= now)
            .map(|(id, _)| *id)
            .collect();
        for stream in beating {
            self.beat(stream);
        }
        if self.links.is_empty() {
            if !self.is_only_leaving()
                && let Some(server) = self.servers.pick(now)
            {
                self.connect(server);
            }
        } else if self.links.values().all(|link| link.doubtful_at() <= now) {
            self.still_silent();
            for server in self.unconnected() {
                if self.servers.may_try(server, now) {
                    self.connect(server);
                }
            }
        }
    }

    pub(super) fn next_connection_timer(&self) -> Option<Boot> {
        let links = self.links.values();
        let own = links.clone().flat_map(|link| [Some(link.dead_at()), link.beats().then_some(link.next_heartbeat)]);
        let next = own.flatten().min();
        let retry = self.unconnected().map(|server| self.servers.retry_at(server)).min();
        let retry = if self.links.is_empty() {
            retry.filter(|_| !self.is_only_leaving())
        } else {
            let doubtful = links.map(Link::doubtful_at).max();
            retry.zip(doubtful).map(|(retry, doubtful)| retry.max(doubtful))
        };
        [next, retry, self.proofs_needed_until].into_iter().flatten().min()
    }

    /// Whether there is nothing left that a server could be told.
    fn is_only_leaving(&self) -> bool {
        self.draining && self.attempts.is_empty()
    }

    fn unconnected(&self) -> impl Iterator<Item = usize> + use<> {
        let connected: Vec<_> = self.links.values().map(|link| link.server).collect();
        (0..self.servers.len()).filter(move |server| !connected.contains(server))
    }

    fn connect(&mut self, server: usize) {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        self.links.insert(stream, Link::new(server, self.now.boot));
        let server = self.servers.address(server).to_owned();
        self.emit(Effect::Connect { stream, server });
    }

    fn beat(&mut self, stream: StreamId) {
        let n = self.next_heartbeat;
        self.next_heartbeat += 1;
        let now = self.now;
        if let Some(link) = self.links.get_mut(&stream) {
            link.beat(n, now.boot);
            self.send(stream, AgentMessage::Heartbeat(Heartbeat { n, sent_time: Some(now.wall.into()) }));
        }
    }

    /// Closes a stream of our own accord.
    pub(super) fn close(&mut self, stream: StreamId) -> Option<Link> {
        let link = self.forget(stream)?;
        self.emit(Effect::Close { stream });
        Some(link)
    }

    fn forget(&mut self, stream: StreamId) -> Option<Link> {
        if self.current == Some(stream) {
            self.current = None;
            self.proofs_needed_until = None;
        }
        self.links.remove(&stream)
    }

    pub(super) fn send(&mut self, stream: StreamId, message: AgentMessage) {
        self.emit(Effect::Send { stream, message: Box::new(message) });
    }

    fn say_no_server(&mut self, last_error: String) {
        let now = self.now.boot;
        let is_due = self.no_server_said.is_none_or(|said| said + NO_SERVER_EVERY <= now);
        if is_due && self.links.is_empty() && self.servers.have_all_failed() {
            self.no_server_said = Some(now);
            self.emit(Effect::Say(Notice::NoServer { tried: self.servers.addresses(), last_error }));
        }
    }

    fn hello(&self) -> Hello {
        let config = &self.config;
        Hello {
            protocol_version: PROTOCOL_VERSION,
            capabilities: Vec::new(),
            agent_id: config.agent_id.clone(),
            instance: config.instance.to_string(),
            version: config.version.clone(),
            labels: config.labels.clone(),
            queues: config.queues.clone(),
            task_types: config
                .task_types
                .iter()
                .map(|offered| OfferedTaskType {
                    name: offered.name.clone(),
                    payload_schema: offered.payload_schema.clone(),
                })
                .collect(),
            slots: i32::try_from(config.slots).unwrap_or(i32::MAX),
            highest_epoch_seen: self.highest_epoch.0,
            instances_proved_gone: config.instances_proved_gone.iter().map(ToString::to_string).collect(),
            sent_time: Some(Timestamp::from(self.now.wall)),
            unreached_leader: self.unreached_leader.clone().unwrap_or_default(),
        }
    }
}

/// Messages that batches are cut to, with room for their own framing.
pub(super) fn batch_bytes(link: &Link) -> usize {
    link.terms.max_message.saturating_sub(outbox::FRAMING).max(outbox::FRAMING)
}
