//! The engine over the real SQLite, by a clock that the test moves: a server that dies and comes back 47 s later finds
//! every instant that came due meanwhile (promise 1).

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ledger::sqlite::{Clock, Sqlite};
use ledger::{Leader, Page, Reader, RunFilter};
use scheduler_core::agent::{FromAgent, Hello, Inventory, StreamId, TaskType};
use scheduler_core::engine::{Answer, Command, Config, Effect, Engine, Input, Refusal, Request, RequestHandle};
use scheduler_core::ids::{AgentInstance, Epoch, NodeId};
use scheduler_core::job::{Definition, Job, JobKey, Payload, Task};
use scheduler_core::run::{Reason, Run, RunState};
use scheduler_core::schedule::Schedule;
use scheduler_core::time::{Boot, Now, Timestamp};

const NOON: Timestamp = Timestamp::from_secs(1_770_000_000);
const STREAM: StreamId = StreamId(1);

/// The machine's clock: servers come and go, it goes on.
#[derive(Clone)]
struct Machine(Arc<AtomicI64>);

impl Machine {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn now(&self) -> Now {
        Now { wall: self.wall(), boot: Boot(self.wall().since(Timestamp::from_secs(0))) }
    }

    fn pass(&self, duration: Duration) {
        self.0.store(self.wall().saturating_add(duration).as_micros(), Ordering::SeqCst);
    }
}

/// A server with an agent that takes everything and ends nothing. Dropped, it is as if killed.
struct Server {
    machine: Machine,
    engine: Engine,
    ledger: Sqlite,
    answer: Option<Result<Answer, Refusal>>,
}

impl Server {
    async fn start(machine: &Machine, folder: &Path, start: u128) -> Self {
        let wall = machine.clone();
        let clock: Clock = Arc::new(move || wall.wall());
        let ledger = Sqlite::open(&folder.join("ledger.sqlite"), clock).await.unwrap();
        let config = Config {
            node: NodeId::from("node"),
            agent_ttl: Duration::from_secs(600),
            lease: None,
            min_every: Duration::from_millis(100),
            seed: start,
        };
        let mut engine = Engine::new(config, machine.now());
        let mut effects = Vec::new();
        engine.start(&mut effects);
        let mut server = Self { machine: machine.clone(), engine, ledger, answer: None };
        server.carry_out(effects).await;
        let hello = Hello {
            agent_id: "agent".into(),
            instance: AgentInstance::at(machine.wall(), start),
            version: "test".into(),
            labels: BTreeMap::new(),
            queues: vec!["default".into()],
            task_types: vec![TaskType { name: "noop".into(), payload_schema: None }],
            slots: 1_000,
            highest_epoch_seen: Epoch(0),
            instances_proved_gone: Vec::new(),
        };
        server.input(Input::Hello(STREAM, hello)).await;
        server.input(Input::FromAgent(STREAM, FromAgent::Inventory(Inventory::default()))).await;
        server.input(Input::FromAgent(STREAM, FromAgent::Heartbeat { n: 1 })).await;
        server
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
                Effect::Campaign(id) => Input::Elected(id),
                Effect::KeepAlive(_, id) => Input::KeptAlive(id),
                Effect::ProveLeadership(_, id) => Input::LeadershipProved(id),
                Effect::Call(id, call) => Input::Called(id, self.ledger.call(call).await),
                Effect::Answer(_, answer) => {
                    self.answer = Some(answer);
                    continue;
                }
                Effect::Resign(_) | Effect::Quit(_) => panic!("nothing here ends a term: {effect:?}"),
                Effect::Send(..) | Effect::Close(..) | Effect::Alert(_) => continue,
            };
            let mut out = Vec::new();
            self.engine.handle(self.machine.now(), answer, &mut out);
            effects.extend(out);
        }
    }

    async fn pass(&mut self, duration: Duration) {
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

    async fn create(&mut self, definition: Definition) -> Job {
        let job = JobKey { namespace: "default".into(), job_id: "tick".into() };
        let command = Command::CreateJob { job, definition: Box::new(definition), validate_only: false };
        let request = Request { key: None, is_new: true, digest: String::new(), author: "test".into(), command };
        self.input(Input::Request(RequestHandle(1), request)).await;
        match self.answer.take() {
            Some(Ok(Answer::Job(job))) => *job,
            other => panic!("{other:?}"),
        }
    }

    /// All rows, in the order of their instants.
    async fn rows(&self) -> Vec<Run> {
        let page = self.ledger.runs(&RunFilter::default(), &Page { size: 1_000, after: None }).await.unwrap();
        let mut rows: Vec<Run> = page.items.into_iter().map(|stored| stored.run).collect();
        rows.sort_by_key(|run| run.scheduled_time);
        rows
    }
}

fn tick(grace_secs: u64, coalesce: bool) -> Definition {
    let schedule = Schedule { every: vec![Duration::from_secs(1)], ..Schedule::default() };
    let task = Task { task_type: "noop".into(), payload: Payload::default() };
    let misfire_grace_time = Duration::from_secs(grace_secs);
    Definition { schedule, misfire_grace_time, coalesce, max_instances: 1_000, ..Definition::new(task) }
}

/// First and last instant, in seconds after the job's creation, and the count.
type Span = (u64, u64, u64);

/// What is in the ledger when a server dies 5.7 s after the job was made, another comes 47 s later, and 3 s pass.
async fn rows_of_an_absence(definition: Definition) -> Vec<(RunState, Option<Reason>, Span)> {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine(Arc::new(AtomicI64::new(NOON.as_micros())));
    let mut first = Server::start(&machine, folder.path(), 1).await;
    let job = first.create(definition).await;
    first.pass(Duration::from_millis(5_700)).await;
    drop(first);
    machine.pass(Duration::from_secs(47));
    let mut second = Server::start(&machine, folder.path(), 2).await;
    second.pass(Duration::from_secs(3)).await;

    let rows = second.rows().await;
    let mut covered = job.create_time;
    for row in &rows {
        assert_eq!(row.covers_from, Some(covered), "spans are contiguous: {row:?}");
        covered = row.scheduled_time;
    }
    let seconds = |time: Timestamp| time.since(job.create_time).as_secs();
    let span = |run: &Run| {
        let first = run.first_scheduled_time.unwrap_or(run.scheduled_time);
        (seconds(first), seconds(run.scheduled_time), run.coalesced_count)
    };
    rows.iter().map(|run| (run.state, run.reason, span(run))).collect()
}

fn run(instant: u64) -> (RunState, Option<Reason>, Span) {
    (RunState::Pending, None, (instant, instant, 1))
}

#[tokio::test]
async fn an_absence_of_47_s_is_counted_to_the_instant() {
    let rows = rows_of_an_absence(tick(10, true)).await;
    let missed = (RunState::Missed, Some(Reason::Late), (6, 42, 37));
    let made_up = (RunState::Pending, None, (43, 52, 10));
    let expected: Vec<_> = (1..=5).map(run).chain([missed, made_up]).chain((53..=55).map(run)).collect();
    assert_eq!(rows, expected);
    assert_eq!(rows.iter().map(|(_, _, (_, _, count))| count).sum::<u64>(), 55, "every instant, once");
}

#[tokio::test]
async fn an_absence_of_47_s_without_coalescing_has_a_run_for_each_instant_within_grace() {
    let rows = rows_of_an_absence(tick(10, false)).await;
    let missed = (RunState::Missed, Some(Reason::Late), (6, 42, 37));
    let expected: Vec<_> = (1..=5).map(run).chain([missed]).chain((43..=55).map(run)).collect();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn an_absence_within_grace_misses_nothing() {
    let rows = rows_of_an_absence(tick(60, true)).await;
    let made_up = (RunState::Pending, None, (6, 52, 47));
    let expected: Vec<_> = (1..=5).map(run).chain([made_up]).chain((53..=55).map(run)).collect();
    assert_eq!(rows, expected);
}
