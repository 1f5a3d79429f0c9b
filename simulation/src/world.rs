//! Everything that is simulated, and the loop that takes one event after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::engine::Effect;

use crate::agent::Agent;
use crate::client::Clients;
use crate::clock::{Clock, Instant};
use crate::coordinator::Coordinator;
use crate::election::Candidate;
use crate::event::{Event, Queue};
use crate::ledger::Ledger;
use crate::network::Network;
use crate::plant::Plant;
use crate::profile::Profile;
use crate::promise::{Broken, Promise};
use crate::random::Random;
use crate::run::Options;
use crate::server::Server;
use crate::tally::Tally;
use crate::trace::{Trace, tell};
use crate::witness::Witness;

/// After faults have stopped, everything must have drained in this much of the simulation's time.
const DRAINS_WITHIN: Duration = Duration::from_secs(300);

pub struct World {
    pub(crate) now: Instant,
    pub(crate) queue: Queue,
    pub(crate) random: Random,
    pub(crate) profile: Profile,
    pub(crate) plant: Option<Plant>,
    pub(crate) servers: Vec<Server>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) coordinator: Coordinator,
    pub(crate) ledger: Ledger,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) witness: Witness,
    pub(crate) tally: Tally,
    pub(crate) trace: Trace,
    pub(crate) broken: Option<Broken>,
    /// Kept between calls of the engine, so that its effects need no new memory.
    pub(crate) effects: Vec<Effect>,
    /// The leader that is to be left behind with its next hand-out.
    pub(crate) ambush: Option<Candidate>,
    pub(crate) edits: u64,
    /// When the last fault struck.
    pub(crate) struck: Instant,
    pub(crate) is_draining: bool,
    /// Of directed cases: how long tasks last.
    pub(crate) task_lasts: Option<Duration>,
    pub(crate) steps: u64,
}

impl World {
    /// The world that a seed stands for.
    pub(crate) fn of_seed(seed: u64, options: &Options) -> Self {
        let mut random = Random::new(seed);
        let mut profile = Profile::of(&mut random);
        profile.leave_out(options.without);
        Self::new(seed, random, profile, options.plant, options.trace)
    }

    pub(crate) fn new(seed: u64, random: Random, profile: Profile, plant: Option<Plant>, trace: bool) -> Self {
        let mut world = Self {
            now: Instant(0),
            queue: Queue::default(),
            random,
            plant,
            servers: Vec::new(),
            agents: Vec::new(),
            coordinator: Coordinator::default(),
            ledger: Ledger::new(),
            network: Network::default(),
            clients: Clients::default(),
            witness: Witness::default(),
            tally: Tally::default(),
            trace: Trace { is_on: trace, lines: Vec::new() },
            broken: None,
            effects: Vec::new(),
            ambush: None,
            edits: 0,
            struck: Instant(0),
            is_draining: false,
            task_lasts: None,
            steps: 0,
            profile,
        };
        tell!(world, "seed {seed}: {:?}", world.profile);
        world.set_up();
        world
    }

    fn set_up(&mut self) {
        let is_calm = self.profile.is_directed;
        for s in 0..self.profile.servers {
            let error = if is_calm { 0 } else { i64::try_from(self.random.below(2_000_000)).unwrap_or(0) - 1_000_000 };
            self.servers.push(Server::new(Clock::new(Duration::from_secs(1_000 + s as u64 * 77), error)));
            self.queue.plan(Instant(s as u64), Event::ServerStarts { server: s });
        }
        for a in 0..self.profile.agents {
            let slots = if is_calm { 4 } else { self.random.index(4) + 1 };
            let zone = if a % 2 == 0 { "a" } else { "b" };
            let clock = Clock::new(Duration::from_secs(5_000 + a as u64 * 33), 0);
            self.agents.push(Agent::new(format!("agent{a}"), slots, zone, clock));
            self.queue.plan(Instant(1_000 + a as u64), Event::AgentStarts { agent: a });
        }
        for client in 0..self.profile.clients {
            self.queue.plan(Instant(50_000), Event::ClientActs { client });
        }
        if !is_calm {
            self.queue.plan(Instant(2_000_000), Event::FaultStrikes);
        }
    }

    /// Takes the next event. False: a promise is broken, or nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let Some((at, event)) = self.queue.next() else { return false };
        debug_assert!(at >= self.now, "time goes on");
        self.now = at;
        self.steps += 1;
        self.take_event(event);
        self.broken.is_none()
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Server { server, generation, arrival } => self.arrive(server, generation, arrival),
            Event::ServerWakes { server, generation } => self.server_wakes(server, generation),
            Event::ServerStarts { server } => self.start_server(server),
            Event::Agent { agent, generation, input } => self.agent_input(agent, generation, *input),
            Event::AgentWakes { agent, generation } => self.agent_wakes(agent, generation),
            Event::AgentStarts { agent } => self.start_agent(agent),
            Event::TaskBegins { agent, generation, key } => self.task_begins(agent, generation, key),
            Event::TaskEnds { agent, generation, key, turn } => self.task_ends(agent, generation, key, turn),
            Event::TaskTalks { agent, generation, key } => self.task_talks(agent, generation, key),
            Event::SupervisorsLook { agent } => self.supervisors_look(agent),
            Event::Delivered { connection, to, packet } => self.delivered(connection, to, packet),
            Event::LedgerStep { call } => self.ledger_step(call),
            Event::CampaignArrives(candidate) => self.campaign_arrives(candidate),
            Event::KeepAliveArrives(candidate, id) => self.keep_alive_arrives(candidate, id),
            Event::ResignationArrives(candidate) => self.resignation_arrives(candidate),
            Event::LeaseEnds(candidate) => self.lease_ends(candidate),
            Event::ProofAsked(candidate, proof, renewing) => self.proof_asked(candidate, proof, &renewing),
            Event::LoanAsked(candidate, id, agent, lasts) => self.loan_asked(candidate, id, agent, lasts),
            Event::LocksAsked(candidate, id, call) => self.locks_asked(candidate, id, call),
            Event::AgentLeaseEnds(agent) => self.agent_lease_ends(agent),
            Event::Watches { server, generation } => self.watches(server, generation),
            Event::Tells { server, generation } => self.tells(server, generation),
            Event::ClientActs { client } => self.client_acts(client),
            Event::ClientTires { client, handle } => self.client_tires(client, handle),
            Event::Answered { handle, answer } => self.answered(handle, *answer),
            Event::FaultStrikes => self.fault_strikes(),
            Event::Heals(heal) => self.heals(heal),
        }
    }

    pub(crate) fn broken(&mut self, promise: Promise, how: String) {
        tell!(self, "BROKEN {promise}: {how}");
        if self.broken.is_none() {
            self.broken = Some(Broken { promise, at: self.now, how });
        }
    }

    /// Faults stop and everything must drain: every run that was entered ends, the watermark comes, every client is
    /// answered, every one-shot and chained run is where it belongs.
    pub fn drain(&mut self) {
        if self.broken.is_some() {
            return;
        }
        tell!(self, "faults stop; everything must drain");
        self.heal_all();
        let healed = self.now;
        let until = healed.after(DRAINS_WITHIN);
        let must_end: BTreeMap<_, ()> = self.witness.unended_runs().map(|id| (id, ())).collect();
        let mut next_look = healed.after(Duration::from_secs(15));
        while self.step() {
            if self.now < next_look {
                continue;
            }
            next_look = self.now.after(Duration::from_millis(500));
            let Some(why) = self.why_not_drained(healed, &must_end) else { return };
            if self.now > until {
                self.broken(Promise::Liveness, why);
            }
        }
        if self.broken.is_none() {
            self.broken(Promise::Liveness, "nothing will ever happen again".to_owned());
        }
    }

    fn why_not_drained(&self, healed: Instant, must_end: &BTreeMap<scheduler_core::ids::RunId, ()>) -> Option<String> {
        if self.ledger.tables.watermark < healed.wall() {
            return Some(format!("the watermark stays at {}", self.ledger.tables.watermark));
        }
        if self.clients.open() > 0 {
            return Some(format!("{} clients have no answer", self.clients.open()));
        }
        if let Some(id) = self.stuck_backfill() {
            return Some(format!("backfill {id} has instants left, and nothing of it is under way"));
        }
        let waiting = self.witness.unended_runs().find(|id| must_end.contains_key(id) && !self.waits_by_right(*id));
        let waiting = waiting.map(|id| format!("run {id} has not ended: {:?}", self.ledger.tables.runs.get(&id)));
        waiting.or_else(|| self.why_watcher_lags())
    }

    /// Its time has not come.
    fn waits_by_right(&self, id: scheduler_core::ids::RunId) -> bool {
        let run = self.ledger.tables.runs.get(&id);
        run.is_some_and(|run| run.not_before.max(run.next_attempt_time.unwrap_or(run.not_before)) > self.now.wall())
    }
}
