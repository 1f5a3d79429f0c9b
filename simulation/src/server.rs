//! A server process: the engine, and a model of the shell round it. The shell decides nothing: effects are started at
//! once and end in any order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use agent_wire::{Credits, server_messages};
use punctual_proto::v1;
use scheduler_core::agent::{FromAgent, Inventory, StreamId, ToAgent};
use scheduler_core::engine::{
    Alert, CandidacyId, Config, Effect, Engine, Input, KeepAliveId, LedgerClock, LoanId, LockCallId, Other, ProofId,
    Request, RequestHandle,
};
use scheduler_core::ids::{AgentInstance, NodeId};
use scheduler_core::txn::{Call, CallId, Done, Election, Failure};

use crate::clock::{Clock, Instant};
use crate::coordinator::LEASE;
use crate::election::Candidate;
use crate::event::Event;
use crate::kind::{kind_from_agent, kind_of_alert, kind_of_effect, kind_to_agent};
use crate::locking::LockAnswer;
use crate::network::{ConnectionId, End, Packet, Side};
use crate::plant::Plant;
use crate::planted::HeldBack;
use crate::promise::Promise;
use crate::trace::tell;
use crate::world::World;

/// What reaches a server process.
#[derive(Debug)]
pub(crate) enum Arrival {
    Elected(CandidacyId, Option<Election>),
    Unelected(CandidacyId),
    KeptAlive(CandidacyId, KeepAliveId),
    /// Who leads, and which others stand or lead.
    Standing(Option<usize>, Vec<usize>),
    Proved(ProofId, i64, Vec<AgentInstance>),
    LeaseLent(LoanId, AgentInstance, Duration),
    OfLocks(LockCallId, LockAnswer),
    LeasesEnded(Vec<AgentInstance>),
    /// By the leader, over its connection to this one.
    ChangesTold(i64),
    Called(CallId, Result<Done, Failure>),
    Packet(ConnectionId, Packet),
    Request(RequestHandle, Box<Request>),
    Abandoned(RequestHandle),
}

#[derive(Default)]
pub(crate) struct Stream {
    credits: Credits,
    inventory: Option<Inventory>,
    /// The Hello waits for a leader.
    pub(crate) waits: bool,
}

pub(crate) struct Server {
    pub(crate) engine: Option<Engine>,
    pub(crate) generation: u32,
    pub(crate) started: Instant,
    pub(crate) is_frozen: bool,
    pub(crate) is_stopping: bool,
    pub(crate) backlog: VecDeque<Arrival>,
    pub(crate) clock: Clock,
    wakes_at: Option<Instant>,
    pub(crate) leader_hint: Option<usize>,
    pub(crate) others: Vec<usize>,
    pub(crate) candidacy: Option<CandidacyId>,
    pub(crate) is_elected: bool,
    /// When each of its keep-alives was sent, and until when the lease was confirmed to it.
    keep_alives: BTreeMap<KeepAliveId, Instant>,
    pub(crate) confirmed_until: Instant,
    /// Agents that have a lease, as far as it has heard.
    pub(crate) lent: BTreeSet<AgentInstance>,
    /// The highest number of its calls: a lower one is asked again.
    last_call: CallId,
    pub(crate) streams: BTreeMap<ConnectionId, Stream>,
    pub(crate) held_back: Vec<HeldBack>,
}

impl Server {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            engine: None,
            generation: 0,
            started: Instant(0),
            is_frozen: false,
            is_stopping: false,
            backlog: VecDeque::new(),
            clock,
            wakes_at: None,
            leader_hint: None,
            others: Vec::new(),
            candidacy: None,
            is_elected: false,
            keep_alives: BTreeMap::new(),
            confirmed_until: Instant(0),
            lent: BTreeSet::new(),
            last_call: CallId(0),
            streams: BTreeMap::new(),
            held_back: Vec::new(),
        }
    }

    pub(crate) fn is_leading(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::is_leading)
    }
}

fn node(server: usize) -> NodeId {
    NodeId::from(format!("n{server}"))
}

pub(crate) fn address(server: usize) -> String {
    format!("s{server}")
}

impl World {
    pub(crate) fn start_server(&mut self, s: usize) {
        if self.servers[s].engine.is_some() {
            return;
        }
        let agent_ttl = match self.profile.other_agent_ttl {
            Some(other) if s == 0 => other,
            _ => self.profile.agent_ttl,
        };
        let config = Config {
            node: node(s),
            agent_ttl,
            lease: Some(LEASE),
            min_every: Duration::from_millis(100),
            idle_locks: self.idle_locks(),
            ledger_clock: LedgerClock::ItsOwn,
            seed: self.random.wide(),
        };
        let now = self.now;
        let server = &mut self.servers[s];
        let generation = server.generation + 1;
        *server = Server { generation, started: now, ..Server::new(server.clock) };
        let mut engine = Engine::new(config, server.clock.server(now));
        let mut effects = Vec::new();
        engine.start(&mut effects);
        server.engine = Some(engine);
        tell!(self, "server {s} starts (generation {generation})");
        self.queue.plan(now, Event::Watches { server: s, generation });
        self.queue.plan(now, Event::Tells { server: s, generation });
        self.carry_out(s, &mut effects);
        self.plan_wake(s);
    }

    pub(crate) fn kill_server(&mut self, s: usize, silently: bool) {
        if self.servers[s].engine.take().is_none() {
            return;
        }
        tell!(self, "server {s} is killed");
        let generation = self.servers[s].generation;
        self.servers[s].backlog.clear();
        self.servers[s].is_frozen = false;
        self.drop_connections(|c| c.server == s && c.server_open, Side::Server, silently);
        // Calls that are in the ledger's hands go on; their answers reach nobody.
        self.servers[s].generation = generation;
    }

    /// A graceful stop: the process ends when its engine has, and starts again.
    pub(crate) fn stop_server(&mut self, s: usize) {
        if self.servers[s].engine.is_some() && !self.servers[s].is_frozen {
            tell!(self, "server {s} is told to stop");
            self.servers[s].is_stopping = true;
            self.give(s, Input::Stop);
        }
    }

    fn ends_by_itself(&mut self, s: usize) {
        if self.servers[s].engine.as_ref().is_some_and(Engine::has_ended) {
            self.tally.count("server", "stopped gracefully");
            self.kill_server(s, false);
            let at = self.now.after(self.random.millis(50, 5_000));
            self.queue.plan(at, Event::ServerStarts { server: s });
        }
    }

    pub(crate) fn freeze_server(&mut self, s: usize) {
        if self.servers[s].engine.is_some() {
            tell!(self, "server {s} freezes");
            self.servers[s].is_frozen = true;
        }
    }

    /// On waking its clock is handled before anything else (rule 32).
    pub(crate) fn wake_server(&mut self, s: usize) {
        if !std::mem::take(&mut self.servers[s].is_frozen) {
            return;
        }
        tell!(self, "server {s} wakes");
        self.give(s, Input::Wake);
        while let Some(arrival) = self.servers[s].backlog.pop_front() {
            self.take(s, arrival);
        }
    }

    pub(crate) fn arrive(&mut self, s: usize, generation: u32, arrival: Arrival) {
        let server = &mut self.servers[s];
        if server.generation != generation || server.engine.is_none() {
            return;
        }
        if server.is_frozen {
            server.backlog.push_back(arrival);
        } else {
            self.take(s, arrival);
        }
    }

    fn take(&mut self, s: usize, arrival: Arrival) {
        if self.servers[s].engine.is_none() {
            return;
        }
        match arrival {
            Arrival::Elected(candidacy, election) => {
                self.servers[s].is_elected |= self.servers[s].candidacy == Some(candidacy);
                self.give(s, Input::Elected(candidacy, election));
            }
            Arrival::Unelected(candidacy) => {
                tell!(self, "server {s} hears that its candidacy {} is over", candidacy.0);
                self.give(s, Input::Unelected(candidacy));
            }
            Arrival::KeptAlive(candidacy, id) => self.kept_alive(s, candidacy, id),
            Arrival::Standing(leader, others) => {
                let server = &mut self.servers[s];
                server.leader_hint = leader;
                server.others.clone_from(&others);
                let schedule_version = scheduler_core::schedule::VERSION.clone();
                let other = |n| Other { node: node(n), schedule_version: schedule_version.clone() };
                self.give(s, Input::Others(others.into_iter().map(other).collect()));
                self.redirect_waiting(s);
            }
            Arrival::Proved(proof, revision, ended) => {
                self.leases_ended(s, ended);
                self.give(s, Input::LeadershipProved(proof, Some(revision)));
            }
            Arrival::LeaseLent(id, agent, lasts) => {
                self.servers[s].lent.insert(agent);
                self.give(s, Input::LeaseLent(id, agent, lasts));
            }
            Arrival::OfLocks(id, answer) => self.give(s, answer.of(id)),
            Arrival::LeasesEnded(ended) => self.leases_ended(s, ended),
            Arrival::ChangesTold(up_to) => self.give(s, Input::ChangesTold(up_to)),
            Arrival::Called(id, result) => self.give(s, Input::Called(id, result)),
            Arrival::Packet(connection, packet) => self.take_packet(s, connection, packet),
            Arrival::Request(handle, mut request) => {
                self.put_right(&mut request.command);
                tell!(self, "server {s} gets request {}: {:?}", handle.0, request.command);
                self.give(s, Input::Request(handle, *request));
            }
            Arrival::Abandoned(handle) => self.give(s, Input::RequestAbandoned(handle)),
        }
    }

    fn leases_ended(&mut self, s: usize, ended: Vec<AgentInstance>) {
        if !ended.is_empty() && self.plant != Some(Plant::IdleLockOutlivesLease) {
            self.servers[s].lent.retain(|agent| !ended.contains(agent));
            self.give(s, Input::LeasesEnded(ended));
        }
    }

    fn take_packet(&mut self, s: usize, id: ConnectionId, packet: Packet) {
        let stream = StreamId(id.0);
        match packet {
            Packet::Open => {
                self.servers[s].streams.insert(id, Stream::default());
                self.send_packet(id, Side::Agent, Packet::Opened);
            }
            Packet::End(_) => {
                if self.servers[s].streams.remove(&id).is_some() {
                    self.give(s, Input::StreamClosed(stream));
                }
            }
            Packet::ToServer(message) => self.take_message(s, id, *message),
            Packet::Opened | Packet::ToAgent(_) => {}
        }
    }

    fn take_message(&mut self, s: usize, id: ConnectionId, message: v1::AgentMessage) {
        use v1::agent_message::Message;
        if !self.servers[s].streams.contains_key(&id) {
            return;
        }
        let goes_on = matches!(&message.message, Some(Message::Inventory(part)) if part.more);
        if let Some(Message::Hello(hello)) = message.message {
            let mut hello = agent_wire::hello(hello).expect("because the session says a whole Hello");
            if self.plant == Some(Plant::LowerEpochAccepted) {
                hello.highest_epoch_seen = scheduler_core::ids::Epoch::default();
            }
            if self.plant == Some(Plant::TwoInstances) {
                let others = self.agents.iter().filter(|agent| agent.id == hello.agent_id.0);
                let others = others.map(|agent| AgentInstance(agent.instance));
                hello.instances_proved_gone = others.filter(|other| *other != hello.instance).collect();
            }
            if let Some(stream) = self.servers[s].streams.get_mut(&id) {
                stream.waits = true;
            }
            self.tally.count("agent's message", "Hello");
            self.give(s, Input::Hello(StreamId(id.0), hello));
            self.redirect_waiting(s);
            return;
        }
        let message = agent_wire::from_agent(message).expect("because the session says what can be understood");
        let Some(mut message) = message else { return };
        let Some(stream) = self.servers[s].streams.get_mut(&id) else { return };
        if let FromAgent::Inventory(part) = &message {
            let mut whole = stream.inventory.take().unwrap_or_default();
            whole.held.extend(part.held.iter().copied());
            whole.reports.extend(part.reports.iter().cloned());
            if goes_on {
                stream.inventory = Some(whole);
                return;
            }
            message = FromAgent::Inventory(whole);
        }
        stream.credits.spend(&message);
        self.alter_inventory(id, &mut message);
        self.tally.count("agent's message", kind_from_agent(&message));
        self.acknowledge_early(s, id, &message);
        self.give(s, Input::FromAgent(StreamId(id.0), message));
    }

    /// A node that knows another to lead sends its agents there.
    fn redirect_waiting(&mut self, s: usize) {
        let server = &self.servers[s];
        let Some(leader) = server.leader_hint.filter(|leader| *leader != s && !server.is_elected) else { return };
        let waiting: Vec<_> = server.streams.iter().filter(|(_, stream)| stream.waits).map(|(id, _)| *id).collect();
        for id in waiting {
            let redirect = v1::Redirect { leader_address: address(leader), node_id: format!("n{leader}") };
            let message = v1::ServerMessage { message: Some(v1::server_message::Message::Redirect(redirect)) };
            self.tally.count("server's message", "Redirect");
            self.send_packet(id, Side::Agent, Packet::ToAgent(Box::new(message)));
            self.servers[s].streams.remove(&id);
            self.give(s, Input::StreamClosed(StreamId(id.0)));
            self.end_connection(id, Side::Server, End::Broken);
        }
    }

    fn give(&mut self, s: usize, input: Input) {
        let now = self.now;
        let server = &mut self.servers[s];
        let Some(engine) = &mut server.engine else { return };
        let mut effects = std::mem::take(&mut self.effects);
        engine.handle(server.clock.server(now), input, &mut effects);
        self.carry_out(s, &mut effects);
        self.effects = effects;
        self.send_held_back(s, &[]);
        self.plan_wake(s);
        self.ends_by_itself(s);
    }

    pub(crate) fn plan_wake(&mut self, s: usize) {
        let server = &mut self.servers[s];
        let Some(wakeup) = server.engine.as_ref().and_then(Engine::next_wakeup) else { return };
        let at = server.clock.when_server(wakeup).max(self.now);
        if server.wakes_at.is_none_or(|planned| at < planned || planned < self.now) {
            server.wakes_at = Some(at);
            self.queue.plan(at, Event::ServerWakes { server: s, generation: server.generation });
        }
    }

    pub(crate) fn server_wakes(&mut self, s: usize, generation: u32) {
        let now = self.now;
        let server = &mut self.servers[s];
        if server.generation != generation || server.engine.is_none() || server.wakes_at != Some(now) {
            return;
        }
        server.wakes_at = None;
        if server.is_frozen {
            return;
        }
        let boot = server.clock.server(now).boot;
        if server.engine.as_ref().and_then(Engine::next_wakeup).is_some_and(|at| at <= boot) {
            self.give(s, Input::Wake);
        } else {
            self.plan_wake(s);
        }
    }

    fn carry_out(&mut self, s: usize, effects: &mut Vec<Effect>) {
        self.check_memory(s, effects);
        for effect in effects.drain(..) {
            self.tally.count("effect", kind_of_effect(&effect));
            match effect {
                Effect::Campaign(candidacy) => {
                    self.servers[s].candidacy = Some(candidacy);
                    self.servers[s].is_elected = false;
                    self.servers[s].confirmed_until = Instant(0);
                    self.tell_coordinator(s, candidacy, Event::CampaignArrives);
                }
                Effect::KeepAlive(candidacy, id) => {
                    let now = self.now;
                    self.servers[s].keep_alives.insert(id, now);
                    self.tell_coordinator(s, candidacy, |candidate| Event::KeepAliveArrives(candidate, id));
                }
                Effect::ProveLeadership(candidacy, proof, renewing) => {
                    self.tell_coordinator(s, candidacy, |candidate| Event::ProofAsked(candidate, proof, renewing));
                }
                Effect::LendLease(candidacy, id, agent, lasts) => {
                    self.tell_coordinator(s, candidacy, |candidate| Event::LoanAsked(candidate, id, agent, lasts));
                }
                effect @ (Effect::ReadLocks(..) | Effect::TakeLocks(..) | Effect::ReleaseLocks(..)) => {
                    self.ask_about_locks(s, effect);
                }
                Effect::Resign(candidacy) => {
                    self.servers[s].candidacy.take_if(|current| *current == candidacy);
                    self.servers[s].is_elected = false;
                    self.tally.count("coordinator", "resignation sent");
                    self.tell_coordinator(s, candidacy, Event::ResignationArrives);
                }
                Effect::Bury(instance) => {
                    self.broken(Promise::Liveness, format!("{instance} is buried, and nobody said that it is dead"));
                }
                Effect::Quit(why) => self.broken(Promise::Liveness, format!("server {s} quits a cluster: {why}")),
                Effect::Call(id, call) => {
                    self.answer_change_early(s, &call);
                    self.check_decides(s, id, &call);
                    self.call_ledger(s, id, call);
                }
                Effect::Send(stream, message) => self.send(s, stream, message),
                Effect::Close(stream, why) => {
                    let id = ConnectionId(stream.0);
                    self.tally.count("server's message", "close");
                    if self.servers[s].streams.remove(&id).is_some() {
                        self.end_connection(id, Side::Server, why.into());
                    }
                }
                Effect::Answer(handle, answer) => {
                    let changed = self.answer(s, handle, answer);
                    self.send_held_back(s, &changed);
                }
                Effect::Publish(publication) => self.watch(s, &publication),
                Effect::Alert(alert) => {
                    tell!(self, "server {s}: {alert:?}");
                    self.tally.count("alert", kind_of_alert(&alert));
                    match alert {
                        Alert::Disagreement(why) => {
                            self.broken(Promise::P2, format!("server {s} and the ledger disagree: {why}"));
                        }
                        Alert::UnusableSchedule { job, why } => {
                            self.broken(Promise::P1, format!("the schedule of {job} became unusable: {why}"));
                        }
                        Alert::MemoryDiffers => {
                            self.broken(Promise::P1, format!("server {s} knew other jobs than the ledger has"));
                        }
                        Alert::TookOver { .. } | Alert::LedgerFails(_) | Alert::AgentLost { .. } => {}
                        Alert::Deposed(_) | Alert::Resigned(_) | Alert::DoesNotStand(_) => {}
                        Alert::Suspended | Alert::Resumed => {}
                        Alert::ClockJumped(_) | Alert::MachineClock(_) => {}
                        Alert::Unreadable { .. } | Alert::RefusedByLedger { .. } | Alert::JobOutOfService { .. } => {
                            self.broken(Promise::P1, format!("server {s} gives something up: {alert:?}"));
                        }
                        Alert::UnusableCalendar { calendar, why } => {
                            self.broken(Promise::P1, format!("calendar {calendar} became unusable: {why}"));
                        }
                    }
                }
            }
        }
    }

    pub(crate) fn tell_coordinator(
        &mut self,
        s: usize,
        candidacy: CandidacyId,
        event: impl FnOnce(Candidate) -> Event,
    ) {
        let candidate = Candidate { server: s, generation: self.servers[s].generation, candidacy };
        let at = self.now.after(self.network_delay());
        self.queue.plan(at, event(candidate));
    }

    fn kept_alive(&mut self, s: usize, candidacy: CandidacyId, id: KeepAliveId) {
        let server = &mut self.servers[s];
        if let Some(sent) = server.keep_alives.remove(&id)
            && server.candidacy == Some(candidacy)
        {
            server.confirmed_until = server.confirmed_until.max(sent.after(LEASE));
        }
        self.give(s, Input::KeptAlive(id));
    }

    /// Rule 13, by a count of our own: without a confirmed lease a leader decides nothing and hands nothing out.
    fn check_confirmed(&mut self, s: usize, what: &str) {
        if self.servers[s].confirmed_until <= self.now {
            self.broken(Promise::P3, format!("server {s} {what}, and cannot confirm that it leads"));
        }
    }

    fn check_decides(&mut self, s: usize, id: CallId, call: &Call) {
        let is_new = self.servers[s].last_call < id;
        self.servers[s].last_call = self.servers[s].last_call.max(id);
        match call {
            Call::TakeOver(_) => self.check_confirmed(s, "takes over"),
            Call::Commit(transaction) if is_new => {
                // What a change enters is not decided by the schedule.
                let changes = !transaction.jobs.is_empty() || !transaction.calendars.is_empty();
                if !changes && transaction.entered.iter().any(|run| run.covers_from.is_some()) {
                    self.check_confirmed(s, "decides fires");
                }
            }
            Call::Commit(_) | Call::Survey | Call::Load { .. } | Call::LoadJob { .. } => {}
            Call::LoadChanges { .. } | Call::FindRequests(_) | Call::Purge { .. } => {}
        }
    }

    pub(crate) fn send(&mut self, s: usize, stream: StreamId, mut message: ToAgent) {
        self.hold_back(s, stream, &mut message);
        if let (ToAgent::Welcome(welcome), Some(Plant::LostBeforeTtl)) = (&mut message, self.plant) {
            welcome.agent_ttl *= 4;
        }
        self.put_on_stream(s, stream, message);
    }

    pub(crate) fn put_on_stream(&mut self, s: usize, stream: StreamId, message: ToAgent) {
        let id = ConnectionId(stream.0);
        self.tally.count("server's message", kind_to_agent(&message));
        self.check_sent(s, &message);
        if matches!(message, ToAgent::Assign(_)) {
            self.check_confirmed(s, "hands out an attempt");
        }
        if let (Some(open), ToAgent::Welcome(welcome)) = (self.servers[s].streams.get_mut(&id), &message) {
            open.waits = welcome.epoch.is_none();
        }
        let Some(open) = self.servers[s].streams.get_mut(&id) else { return };
        let doubled = matches!(message, ToAgent::Assign(_)) && self.plant == Some(Plant::AssignedTwice);
        let copy = (doubled && self.random.chance(0.05)).then(|| message.clone());
        let parts = server_messages(message, &format!("n{s}"), &mut open.credits);
        for part in parts {
            self.send_packet(id, Side::Agent, Packet::ToAgent(Box::new(part)));
        }
        if let Some(copy) = copy {
            self.send_to_another(s, id, copy);
        }
    }
}
