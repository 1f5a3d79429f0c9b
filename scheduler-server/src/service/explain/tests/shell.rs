//! The engine over SQLite, with a clock that the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ledger::Leader;
use ledger::sqlite::Sqlite;
use prost_types::Timestamp as ProtoTimestamp;
use punctual_proto::v1;
use scheduler_core::agent::{
    Assign, Finished, FromAgent, Hello, Inventory, Outcome, Report, ReportEvent, StreamId, TaskType, ToAgent,
};
use scheduler_core::engine::{
    Alert, Answer, Away, Command, Config, Effect, Engine, IdleLocks, Input, LedgerClock, Refusal, Request,
    RequestHandle,
};
use scheduler_core::ids::{AgentInstance, Epoch, NodeId};
use scheduler_core::run::TaskError;
use scheduler_core::schedule::SHORTEST_EVERY;
use scheduler_core::time::{Boot, Now, Timestamp};
use tempfile::TempDir;

use crate::service::{Access, LeaderPort, Node, Service};

/// When every case begins: 2023-11-14T22:13:20Z.
const BEGIN: Timestamp = Timestamp::from_secs(1_700_000_000);
const STREAM: StreamId = StreamId(1);

/// So many milliseconds after the beginning.
pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(BEGIN.as_micros() + millis * 1_000)
}

/// Explanations ask nobody.
struct NoLeader;

#[async_trait]
impl LeaderPort for NoLeader {
    async fn request(&self, _: Request) -> Result<Answer, Refusal> {
        Err(Refusal::Unavailable(Away::NoLeader))
    }
}

pub(super) struct Shell {
    engine: Engine,
    pub(super) ledger: Arc<Sqlite>,
    pub(super) epoch: Epoch,
    service: Service,
    wall: Arc<AtomicI64>,
    assigned: Vec<Assign>,
    answers: BTreeMap<RequestHandle, Result<Answer, Refusal>>,
    has_agent: bool,
    numbers: u64,
    _folder: TempDir,
}

impl Shell {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wall = Arc::new(AtomicI64::new(BEGIN.as_micros()));
        let (of_ledger, of_service) = (Arc::clone(&wall), Arc::clone(&wall));
        let clock = move || Timestamp::from_micros(of_ledger.load(Ordering::Relaxed));
        let ledger = Arc::new(Sqlite::open(&folder.path().join("ledger.db"), Arc::new(clock)).await.unwrap());
        let id = NodeId::from("n1");
        let node = Node {
            id: id.clone(),
            address: "http://127.0.0.1:7117".to_owned(),
            start_time: BEGIN,
            warnings: Vec::new(),
        };
        let clock = Arc::new(move || Timestamp::from_micros(of_service.load(Ordering::Relaxed)));
        let access = Access { tokens: Arc::clone(&ledger) as _, audit: Arc::clone(&ledger) as _ };
        let service = Service::new(
            Arc::clone(&ledger) as _,
            access,
            Arc::new(NoLeader),
            Arc::default(),
            clock,
            node,
            SHORTEST_EVERY,
        );
        let agent_ttl = Duration::from_secs(15);
        let config = Config {
            node: id,
            agent_ttl,
            lease: None,
            min_every: SHORTEST_EVERY,
            idle_locks: IdleLocks::default(),
            ledger_clock: LedgerClock::ThisMachines,
            seed: 7,
        };
        let mut shell = Self {
            engine: Engine::new(config, now(&wall)),
            ledger,
            epoch: Epoch::default(),
            service,
            wall,
            assigned: Vec::new(),
            answers: BTreeMap::new(),
            has_agent: false,
            numbers: 0,
            _folder: folder,
        };
        shell.input(Input::Wake).await;
        shell
    }

    async fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.engine.handle(now(&self.wall), input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Call(id, call) => inputs.push_back(Input::Called(id, self.ledger.call(call).await)),
                    Effect::Campaign(id) => inputs.push_back(Input::Elected(id, None)),
                    Effect::ProveLeadership(_, id, _) => inputs.push_back(Input::LeadershipProved(id, None)),
                    Effect::Send(_, ToAgent::Assign(assigned)) => self.assigned.extend(assigned),
                    Effect::Answer(handle, answer) => drop(self.answers.insert(handle, answer)),
                    Effect::Alert(Alert::TookOver { epoch, .. }) => self.epoch = epoch,
                    Effect::KeepAlive(..)
                    | Effect::LendLease(..)
                    | Effect::ReadLocks(..)
                    | Effect::TakeLocks(..)
                    | Effect::ReleaseLocks(..)
                    | Effect::Bury(_)
                    | Effect::Resign(_)
                    | Effect::Quit(_) => {
                        unreachable!("it leads alone, and goes on")
                    }
                    Effect::Send(..) | Effect::Close(..) | Effect::Publish(_) | Effect::Alert(_) => {}
                }
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A write that goes well.
    pub(super) async fn ask(&mut self, command: Command) {
        let handle = RequestHandle(self.number());
        let request = Request {
            key: None,
            is_new: true,
            digest: String::new(),
            author: "tester".to_owned(),
            origin: None,
            command,
        };
        self.input(Input::Request(handle, request)).await;
        self.answers.remove(&handle).expect("the ledger answers at once").unwrap();
    }

    /// An agent with one slot.
    pub(super) async fn join(&mut self) {
        self.join_with("default").await;
    }

    pub(super) async fn join_with(&mut self, queue: &str) {
        let hello = Hello {
            agent_id: "a".into(),
            instance: AgentInstance::at(BEGIN, 1),
            version: "test".to_owned(),
            labels: BTreeMap::new(),
            queues: vec![queue.to_owned()],
            task_types: vec![TaskType { name: "noop".to_owned(), payload_schema: None }],
            slots: 1,
            highest_epoch_seen: Epoch::default(),
            instances_proved_gone: Vec::new(),
        };
        self.input(Input::Hello(STREAM, hello)).await;
        self.input(Input::FromAgent(STREAM, FromAgent::Inventory(Inventory::default()))).await;
        self.has_agent = true;
        self.beat().await;
    }

    async fn beat(&mut self) {
        if self.has_agent {
            let n = self.number();
            self.input(Input::FromAgent(STREAM, FromAgent::Heartbeat { n, sent_time: None })).await;
        }
    }

    /// What was handed out succeeds.
    pub(super) async fn succeed(&mut self) {
        self.finish(Outcome::Succeeded, None).await;
    }

    /// What was handed out ends so.
    pub(super) async fn finish(&mut self, outcome: Outcome, error: Option<TaskError>) {
        let time = now(&self.wall).wall;
        for assign in std::mem::take(&mut self.assigned) {
            let finished = Finished {
                outcome,
                result: None,
                error: error.clone(),
                exit_code: None,
                retryable: true,
                start_time: Some(time),
            };
            let event = ReportEvent::Finished(finished);
            let report = Report { attempt: assign.attempt, sequence: 1, time, event };
            self.input(Input::FromAgent(STREAM, FromAgent::Reports(vec![report]))).await;
        }
    }

    /// The agent is not heard of any more.
    pub(super) fn lose_agent(&mut self) {
        self.has_agent = false;
    }

    /// Time passes, and the engine is woken whenever it asks for it.
    pub(super) async fn pass(&mut self, millis: i64) {
        let end = self.wall.load(Ordering::Relaxed) + millis * 1_000;
        loop {
            let now = now(&self.wall);
            let left = Duration::from_micros(u64::try_from(end - now.wall.as_micros()).unwrap());
            let next = self.engine.next_wakeup().map_or(left, |at| at.since(now.boot));
            let step = next.clamp(Duration::from_micros(1), Duration::from_millis(500)).min(left);
            self.wall.fetch_add(i64::try_from(step.as_micros()).unwrap(), Ordering::Relaxed);
            self.beat().await;
            self.wake().await;
            if step == left {
                return;
            }
        }
    }

    /// Time passes, and nobody looks.
    pub(super) fn skip(&self, millis: i64) {
        self.wall.fetch_add(millis * 1_000, Ordering::Relaxed);
    }

    pub(super) async fn wake(&mut self) {
        self.input(Input::Wake).await;
    }

    pub(super) async fn explain(&self, millis: i64) -> v1::ExplainFireResponse {
        let time = at(millis).to_utc().unwrap();
        let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap();
        let request = v1::ExplainFireRequest {
            job_id: "j".to_owned(),
            time: Some(ProtoTimestamp { seconds: time.timestamp(), nanos }),
            ..Default::default()
        };
        self.service.explain_fire(request).await.unwrap()
    }
}

fn now(wall: &AtomicI64) -> Now {
    let wall = Timestamp::from_micros(wall.load(Ordering::Relaxed));
    Now { wall, boot: Boot(wall.since(Timestamp::from_secs(0))) }
}
