//! An agent's machine: the session, a model of the shell round it, and what runs there physically.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use executor_agent::session::{
    AttemptKey, Completion, Config, Effect, Failure, Input, Notice, OfferedTaskType, Session, StreamId, Task, TaskEvent,
};
use executor_agent::time::Boot;
use punctual_proto::v1;
use scheduler_core::ids::{AgentInstance, AttemptId, RunId};
use uuid::Uuid;

use crate::clock::{Clock, Instant};
use crate::event::Event;
use crate::network::{ConnectionId, End, Packet, Side};
use crate::plant::Plant;
use crate::server::address;
use crate::trace::tell;
use crate::trouble::Nuisance;
use crate::world::World;

/// A task as it really is.
pub(crate) struct Physical {
    in_process: bool,
    runs: bool,
    /// Asked to end, it does so soon.
    obeys: bool,
    /// In the agent's process, and not to be stopped there.
    is_stuck: bool,
    lasts: Duration,
    /// When it began, and when it may be stopped for its timeout.
    began: Instant,
    deadline: Option<Boot>,
    completion: Completion,
    /// Its supervisor kills it then, by the machine's boot-time clock.
    lives_until: Option<Boot>,
    /// Which plan of its end is the present one.
    turn: u32,
    talks: bool,
}

pub(crate) struct Agent {
    pub(crate) id: String,
    slots: usize,
    labels: BTreeMap<String, String>,
    pub(crate) session: Option<Session>,
    pub(crate) generation: u32,
    pub(crate) instance: Uuid,
    pub(crate) is_frozen: bool,
    backlog: VecDeque<Input>,
    /// Plans of tasks in this process that came due while it was frozen.
    suspended: Vec<(AttemptKey, u32)>,
    pub(crate) clock: Clock,
    wakes_at: Option<Instant>,
    pub(crate) run_until: Option<Boot>,
    supervisors_look_at: Option<Instant>,
    tasks: BTreeMap<(u32, AttemptKey), Physical>,
    /// Instances that were here before, whose end no leader knows to be proved.
    past: Vec<(u32, Uuid)>,
    /// The folder of the state, whose lock proves things, is lost with a restart.
    pub(crate) forgets_state: bool,
    connections: BTreeMap<StreamId, ConnectionId>,
    /// Another machine with the same id.
    pub(crate) is_twin: bool,
}

impl Agent {
    pub(crate) fn new(id: String, slots: usize, zone: &str, clock: Clock) -> Self {
        Self {
            id,
            slots,
            labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
            session: None,
            generation: 0,
            instance: Uuid::nil(),
            is_frozen: false,
            backlog: VecDeque::new(),
            suspended: Vec::new(),
            clock,
            wakes_at: None,
            run_until: None,
            supervisors_look_at: None,
            tasks: BTreeMap::new(),
            past: Vec::new(),
            forgets_state: false,
            connections: BTreeMap::new(),
            is_twin: false,
        }
    }
}

pub(crate) fn attempt_id(key: AttemptKey) -> AttemptId {
    AttemptId { run: RunId(key.run), number: u32::try_from(key.attempt).unwrap_or(0) }
}

impl World {
    pub(crate) fn start_agent(&mut self, a: usize) {
        if self.agents[a].session.is_some() {
            return;
        }
        let now = self.now;
        let instance = AgentInstance::at(now.wall(), self.random.wide()).0;
        let seed = self.random.next();
        let false_proof = self.plant == Some(Plant::FalseProofOfDeath);
        let servers = (0..self.servers.len()).map(address).collect();
        let agent = &mut self.agents[a];
        if std::mem::take(&mut agent.forgets_state) {
            agent.past.clear();
        }
        let is_dead = |generation: u32| !agent.tasks.keys().any(|(of, _)| *of == generation);
        let proved: Vec<Uuid> = (agent.past.iter())
            .filter(|(generation, _)| false_proof || is_dead(*generation))
            .map(|(_, instance)| *instance)
            .collect();
        agent.generation += 1;
        agent.instance = instance;
        agent.is_frozen = false;
        agent.backlog.clear();
        agent.suspended.clear();
        agent.connections.clear();
        agent.wakes_at = None;
        agent.run_until = None;
        agent.past.push((agent.generation, instance));
        let offered =
            |name: &str, in_process| OfferedTaskType { name: name.to_owned(), payload_schema: None, in_process };
        agent.session = Some(Session::new(Config {
            servers,
            agent_id: agent.id.clone(),
            instance,
            version: "simulated".to_owned(),
            labels: agent.labels.clone(),
            queues: vec!["default".to_owned()],
            task_types: vec![offered("process", false), offered("noop", true)],
            slots: agent.slots,
            instances_proved_gone: proved,
            seed,
        }));
        tell!(self, "agent {a} ({}) starts as {}", self.agents[a].id, tail(instance));
        self.handle_agent(a, Input::Tick);
    }

    pub(crate) fn kill_agent(&mut self, a: usize, silently: bool) {
        if self.agents[a].session.take().is_none() {
            return;
        }
        tell!(self, "agent {a} dies");
        let generation = self.agents[a].generation;
        self.agents[a].is_frozen = false;
        self.agents[a].backlog.clear();
        self.drop_connections(|c| c.agent == a, Side::Agent, silently);
        self.agents[a].connections.clear();
        let keys: Vec<_> =
            self.agents[a].tasks.keys().filter(|(of, _)| *of == generation).map(|(_, key)| *key).collect();
        for key in keys {
            let Some(task) = self.agents[a].tasks.get(&(generation, key)) else { continue };
            if task.in_process || !task.runs {
                self.task_is_over(a, generation, key);
            } else {
                // Its supervisor sees the end of the pipe.
                let slow = self.plant == Some(Plant::FalseProofOfDeath);
                let wait = if slow { self.random.millis(3_000, 9_000) } else { self.random.millis(0, 30) };
                self.end_task_in(a, generation, key, wait);
            }
        }
    }

    pub(crate) fn freeze_agent(&mut self, a: usize) {
        let agent = &mut self.agents[a];
        if agent.session.is_none() || agent.is_frozen {
            return;
        }
        tell!(self, "agent {a} freezes");
        agent.is_frozen = true;
        let generation = agent.generation;
        let here: Vec<_> = (agent.tasks.iter())
            .filter(|((of, _), task)| *of == generation && task.in_process && task.runs)
            .map(|((_, key), _)| *key)
            .collect();
        for key in here {
            self.witness.suspended(attempt_id(key));
        }
    }

    /// On waking its clock is handled before anything else (rule 32).
    pub(crate) fn wake_agent(&mut self, a: usize) {
        if !std::mem::take(&mut self.agents[a].is_frozen) {
            return;
        }
        tell!(self, "agent {a} wakes");
        let generation = self.agents[a].generation;
        self.handle_agent(a, Input::Tick);
        if self.agents[a].generation != generation {
            return;
        }
        let here: Vec<_> = (self.agents[a].tasks.iter())
            .filter(|((of, _), task)| *of == generation && task.in_process && task.runs)
            .map(|((_, key), _)| *key)
            .collect();
        for key in here {
            self.task_resumed(attempt_id(key));
        }
        for (key, turn) in std::mem::take(&mut self.agents[a].suspended) {
            self.task_ends(a, generation, key, turn);
        }
        while let Some(input) = self.agents[a].backlog.pop_front() {
            self.handle_agent(a, input);
        }
    }

    pub(crate) fn agent_input(&mut self, a: usize, generation: u32, input: Input) {
        let agent = &mut self.agents[a];
        if agent.generation != generation || agent.session.is_none() {
            return;
        }
        if agent.is_frozen {
            agent.backlog.push_back(input);
        } else {
            self.handle_agent(a, input);
        }
    }

    /// Gives an input, then the Ticks that are due at once, as the shell does.
    fn handle_agent(&mut self, a: usize, input: Input) {
        let input = self.alter_input(a, input);
        if self.plant == Some(Plant::TasksDieWithStream) && matches!(input, Input::Closed { .. }) {
            self.kill_all_tasks(a);
        }
        let now = self.agents[a].clock.agent(self.now);
        let mut input = Some(input);
        for _ in 0..64 {
            let Some(session) = &mut self.agents[a].session else { return };
            let next = match input.take() {
                Some(input) => input,
                None if session.next_wakeup().is_some_and(|at| at <= now.boot) => Input::Tick,
                None => break,
            };
            for effect in session.handle(now, next) {
                self.do_agents_effect(a, effect);
            }
        }
        self.plan_agents_wake(a);
    }

    fn plan_agents_wake(&mut self, a: usize) {
        let agent = &mut self.agents[a];
        let Some(wakeup) = agent.session.as_ref().and_then(Session::next_wakeup) else { return };
        let at = agent.clock.when_agent(wakeup).max(self.now.after(Duration::from_micros(1)));
        if agent.wakes_at.is_none_or(|planned| at < planned || planned < self.now) {
            agent.wakes_at = Some(at);
            self.queue.plan(at, Event::AgentWakes { agent: a, generation: agent.generation });
        }
    }

    pub(crate) fn agent_wakes(&mut self, a: usize, generation: u32) {
        let now = self.now;
        let agent = &mut self.agents[a];
        if agent.generation != generation || agent.session.is_none() || agent.wakes_at != Some(now) {
            return;
        }
        agent.wakes_at = None;
        if agent.is_frozen {
            return;
        }
        let boot = agent.clock.agent(now).boot;
        if agent.session.as_ref().and_then(Session::next_wakeup).is_some_and(|at| at <= boot) {
            self.handle_agent(a, Input::Tick);
        } else {
            self.plan_agents_wake(a);
        }
    }

    /// The witness reads what a leader says; a planted bug makes the agent believe a deposed one.
    fn alter_input(&mut self, a: usize, mut input: Input) -> Input {
        use v1::server_message::Message;
        let Input::Message { message, .. } = &mut input else { return input };
        let instance = self.agents[a].instance;
        match &mut **message {
            Message::Welcome(welcome) => {
                let Some(epoch) = welcome.epoch else { return input };
                self.witness.welcomed(instance, epoch);
                if self.plant == Some(Plant::LowerEpochAccepted) {
                    welcome.epoch = Some(epoch.max(self.witness.highest_epoch(instance)));
                }
            }
            Message::Assignments(batch) => {
                for assign in &mut batch.assignments {
                    self.witness.assigned(instance, assign);
                    if self.plant == Some(Plant::LowerEpochAccepted) {
                        assign.epoch = assign.epoch.max(self.witness.highest_epoch(instance));
                    }
                }
            }
            Message::Cancel(cancel) if cancel.reason() != v1::cancel::Reason::NotHeld => {
                self.witness.asked_to_end(cancel);
            }
            _ => {}
        }
        input
    }

    fn do_agents_effect(&mut self, a: usize, effect: Effect) {
        let generation = self.agents[a].generation;
        match effect {
            Effect::Connect { stream, server } => {
                let server = (0..self.servers.len()).find(|s| address(*s) == server);
                let server = server.expect("because agents are told of the simulated servers only");
                tell!(self, "agent {a} connects to server {server}");
                let id = self.connect(a, stream, server);
                self.agents[a].connections.insert(stream, id);
            }
            Effect::Close { stream } => {
                if let Some(id) = self.agents[a].connections.remove(&stream) {
                    self.end_connection(id, Side::Agent, End::Broken);
                }
            }
            Effect::Send { stream, message } => {
                self.witness_report(a, &message);
                if let Some(id) = self.agents[a].connections.get(&stream).copied() {
                    let message = v1::AgentMessage { message: Some(*message) };
                    self.send_packet(id, Side::Server, Packet::ToServer(Box::new(message)));
                }
            }
            Effect::Start(task) => self.start_task(a, &task),
            Effect::Cancel { attempt } => self.cancel_task(a, attempt),
            Effect::Kill { attempt } => self.kill_task(a, attempt),
            Effect::RunUntil(boot) => {
                let agent = &mut self.agents[a];
                agent.run_until = Some(boot);
                for ((of, _), task) in &mut agent.tasks {
                    if *of == generation {
                        task.lives_until = Some(boot);
                    }
                }
            }
            Effect::ProofsTaken => self.agents[a].past.retain(|(of, _)| *of == generation),
            Effect::Say(notice) => {
                tell!(self, "agent {a} says {notice:?}");
                self.tally.count("agent says", kind_of_notice(&notice));
            }
            Effect::Abort { .. } => {
                self.tally.count("agent says", "Abort");
                self.kill_agent(a, false);
                self.restart_agent_later(a);
            }
            Effect::Exit => {
                self.tally.count("agent says", "Exit");
                self.kill_agent(a, false);
                self.restart_agent_later(a);
            }
        }
    }

    fn restart_agent_later(&mut self, a: usize) {
        let at = self.now.after(self.random.millis(100, 3_000));
        self.queue.plan(at, Event::AgentStarts { agent: a });
    }

    fn start_task(&mut self, a: usize, task: &Task) {
        let in_process = task.task_type == "noop";
        let lasts = self.task_duration();
        let fails = if self.profile.is_directed { 9 } else { self.random.below(10) };
        let completion = match fails {
            0 => Completion::from(Failure::new("EXIT_1", "no")),
            1 => Completion::from(Failure::permanent("EXIT_2", "never")),
            _ => Completion::success("{}"),
        };
        let physical = Physical {
            in_process,
            runs: false,
            obeys: self.random.chance(0.8) || self.profile.is_directed,
            is_stuck: in_process && !self.is_draining && self.random.chance(0.02) && self.profile.stuck_tasks,
            lasts,
            began: self.now,
            deadline: task.deadline,
            completion,
            lives_until: self.agents[a].run_until,
            turn: 0,
            talks: self.random.chance(0.1) && !self.profile.is_directed,
        };
        let wait = if in_process { Duration::ZERO } else { self.random.millis(1, 25) };
        let generation = self.agents[a].generation;
        self.agents[a].tasks.insert((generation, task.key), physical);
        self.queue.plan(self.now.after(wait), Event::TaskBegins { agent: a, generation, key: task.key });
    }

    fn task_duration(&mut self) -> Duration {
        if let Some(fixed) = self.task_lasts {
            return fixed;
        }
        if self.is_draining {
            return Duration::from_millis(20);
        }
        match self.random.below(20) {
            0..=9 => self.random.millis(1, 100),
            10..=15 => self.random.millis(100, 1_500),
            16..=18 => self.random.millis(1_500, 8_000),
            _ => self.random.millis(8_000, 40_000),
        }
    }

    pub(crate) fn task_begins(&mut self, a: usize, generation: u32, key: AttemptKey) {
        let is_frozen = self.agents[a].is_frozen;
        let Some(task) = self.agents[a].tasks.get_mut(&(generation, key)) else { return };
        if task.in_process && is_frozen {
            let at = self.now.after(Duration::from_millis(100));
            self.queue.plan(at, Event::TaskBegins { agent: a, generation, key });
            return;
        }
        task.runs = true;
        task.began = self.now;
        let (lasts, talks) = (task.lasts, task.talks);
        self.task_started(a, generation, key);
        self.tell_session(a, generation, key, TaskEvent::Started);
        if self.agents[a].tasks.get(&(generation, key)).is_some_and(|task| task.turn == 0) {
            self.end_task_in(a, generation, key, lasts);
        }
        if talks {
            let at = self.now.after(lasts / 2);
            self.queue.plan(at, Event::TaskTalks { agent: a, generation, key });
        }
        self.plan_supervisors(a);
    }

    pub(crate) fn task_talks(&mut self, a: usize, generation: u32, key: AttemptKey) {
        if self.agents[a].tasks.contains_key(&(generation, key)) && !self.agents[a].is_frozen {
            let data = Bytes::from_static(b"half way");
            self.tell_session(a, generation, key, TaskEvent::Log { stream: v1::log_chunk::Stream::Stdout, data });
            let progress = TaskEvent::Progress { percent: 50.0, message: String::new() };
            self.tell_session(a, generation, key, progress);
        }
    }

    fn end_task_in(&mut self, a: usize, generation: u32, key: AttemptKey, wait: Duration) {
        let Some(task) = self.agents[a].tasks.get_mut(&(generation, key)) else { return };
        task.turn += 1;
        let turn = task.turn;
        self.queue.plan(self.now.after(wait), Event::TaskEnds { agent: a, generation, key, turn });
    }

    pub(crate) fn task_ends(&mut self, a: usize, generation: u32, key: AttemptKey, turn: u32) {
        let Some(task) = self.agents[a].tasks.get(&(generation, key)).filter(|task| task.turn == turn) else { return };
        if task.in_process && self.agents[a].is_frozen {
            self.agents[a].suspended.push((key, turn));
            return;
        }
        let completion = task.completion.clone();
        self.task_is_over(a, generation, key);
        self.tell_session(a, generation, key, TaskEvent::Finished(completion));
    }

    /// Nothing of it is left.
    fn task_is_over(&mut self, a: usize, generation: u32, key: AttemptKey) {
        if let Some(task) = self.agents[a].tasks.remove(&(generation, key))
            && task.runs
        {
            tell!(self, "agent {a}: task {} is over", name(key));
            self.witness.over(attempt_id(key));
            let boot = self.agents[a].clock.agent(self.now).boot;
            let is_timed_out = task.deadline.is_some_and(|deadline| deadline <= boot);
            self.check_outlived(attempt_id(key), task.began, task.lasts, is_timed_out);
        }
    }

    fn tell_session(&mut self, a: usize, generation: u32, key: AttemptKey, event: TaskEvent) {
        self.agent_input(a, generation, Input::Task { attempt: key, event });
    }

    fn cancel_task(&mut self, a: usize, key: AttemptKey) {
        let generation = self.agents[a].generation;
        let wait = self.random.millis(1, 400);
        if self.agents[a].tasks.get(&(generation, key)).is_some_and(|task| task.obeys && task.runs && !task.is_stuck) {
            self.end_task_in(a, generation, key, wait);
        }
    }

    fn kill_task(&mut self, a: usize, key: AttemptKey) {
        let generation = self.agents[a].generation;
        if self.plant == Some(Plant::RightToRunIgnored) {
            return;
        }
        let Some(task) = self.agents[a].tasks.get(&(generation, key)) else { return };
        if task.is_stuck {
            self.tally.count("fault", Nuisance::StuckTask.name());
        } else if !task.runs || task.in_process {
            self.task_is_over(a, generation, key);
            // Given as an event of its own: the session is in the middle of an input.
            let killed = TaskEvent::Finished(Completion::from(Failure::new("KILLED", "killed")));
            let input = Box::new(Input::Task { attempt: key, event: killed });
            self.queue.plan(self.now, Event::Agent { agent: a, generation, input });
        } else {
            let wait = self.random.millis(0, 20);
            self.end_task_in(a, generation, key, wait);
        }
    }

    /// A planted bug: see [`Plant::TasksDieWithStream`].
    fn kill_all_tasks(&mut self, a: usize) {
        let generation = self.agents[a].generation;
        let mut killed = Vec::new();
        for ((of, key), task) in &mut self.agents[a].tasks {
            if *of == generation && task.runs {
                task.completion = Completion::from(Failure::new("KILLED", "killed"));
                killed.push(*key);
            }
        }
        for key in killed {
            self.end_task_in(a, generation, key, Duration::ZERO);
        }
    }

    /// Supervisors kill what outlives the right to run, by their own clock, whatever their agent does.
    pub(crate) fn supervisors_look(&mut self, a: usize) {
        if self.plant == Some(Plant::RightToRunIgnored) || self.agents[a].supervisors_look_at != Some(self.now) {
            return;
        }
        self.agents[a].supervisors_look_at = None;
        let boot = self.agents[a].clock.agent(self.now).boot;
        let processes = self.agents[a].tasks.iter().filter(|(_, task)| task.runs && !task.in_process);
        let due: Vec<_> =
            processes.filter(|(_, t)| t.lives_until.is_some_and(|at| at <= boot)).map(|(k, _)| *k).collect();
        for (generation, key) in due {
            self.tally.count("agent says", "supervisor kills");
            let turn = self.agents[a].tasks.get(&(generation, key)).map_or(0, |task| task.turn);
            self.task_ends(a, generation, key, turn);
        }
        self.plan_supervisors(a);
    }

    fn plan_supervisors(&mut self, a: usize) {
        let agent = &mut self.agents[a];
        let processes = agent.tasks.values().filter(|task| task.runs && !task.in_process);
        let Some(next) = processes.filter_map(|task| task.lives_until).min() else { return };
        let at = agent.clock.when_agent(next).max(self.now);
        if agent.supervisors_look_at.is_none_or(|planned| at < planned || planned < self.now) {
            agent.supervisors_look_at = Some(at);
            self.queue.plan(at, Event::SupervisorsLook { agent: a });
        }
    }

    pub(crate) fn drain_agent(&mut self, a: usize) {
        let generation = self.agents[a].generation;
        let input = if self.random.chance(0.7) { Input::Drain } else { Input::Stop };
        self.agent_input(a, generation, input);
    }
}

pub(crate) fn tail(id: Uuid) -> String {
    let text = id.to_string();
    text[text.len() - 6..].to_owned()
}

pub(crate) fn name(key: AttemptKey) -> String {
    format!("{}/{}", tail(key.run), key.attempt)
}

fn kind_of_notice(notice: &Notice) -> &'static str {
    match notice {
        Notice::NoServer { .. } => "NoServer",
        Notice::Welcomed { .. } => "Welcomed",
        Notice::AlreadyExists { .. } => "AlreadyExists",
        Notice::LeftStaleServer { .. } => "LeftStaleServer",
        Notice::RightEnding { .. } => "RightEnding",
        Notice::ClockWrong { .. } => "ClockWrong",
        Notice::ClockRight => "ClockRight",
    }
}
