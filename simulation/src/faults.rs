//! What goes wrong, and when it is well again.

use std::time::Duration;

use crate::agent::Agent;
use crate::clock::Clock;
use crate::event::Event;
use crate::kinds::kinds;
use crate::left_behind::LeftBehind;
use crate::network::ConnectionId;
use crate::server::Server;
use crate::tally::Check;
use crate::trace::tell;
use crate::world::World;

kinds! {
    Fault {
        KillServer = "server killed",
        KillLeader = "leader killed",
        StopServer = "server stopped",
        StopLeader = "leader stopped",
        FreezeServer = "server frozen",
        FreezeLeader = "leader frozen",
        /// Of two leaders in a row the first goes on unaware, and meets an agent that the second has met before.
        LeaderLeftBehind = "leader left behind",
        KillAgent = "agent killed",
        FreezeAgent = "agent frozen",
        DrainAgent = "agent drained",
        /// A restart in which the proofs of the old instance's end are lost.
        AgentForgets = "agent killed, its state lost",
        /// Another machine comes up under the same id.
        TwinAgent = "second machine under one id",
        BreakConnection = "connection broken",
        CutAgent = "agent cut off from a server",
        CutServerFromAgents = "server cut off from agents",
        /// Long enough for its successor to call attempts LOST that it goes on confirming.
        LeaderCutOff = "leader cut off from ledger and coordinator",
        CutFromCoordinator = "server cut off from coordinator",
        CutFromLedger = "server cut off from ledger",
        LedgerOutage = "ledger down",
        CoordinatorOutage = "coordinator down",
        LeaseEndsEarly = "lease ended early",
        CoordinatorRebuilt = "coordinator rebuilt empty",
        AgentLeaseEndsEarly = "agent's lease ended early",
        /// The leader is on one side with some agents, everything else on the other; its key is deleted there.
        SplitsLeaderOff = "leader split off with agents",
        ServerClockJumps = "server's clock jumps",
        ServerClockFarAhead = "server's clock far ahead for a while",
        AgentClockJumps = "agent's clock jumps",
        LedgerClockJumps = "ledger's clock jumps",
        /// Just before a take-over, and by more than the last term took.
        LedgerClockStepsBack = "ledger's clock steps back before a take-over",
        SlowEverything = "everything slow",
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heal {
    Server(usize),
    Agent(usize),
    TwinLeaves(usize),
    Link(usize, usize),
    Coordinator(usize),
    Ledger(usize),
    LedgerOutage,
    CoordinatorOutage,
    ServerClock(usize),
    Speed(Duration, Duration),
    Deposed(LeftBehind),
}

/// Who heard of its right to run within this has all of it before it: heartbeats are a second apart.
const FRESH: Duration = Duration::from_secs(2);

impl World {
    pub(crate) fn fault_strikes(&mut self) {
        if self.profile.faults.is_empty() {
            return;
        }
        let wait = self.profile.fault_every.mul_f64(self.random.below(2_000) as f64 / 1_000.0);
        self.queue.plan(self.now.after(wait), Event::FaultStrikes);
        if self.profile.must_outlive && !self.is_whole() {
            // Who is elected then confirms the right to run without the ledger.
            if self.ledger.is_down && self.can_do_without_ledger_and_leader() && self.random.chance(0.3) {
                self.tally.count("check", Check::LeaderDiesWithoutLedger.name());
                self.struck = self.now;
                self.strike(Fault::KillLeader);
            }
            return;
        }
        self.struck = self.now;
        let fault = self.random.pick(&self.profile.faults);
        self.strike(fault);
    }

    /// Whether it heard of its right to run a moment ago.
    fn has_a_fresh_right(&self, a: usize) -> bool {
        let agent = &self.agents[a];
        let whole = self.profile.agent_ttl.mul_f64(0.9);
        let boot = agent.clock.agent(self.now).boot;
        agent.run_until.is_some_and(|until| until + FRESH >= boot + whole)
    }

    /// Nothing has failed, or nobody feels it any more.
    fn is_whole(&self) -> bool {
        !self.ledger.is_down && self.is_whole_but_for_the_ledger()
    }

    /// Every server had asked the ledger, before it went away, how long agents may go on.
    fn can_do_without_ledger_and_leader(&self) -> bool {
        let has_asked = |server: &Server| self.struck.since(server.started) >= FRESH;
        self.profile.faults.contains(&Fault::KillLeader)
            && self.servers.iter().all(has_asked)
            && self.is_whole_but_for_the_ledger()
    }

    fn is_whole_but_for_the_ledger(&self) -> bool {
        let is_well = |server: &Server| server.engine.is_some() && !server.is_frozen && !server.is_stopping;
        let leader = self.coordinator.election.leader.filter(|leader| self.servers[leader.server].is_leading());
        leader.is_some()
            && self.servers.iter().all(is_well)
            && !self.coordinator.is_down
            && (0..self.agents.len()).all(|a| self.has_a_fresh_right(a))
    }

    /// How long a fault lasts: mostly short, at times longer than every TTL.
    fn while_it_lasts(&mut self) -> Duration {
        match self.random.below(10) {
            0..=3 => self.random.millis(10, 500),
            4..=7 => self.random.millis(500, 5_000),
            _ => self.random.millis(5_000, 25_000),
        }
    }

    pub(crate) fn heal_later(&mut self, heal: Heal) {
        let lasts = self.while_it_lasts();
        self.queue.plan(self.now.after(lasts), Event::Heals(heal));
    }

    fn leader_or_any(&mut self) -> usize {
        let leader = self.coordinator.election.leader.map(|leader| leader.server);
        leader.unwrap_or_else(|| self.random.index(self.servers.len()))
    }

    pub(crate) fn strike(&mut self, fault: Fault) {
        self.tally.count("fault", fault.name());
        tell!(self, "FAULT {}", fault.name());
        let s = self.random.index(self.servers.len());
        let a = self.random.index(self.agents.len());
        match fault {
            Fault::KillServer => self.kill_and_restart_server(s),
            Fault::KillLeader => {
                let leader = self.leader_or_any();
                self.kill_and_restart_server(leader);
            }
            Fault::StopServer => self.stop_server(s),
            Fault::StopLeader => {
                let leader = self.leader_or_any();
                self.stop_server(leader);
            }
            Fault::FreezeServer | Fault::FreezeLeader => {
                let server = if fault == Fault::FreezeLeader { self.leader_or_any() } else { s };
                self.freeze_server(server);
                self.heal_later(Heal::Server(server));
            }
            Fault::LeaderLeftBehind => self.lie_in_wait(),
            Fault::KillAgent | Fault::AgentForgets => {
                let silently = self.random.chance(0.3) && self.profile.silent_deaths;
                self.kill_agent(a, silently);
                self.agents[a].forgets_state |= fault == Fault::AgentForgets;
                let lasts = self.while_it_lasts();
                self.queue.plan(self.now.after(lasts), Event::AgentStarts { agent: a });
            }
            Fault::FreezeAgent => {
                self.freeze_agent(a);
                self.heal_later(Heal::Agent(a));
            }
            Fault::DrainAgent => self.drain_agent(a),
            Fault::TwinAgent => self.twin_comes(a),
            Fault::BreakConnection => {
                let ids: Vec<ConnectionId> = self.network.connections.keys().copied().collect();
                if !ids.is_empty() {
                    let id = self.random.pick(&ids);
                    self.break_connection(id);
                }
            }
            Fault::CutAgent => {
                self.network.cut.insert((a, s));
                self.heal_later(Heal::Link(a, s));
            }
            Fault::CutServerFromAgents => {
                let lasts = self.while_it_lasts();
                for a in 0..self.agents.len() {
                    self.network.cut.insert((a, s));
                    self.queue.plan(self.now.after(lasts), Event::Heals(Heal::Link(a, s)));
                }
            }
            Fault::LeaderCutOff => {
                let leader = self.leader_or_any();
                self.coordinator.cut.insert(leader);
                self.ledger.cut.insert(leader);
                let at = self.now.after(self.random.millis(3_000, 25_000));
                self.queue.plan(at, Event::Heals(Heal::Coordinator(leader)));
                self.queue.plan(at, Event::Heals(Heal::Ledger(leader)));
            }
            Fault::CutFromCoordinator => {
                let server = self.leader_or_any();
                self.coordinator.cut.insert(server);
                self.heal_later(Heal::Coordinator(server));
            }
            Fault::CutFromLedger => {
                let server = self.leader_or_any();
                self.ledger.cut.insert(server);
                self.heal_later(Heal::Ledger(server));
            }
            Fault::LedgerOutage => {
                self.ledger_goes_down();
                self.heal_later(Heal::LedgerOutage);
            }
            Fault::CoordinatorOutage => {
                self.coordinator.is_down = true;
                self.heal_later(Heal::CoordinatorOutage);
            }
            Fault::LeaseEndsEarly => {
                if let Some(leader) = self.coordinator.election.leader {
                    self.end_candidacy(leader);
                }
            }
            Fault::AgentLeaseEndsEarly => {
                let agents = self.coordinator.locks.agents();
                if !agents.is_empty() {
                    let agent = self.random.pick(&agents);
                    self.end_agent_lease(agent);
                }
            }
            Fault::CoordinatorRebuilt => self.coordinator_forgets(),
            Fault::SplitsLeaderOff => self.split_leader_off(),
            Fault::ServerClockJumps | Fault::ServerClockFarAhead | Fault::AgentClockJumps | Fault::LedgerClockJumps => {
                self.clock_jumps(fault, s, a);
            }
            Fault::LedgerClockStepsBack => self.ledger_clock_steps_back(),
            Fault::SlowEverything => {
                let (network, ledger) = (self.profile.network_delay, self.profile.ledger_delay);
                self.profile.network_delay = network.max(Duration::from_millis(100));
                self.profile.ledger_delay = ledger.max(Duration::from_millis(100));
                self.heal_later(Heal::Speed(network, ledger));
            }
        }
    }

    fn split_leader_off(&mut self) {
        let Some(leader) = self.coordinator.election.leader else { return };
        let s = leader.server;
        // Half the time long enough for the successor to call attempts LOST that the old leader may go on confirming.
        let lasts = if self.random.chance(0.5) { self.while_it_lasts() } else { self.random.millis(8_000, 25_000) };
        let heals = self.now.after(lasts);
        self.coordinator.cut.insert(s);
        self.queue.plan(heals, Event::Heals(Heal::Coordinator(s)));
        if self.random.chance(0.5) {
            self.ledger.cut.insert(s);
            self.queue.plan(heals, Event::Heals(Heal::Ledger(s)));
        }
        for a in 0..self.agents.len() {
            let stays = self.random.chance(0.5);
            for server in 0..self.servers.len() {
                if stays == (server != s) {
                    self.network.cut.insert((a, server));
                    self.queue.plan(heals, Event::Heals(Heal::Link(a, server)));
                }
            }
        }
        self.end_candidacy(leader);
    }

    /// Nodes are within `max_clock_skew` of the ledger, or refused by it.
    fn clock_jumps(&mut self, fault: Fault, s: usize, a: usize) {
        let now = self.now;
        let offset = |most: u64, random: &mut crate::random::Random| {
            i64::try_from(random.below(2 * most)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
        };
        match fault {
            Fault::ServerClockJumps => {
                let (to, drift) = (offset(2_000_000, &mut self.random), offset(500, &mut self.random));
                self.servers[s].clock.set(now, to, drift);
                self.plan_wake(s);
            }
            Fault::ServerClockFarAhead => {
                self.servers[s].clock.set(now, 30_000_000, 0);
                self.plan_wake(s);
                let at = self.now.after(self.random.millis(100, 4_000));
                self.queue.plan(at, Event::Heals(Heal::ServerClock(s)));
            }
            Fault::AgentClockJumps => {
                let (to, drift) = (offset(600_000_000, &mut self.random), offset(500, &mut self.random));
                self.agents[a].clock.set(now, to, drift);
            }
            _ => {
                let to = offset(1_500_000, &mut self.random);
                self.ledger.clock.set(now, to, 0);
            }
        }
    }

    fn kill_and_restart_server(&mut self, s: usize) {
        let silently = self.random.chance(0.2) && self.profile.silent_deaths;
        self.kill_server(s, silently);
        let lasts = self.while_it_lasts();
        self.queue.plan(self.now.after(lasts), Event::ServerStarts { server: s });
    }

    fn twin_comes(&mut self, a: usize) {
        if self.agents.iter().any(|agent| agent.is_twin && agent.session.is_some()) {
            return;
        }
        let twin = match self.agents.iter().position(|agent| agent.is_twin) {
            Some(twin) => twin,
            None => {
                self.agents.push(Agent::new(String::new(), 2, "a", Clock::new(Duration::from_secs(77), 0)));
                self.agents.len() - 1
            }
        };
        self.agents[twin].is_twin = true;
        self.agents[twin].id = self.agents[a].id.clone();
        self.agents[twin].forgets_state = true;
        self.start_agent(twin);
        self.heal_later(Heal::TwinLeaves(twin));
    }

    pub(crate) fn heals(&mut self, heal: Heal) {
        tell!(self, "well again: {heal:?}");
        match heal {
            Heal::Server(s) => self.wake_server(s),
            Heal::Agent(a) => self.wake_agent(a),
            Heal::TwinLeaves(a) => self.kill_agent(a, false),
            Heal::Link(a, s) => self.heal_link(a, s),
            Heal::Coordinator(s) => {
                self.coordinator.cut.remove(&s);
            }
            Heal::Ledger(s) => {
                self.ledger.cut.remove(&s);
            }
            Heal::LedgerOutage => self.ledger.is_down = false,
            Heal::CoordinatorOutage => self.coordinator_returns(),
            Heal::ServerClock(s) => {
                let now = self.now;
                self.servers[s].clock.set(now, 0, 0);
                self.plan_wake(s);
            }
            Heal::Deposed(left) => self.go_back_to_deposed(left),
            Heal::Speed(network, ledger) => {
                self.profile.network_delay = network;
                self.profile.ledger_delay = ledger;
            }
        }
    }

    /// What the ledger's clock tells a take-over is less than what it told the one before.
    fn ledger_clock_steps_back(&mut self) {
        let now = self.now;
        let (ahead, back) = (self.random.between(0, 1_500_000), self.random.between(500_000, 2_500_000));
        let to = i64::try_from(ahead).unwrap_or(0) - i64::try_from(back).unwrap_or(0);
        self.ledger.clock.set(now, to, 0);
        if let Some(leader) = self.coordinator.election.leader {
            self.end_candidacy(leader);
        }
    }

    /// Faults stop for good, and what they did is undone.
    pub(crate) fn heal_all(&mut self) {
        self.is_draining = true;
        self.ambush = None;
        self.clients.have_stopped = true;
        self.profile.calm_down();
        for s in 0..self.servers.len() {
            self.coordinator.cut.remove(&s);
            self.ledger.cut.remove(&s);
            for a in 0..self.agents.len() {
                self.heal_link(a, s);
            }
        }
        self.ledger.is_down = false;
        self.coordinator_returns();
        let now = self.now;
        self.ledger.clock.set(now, 0, 0);
        for s in 0..self.servers.len() {
            self.servers[s].clock.set(now, 0, 0);
            self.wake_server(s);
            self.start_server(s);
            self.plan_wake(s);
        }
        for a in 0..self.agents.len() {
            self.wake_agent(a);
            if self.agents[a].is_twin {
                self.kill_agent(a, false);
            } else {
                self.start_agent(a);
            }
        }
    }
}
