//! A server: the engine, its ledger, and a coordinator and an agent that agree to everything.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ledger::Leader;
use ledger::sqlite::{Clock, Sqlite};
use scheduler_core::agent::{Assign, FromAgent, Hello, Inventory, StreamId, TaskType, ToAgent};
use scheduler_core::engine::{
    Alert, Answer, Command, Config, Effect, Engine, IdleLocks, Input, LedgerClock, Refusal, Request, RequestHandle,
};
use scheduler_core::ids::{AgentInstance, Epoch, NodeId};
use scheduler_core::job::{Definition, Job, JobKey, Payload, Task};
use scheduler_core::schedule::Schedule;
use scheduler_core::time::{Boot, Now, Timestamp};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
const NOON: Timestamp = Timestamp::from_secs(1_770_000_000);
const AGENT: StreamId = StreamId(1);

/// The machine's clock: servers come and go, it goes on.
#[derive(Clone)]
pub(crate) struct Machine(Arc<AtomicI64>);

impl Machine {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOON.as_micros())))
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.wall(), boot: Boot(self.wall().since(Timestamp::from_secs(0))) }
    }

    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, duration: Duration) {
        self.0.store(self.wall().saturating_add(duration).as_micros(), Ordering::SeqCst);
    }
}

/// Dropped, it is as if killed.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) engine: Engine,
    pub(crate) ledger: Sqlite,
    /// The ledger's file.
    pub(crate) path: PathBuf,
    /// What the agent was handed.
    pub(crate) assigned: Vec<Assign>,
    pub(crate) alerts: Vec<Alert>,
    answers: BTreeMap<RequestHandle, Result<Answer, Refusal>>,
    requests: u64,
}

impl Node {
    /// Leads.
    pub(crate) async fn start(machine: &Machine, folder: &Path) -> Self {
        let wall = machine.clone();
        let clock: Clock = Arc::new(move || wall.wall());
        let path = folder.join("ledger.sqlite");
        let ledger = Sqlite::open(&path, clock).await.unwrap();
        let config = Config {
            node: NodeId::from("node"),
            agent_ttl: 600 * SECOND,
            lease: None,
            min_every: SECOND / 10,
            idle_locks: IdleLocks::default(),
            ledger_clock: LedgerClock::ThisMachines,
            seed: u128::from(machine.wall().as_micros().unsigned_abs()),
        };
        let mut engine = Engine::new(config, machine.now());
        let mut effects = Vec::new();
        engine.start(&mut effects);
        let mut node = Self {
            machine: machine.clone(),
            engine,
            ledger,
            path,
            assigned: Vec::new(),
            alerts: Vec::new(),
            answers: BTreeMap::new(),
            requests: 0,
        };
        node.carry_out(effects).await;
        node
    }

    /// An agent comes that takes everything, and ends what the test says.
    pub(crate) async fn join(&mut self) {
        let hello = Hello {
            agent_id: "agent".into(),
            instance: AgentInstance::at(self.machine.wall(), 1),
            version: "test".into(),
            labels: BTreeMap::new(),
            queues: vec!["default".into()],
            task_types: vec![TaskType { name: "noop".into(), payload_schema: None }],
            slots: 1_000,
            highest_epoch_seen: Epoch(0),
            instances_proved_gone: Vec::new(),
        };
        self.input(Input::Hello(AGENT, hello)).await;
        self.heard(FromAgent::Inventory(Inventory::default())).await;
        self.heard(FromAgent::Heartbeat { n: 1, sent_time: None }).await;
    }

    pub(crate) async fn heard(&mut self, message: FromAgent) {
        self.input(Input::FromAgent(AGENT, message)).await;
    }

    async fn input(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.engine.handle(self.machine.now(), input, &mut effects);
        self.carry_out(effects).await;
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let answer = match effect {
                Effect::Campaign(id) => Input::Elected(id, None),
                Effect::KeepAlive(_, id) => Input::KeptAlive(id),
                Effect::ProveLeadership(_, id, _) => Input::LeadershipProved(id, None),
                Effect::Call(id, call) => Input::Called(id, self.ledger.call(call).await),
                Effect::Answer(handle, answer) => {
                    self.answers.insert(handle, answer);
                    continue;
                }
                Effect::Send(_, ToAgent::Assign(batch)) => {
                    self.assigned.extend(batch);
                    continue;
                }
                Effect::Alert(alert) => {
                    self.alerts.push(alert);
                    continue;
                }
                Effect::Send(..) | Effect::Close(..) | Effect::Publish(_) => continue,
                Effect::LendLease(..) | Effect::ReadLocks(..) | Effect::TakeLocks(..) | Effect::ReleaseLocks(..) => {
                    panic!("a node alone has no locks: {effect:?}")
                }
                Effect::Resign(_) | Effect::Bury(_) | Effect::Quit(_) => panic!("nothing here ends a term: {effect:?}"),
            };
            let mut out = Vec::new();
            self.engine.handle(self.machine.now(), answer, &mut out);
            effects.extend(out);
        }
    }

    /// Time passes, waking the engine whenever it asks for it.
    pub(crate) async fn pass(&mut self, duration: Duration) {
        let end = self.machine.now().boot.saturating_add(duration);
        loop {
            let now = self.machine.now().boot;
            let wakeup = self.engine.next_wakeup().filter(|at| *at < end).unwrap_or(end);
            self.machine.pass(wakeup.since(now).max(Duration::from_micros(1)).min(end.since(now)));
            self.input(Input::Wake).await;
            if self.machine.now().boot >= end {
                return;
            }
        }
    }

    pub(crate) async fn request(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.requests += 1;
        let handle = RequestHandle(self.requests);
        let (digest, author) = (String::new(), "tester".to_owned());
        self.input(Input::Request(handle, Request { key: None, is_new: true, digest, author, origin: None, command }))
            .await;
        self.answers.remove(&handle).unwrap()
    }

    pub(crate) async fn create(&mut self, job_id: &str, definition: Definition) -> Job {
        let create = Command::CreateJob { job: key(job_id), definition: Box::new(definition), validate_only: false };
        match self.request(create).await {
            Ok(Answer::Job(job)) => *job,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn key(job_id: &str) -> JobKey {
    JobKey { namespace: "default".to_owned(), job_id: job_id.to_owned() }
}

/// Only triggers run it.
pub(crate) fn manual() -> Definition {
    Definition::new(Task { task_type: "noop".to_owned(), payload: Payload::default() })
}

pub(crate) fn every(period: Duration) -> Definition {
    Definition { schedule: Schedule { every: vec![period], ..Schedule::default() }, ..manual() }
}
