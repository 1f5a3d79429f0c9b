//! Directed cases: a cluster in which nothing goes wrong but what the case says, step by step, with every promise judged as
//! ever. SCENARIOS.md has the sequences.

use std::time::Duration;

use scheduler_core::engine::{Answer, Command, Refusal};
use scheduler_core::ids::AgentInstance;
use scheduler_core::job::Definition;
use scheduler_core::lock::HeldLock;
use scheduler_core::run::{Run, Trigger};
use scheduler_core::time::Timestamp;

use crate::client::{DIRECTOR, WriteId};
use crate::clock::Instant;
use crate::faults::Fault;
use crate::jobs;
use crate::network::ConnectionId;
use crate::profile::Profile;
use crate::random::Random;
use crate::world::World;

/// No wait of a case is longer, in the simulation's time.
const PATIENCE: Duration = Duration::from_secs(180);
/// Lines of the story of a case that fails.
const LINES: usize = 120;

/// A command that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked(WriteId);

pub struct Script {
    world: World,
}

impl Script {
    /// A leader leads, and every agent is with it.
    pub fn begin(servers: usize, agents: usize) -> Self {
        Self::with(Profile::calm(servers, agents))
    }

    pub fn with(profile: Profile) -> Self {
        let mut world = World::new(0, Random::new(0), profile, None, true);
        world.task_lasts = Some(Duration::from_millis(50));
        let mut script = Self { world };
        script.until("all agents are welcomed", |script| {
            let agents = &script.world.agents;
            agents.iter().all(|agent| script.world.witness.highest_epoch(agent.instance) > 0)
        });
        script.run_for(Duration::from_millis(1_500));
        script
    }

    fn fail(&self, why: &str) -> ! {
        let lines = &self.world.trace.lines;
        panic!("{}\n{why}", lines[lines.len().saturating_sub(LINES)..].join("\n"));
    }

    fn step(&mut self) {
        if !self.world.step() {
            let broken =
                self.world.broken.as_ref().map_or_else(|| "nothing is planned".to_owned(), ToString::to_string);
            self.fail(&broken);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.world.now.after(time);
        while self.world.queue.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.world.now = until;
    }

    /// Stops in the very step after which it is so.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let latest = self.world.now.after(PATIENCE);
        while !is_so(self) {
            if self.world.now > latest {
                self.fail(&format!("it never came to pass that {what}"));
            }
            self.step();
        }
    }

    /// Faults stop, everything must drain, and no promise may have been broken.
    pub fn end(mut self) {
        self.world.drain();
        if let Some(broken) = &self.world.broken {
            self.fail(&broken.to_string());
        }
    }

    /// Fails the case with its story, unless it is so.
    #[track_caller]
    pub fn check(&self, is_so: bool, what: &str) {
        if !is_so {
            self.fail(&format!("it is not so that {what} ({})", std::panic::Location::caller()));
        }
    }

    pub fn now(&self) -> Instant {
        self.world.now
    }

    /// What a right clock shows.
    pub fn wall(&self) -> Timestamp {
        self.world.now.wall()
    }

    pub fn set_tasks_last(&mut self, time: Duration) {
        self.world.task_lasts = Some(time);
    }
}

/// What clients do.
impl Script {
    /// Sends a command to the leader, or to the first server that lives.
    pub fn ask(&mut self, command: Command) -> Asked {
        let lives = |s: &usize| self.world.servers[*s].engine.is_some();
        let server = self.leader().or_else(|| (0..self.world.servers.len()).find(lives)).unwrap_or(0);
        self.ask_of(server, command, true)
    }

    /// A numbered command is asked again after an unknown outcome, with the same number.
    pub fn ask_of(&mut self, server: usize, command: Command, numbered: bool) -> Asked {
        Asked(self.world.begin_write(DIRECTOR, server, command, numbered, false))
    }

    pub fn answer(&self, asked: Asked) -> Option<&Result<Answer, Refusal>> {
        self.world.clients.writes.get(&asked.0).and_then(|write| write.answer.as_ref())
    }

    /// Sends a command and waits until it is done.
    pub fn done(&mut self, command: Command) -> Answer {
        let asked = self.ask(command);
        self.until("the command is answered", |script| script.answer(asked).is_some());
        match self.answer(asked) {
            Some(Ok(answer)) => answer.clone(),
            other => self.fail(&format!("the command is answered with {other:?}")),
        }
    }

    pub fn create(&mut self, job: usize, definition: Definition) {
        self.done(Command::CreateJob { job: jobs::key(job), definition: Box::new(definition), validate_only: false });
    }

    pub fn update(&mut self, job: usize, definition: Definition) {
        self.done(update(job, definition));
    }

    pub fn trigger(&mut self, job: usize) -> Asked {
        self.ask(trigger(job))
    }
}

pub fn update(job: usize, definition: Definition) -> Command {
    Command::UpdateJob { job: jobs::key(job), definition: Box::new(definition), etag: None, validate_only: false }
}

pub fn trigger(job: usize) -> Command {
    let labels = std::collections::BTreeMap::new();
    Command::TriggerJob { job: jobs::key(job), payload: None, labels, not_before: None }
}

pub fn pause(job: usize) -> Command {
    Command::PauseJob { job: jobs::key(job), note: String::new() }
}

pub fn resume(job: usize, catch_up: bool) -> Command {
    Command::ResumeJob { job: jobs::key(job), catch_up, note: String::new() }
}

pub fn delete(job: usize) -> Command {
    Command::DeleteJob { job: jobs::key(job), etag: None }
}

/// What goes wrong.
impl Script {
    /// It does not start again by itself.
    pub fn kill_server(&mut self, server: usize) {
        self.world.kill_server(server, false);
    }

    pub fn start_server(&mut self, server: usize) {
        self.world.start_server(server);
    }

    pub fn kill_leader(&mut self) -> usize {
        let Some(leader) = self.leader() else { self.fail("nobody leads") };
        self.kill_server(leader);
        leader
    }

    pub fn freeze_server(&mut self, server: usize) {
        self.world.freeze_server(server);
    }

    pub fn wake_server(&mut self, server: usize) {
        self.world.wake_server(server);
    }

    pub fn kill_agent(&mut self, agent: usize) {
        self.world.kill_agent(agent, false);
    }

    pub fn start_agent(&mut self, agent: usize) {
        self.world.start_agent(agent);
    }

    /// The proofs that its earlier instances are gone are lost with the next start.
    pub fn forget_state(&mut self, agent: usize) {
        self.world.agents[agent].forgets_state = true;
    }

    /// Packets wait until the way is free again.
    pub fn cut(&mut self, agent: usize, server: usize) {
        self.world.network.cut.insert((agent, server));
    }

    pub fn join(&mut self, agent: usize, server: usize) {
        self.world.heal_link(agent, server);
    }

    pub fn break_connections_of(&mut self, agent: usize) {
        let of = |(_, c): &(&ConnectionId, &crate::network::Connection)| c.agent == agent;
        let ids: Vec<_> = self.world.network.connections.iter().filter(of).map(|(id, _)| *id).collect();
        for id in ids {
            self.world.break_connection(id);
        }
    }

    pub fn cut_from_coordinator(&mut self, server: usize) {
        self.world.coordinator.cut.insert(server);
    }

    pub fn cut_from_ledger(&mut self, server: usize) {
        self.world.ledger.cut.insert(server);
    }

    pub fn join_ledger(&mut self, server: usize) {
        self.world.ledger.cut.remove(&server);
    }

    /// The next commit of this server is one, and it does not hear of it.
    pub fn lose_next_answer_to(&mut self, server: usize) {
        self.world.ledger.keeps_from = Some(server);
    }

    /// The lease of an agent ends early, with its locks; the leader hears of it when it asks, or looks at its watch.
    pub fn end_agents_lease(&mut self, agent: usize) {
        let instance = AgentInstance(self.world.agents[agent].instance);
        self.world.end_agent_lease_unheard(instance);
    }

    pub fn end_leaders_lease(&mut self) {
        self.world.strike(Fault::LeaseEndsEarly);
    }

    pub fn strike(&mut self, fault: Fault) {
        self.world.strike(fault);
    }

    /// Sets a server's clock wrong by so many seconds.
    pub fn set_clock(&mut self, server: usize, wrong_by: i64) {
        let now = self.world.now;
        self.world.servers[server].clock.set(now, wrong_by * 1_000_000, 0);
        self.world.plan_wake(server);
    }

    /// Sets clocks wrong by so many seconds, the ledger's and every server's: a machine that is all of them, or machines that follow the same time server.
    pub fn set_all_clocks(&mut self, wrong_by: i64) {
        let now = self.world.now;
        let servers = self.world.servers.iter_mut().map(|server| &mut server.clock);
        for clock in servers.chain([&mut self.world.ledger.clock]) {
            clock.set(now, wrong_by * 1_000_000, 0);
        }
        (0..self.world.servers.len()).for_each(|server| self.world.plan_wake(server));
    }
}

/// What is there to see.
impl Script {
    /// Who leads by the coordinator's word and its own.
    pub fn leader(&self) -> Option<usize> {
        let elected = self.world.coordinator.election.leader.map(|leader| leader.server);
        elected.filter(|leader| self.world.servers[*leader].is_leading())
    }

    pub fn take_overs(&self) -> u64 {
        self.world.tally.of("alert", "TookOver")
    }

    pub fn met(&self, group: &str, kind: &str) -> u64 {
        self.world.tally.of(group, kind)
    }

    /// The epoch that is in the ledger.
    pub fn epoch(&self) -> i64 {
        self.world.ledger.tables.epoch.0
    }

    pub fn watermark(&self) -> Timestamp {
        self.world.ledger.tables.watermark
    }

    /// The job's runs in the ledger, by id.
    pub fn runs(&self, job: usize) -> Vec<Run> {
        let key = jobs::key(job);
        self.world.ledger.tables.runs.values().filter(|run| run.job_key == key).cloned().collect()
    }

    /// Those that its schedule made.
    pub fn scheduled(&self, job: usize) -> Vec<Run> {
        self.runs(job).into_iter().filter(|run| run.trigger == Trigger::Schedule).collect()
    }

    /// Those that are held at the coordinator.
    pub fn locks(&self) -> Vec<HeldLock> {
        self.world.coordinator.locks.held()
    }

    /// How often agents really started the run.
    pub fn starts(&self, run: &Run) -> usize {
        self.world.witness.starts_of(run.id)
    }

    /// How many attempts of the job run now.
    pub fn running(&self, job: usize) -> usize {
        let key = jobs::key(job);
        let of_key = self.world.ledger.tables.jobs.values().filter(|job| job.key == key);
        of_key.map(|job| self.world.witness.running_of(job.uid)).sum()
    }
}
