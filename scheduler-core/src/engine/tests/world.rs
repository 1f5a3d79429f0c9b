//! The engine with a ledger, a clock and agents that the test plays.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{
    Assign, Finished, FromAgent, Hello, Inventory, Outcome, Report, ReportEvent, StreamId, TaskType, ToAgent,
};
use crate::audit::Origin;
use crate::engine::{
    Alert, Answer, CandidacyId, Command, Config, Effect, Engine, IdleLocks, Input, KeepAliveId, LedgerClock, LoanId,
    ProofId, Publication, Refusal, Request, RequestHandle,
};
use crate::ids::{AgentInstance, AttemptId, FencingToken, NodeId};
use crate::job::{Definition, Job, JobKey, Payload, Task};
use crate::lock::{HeldLock, Holder, LockName};
use crate::run::{Run, RunState, TaskError};
use crate::schedule::Schedule;
use crate::time::{Boot, Now, Timestamp};
use crate::txn::{Call, CallId, Done, Election, Failure, RequestKey};

use super::ledger::Ledger;

pub(super) const TTL: Duration = Duration::from_secs(10);
pub(super) const LEASE: Duration = Duration::from_secs(3);
const NOON: Now = Now { wall: Timestamp::from_secs(1_700_000_000), boot: Boot(Duration::from_secs(1_000)) };

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Now,
    pub(super) ledger: Ledger,
    /// Calls that the ledger has not been given yet.
    pub(super) calls: Vec<(CallId, Call)>,
    /// The ledger carries calls out as they come.
    pub(super) ledger_works: bool,
    /// The coordinator answers that this node leads.
    pub(super) coordinator_works: bool,
    /// Questions that it has not answered.
    pub(super) questions: Vec<ProofId>,
    /// Whether the coordinator lends leases at once.
    pub(super) lends: bool,
    /// How long they last.
    pub(super) leases_last: Duration,
    /// The coordinator does at once what it is asked about locks.
    pub(super) locks_work: bool,
    pub(super) locks: BTreeMap<LockName, Holder>,
    /// What it was asked about locks and has not done yet.
    pub(super) lock_calls: Vec<Effect>,
    /// How often locks were taken and released, one by one.
    pub(super) locks_taken: usize,
    pub(super) locks_released: usize,
    /// Agents whose leases were renewed, as often as they were.
    pub(super) renewed: Vec<AgentInstance>,
    /// Leases that were asked for.
    pub(super) loans: Vec<(LoanId, AgentInstance)>,
    pub(super) sent: Vec<(StreamId, ToAgent)>,
    pub(super) closed: Vec<StreamId>,
    pub(super) answers: BTreeMap<RequestHandle, Result<Answer, Refusal>>,
    pub(super) alerts: Vec<Alert>,
    pub(super) published: Vec<Publication>,
    /// The candidacy that the coordinator was last asked for.
    pub(super) candidacy: Option<CandidacyId>,
    pub(super) resigned: Vec<CandidacyId>,
    /// Processes whose keys were to be deleted.
    pub(super) buried: Vec<String>,
    /// Keep-alives that it has not answered.
    pub(super) keep_alives: Vec<KeepAliveId>,
    pub(super) quit: Option<String>,
    /// Who asks, from here on.
    pub(super) origin: Option<Origin>,
    requests: u64,
}

pub(super) fn key(job_id: &str) -> JobKey {
    JobKey { namespace: "default".into(), job_id: job_id.into() }
}

pub(super) fn job() -> Definition {
    Definition::new(Task { task_type: "noop".into(), payload: Payload::default() })
}

pub(super) fn every(seconds: u64) -> Definition {
    Definition { schedule: Schedule { every: vec![Duration::from_secs(seconds)], ..Schedule::default() }, ..job() }
}

pub(super) fn instance(n: u128) -> AgentInstance {
    AgentInstance::at(Timestamp::from_secs(1), n)
}

pub(super) fn hello(id: &str, n: u128, slots: u32) -> Hello {
    Hello {
        agent_id: id.into(),
        instance: instance(n),
        version: "test".into(),
        labels: BTreeMap::new(),
        queues: vec!["default".into()],
        task_types: vec![TaskType { name: "noop".into(), payload_schema: None }],
        slots,
        highest_epoch_seen: crate::ids::Epoch(0),
        instances_proved_gone: Vec::new(),
    }
}

pub(super) fn finished(outcome: Outcome) -> Finished {
    let error = (outcome == Outcome::Failed).then(|| TaskError { code: "EXIT_1".into(), message: "no".into() });
    Finished { outcome, result: None, error, exit_code: None, retryable: true, start_time: None }
}

impl World {
    /// A single node that stands for election.
    pub(super) fn new() -> Self {
        Self::of("n1", None, NOON, Ledger::default())
    }

    /// A node of a cluster that stands for election.
    pub(super) fn in_cluster() -> Self {
        Self::of("n1", Some(LEASE), NOON, Ledger::default())
    }

    pub(super) fn of(node: &str, lease: Option<Duration>, now: Now, ledger: Ledger) -> Self {
        Self::with(node, lease, now, ledger, IdleLocks::default())
    }

    pub(super) fn with(node: &str, lease: Option<Duration>, now: Now, ledger: Ledger, idle_locks: IdleLocks) -> Self {
        let (node, min_every) = (NodeId::from(node), Duration::from_millis(100));
        // That of a cluster is a database.
        let ledger_clock = if lease.is_some() { LedgerClock::ItsOwn } else { LedgerClock::ThisMachines };
        let seed = ledger.epoch.0.unsigned_abs().into();
        let mut world = Self {
            engine: Engine::new(Config { node, agent_ttl: TTL, lease, min_every, idle_locks, ledger_clock, seed }, now),
            now,
            ledger,
            calls: Vec::new(),
            ledger_works: true,
            coordinator_works: true,
            questions: Vec::new(),
            lends: true,
            leases_last: TTL,
            locks_work: true,
            locks: BTreeMap::new(),
            lock_calls: Vec::new(),
            locks_taken: 0,
            locks_released: 0,
            renewed: Vec::new(),
            loans: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
            answers: BTreeMap::new(),
            alerts: Vec::new(),
            published: Vec::new(),
            candidacy: None,
            resigned: Vec::new(),
            buried: Vec::new(),
            keep_alives: Vec::new(),
            quit: None,
            origin: None,
            requests: 0,
        };
        let mut effects = Vec::new();
        world.engine.start(&mut effects);
        world.carry_out(effects);
        world
    }

    /// With a term begun.
    pub(super) fn leading() -> Self {
        let mut world = Self::new();
        world.elect();
        assert!(world.engine.is_leading());
        world
    }

    pub(super) fn leading_in_cluster() -> Self {
        let mut world = Self::in_cluster();
        world.elect();
        assert!(world.engine.is_leading());
        world
    }

    /// The coordinator makes this node the leader.
    pub(super) fn elect_by(&mut self, revision: i64) {
        let election = Election { coordinator: "etcd".to_owned(), revision };
        self.input(Input::Elected(self.candidacy.expect("it stands for election"), Some(election)));
    }

    /// The same without an election's place in a history.
    pub(super) fn elect(&mut self) {
        self.input(Input::Elected(self.candidacy.expect("it stands for election"), None));
    }

    /// The process dies and another takes its place over the same ledger.
    pub(super) fn crash(&mut self) {
        let ledger = std::mem::take(&mut self.ledger);
        *self = Self { requests: self.requests, ..Self::of("n2", None, self.now, ledger) };
        self.elect();
    }

    pub(super) fn input(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.engine.handle(self.now, input, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let Some(answer) = self.effect(effect) else { continue };
            let mut out = Vec::new();
            self.engine.handle(self.now, answer, &mut out);
            effects.extend(out);
        }
    }

    /// Carries it out; the answer, where there is one at once.
    fn effect(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Campaign(id) => self.candidacy = Some(id),
            Effect::KeepAlive(_, id) if self.coordinator_works => return Some(Input::KeptAlive(id)),
            Effect::KeepAlive(_, id) => self.keep_alives.push(id),
            Effect::ProveLeadership(_, id, renewing) => {
                self.renewed.extend(renewing);
                if self.coordinator_works {
                    return Some(Input::LeadershipProved(id, None));
                }
                self.questions.push(id);
            }
            Effect::LendLease(_, id, instance, _) => {
                self.loans.push((id, instance));
                if self.lends {
                    return Some(Input::LeaseLent(id, instance, self.leases_last));
                }
            }
            Effect::ReadLocks(..) | Effect::TakeLocks(..) | Effect::ReleaseLocks(..) if self.locks_work => {
                return Some(self.do_lock_call(effect));
            }
            Effect::ReadLocks(..) | Effect::TakeLocks(..) | Effect::ReleaseLocks(..) => self.lock_calls.push(effect),
            Effect::Resign(id) => self.resigned.push(id),
            Effect::Bury(instance) => self.buried.push(instance),
            Effect::Quit(why) => self.quit = Some(why),
            Effect::Call(id, call) if self.ledger_works => {
                return Some(Input::Called(id, self.ledger.call(&call, self.now.wall)));
            }
            Effect::Call(id, call) => self.calls.push((id, call)),
            Effect::Send(stream, message) => self.sent.push((stream, message)),
            Effect::Close(stream, _) => self.closed.push(stream),
            Effect::Answer(handle, answer) => {
                assert!(self.answers.insert(handle, answer).is_none(), "one answer a request");
            }
            Effect::Publish(publication) => self.published.push(publication),
            Effect::Alert(alert) => self.alerts.push(alert),
        }
        None
    }

    /// As etcd does it; which agents have leases is the test's matter.
    pub(super) fn do_lock_call(&mut self, call: Effect) -> Input {
        match call {
            Effect::ReadLocks(_, id) => {
                let held = self.locks.iter().map(|(name, holder)| HeldLock { name: *name, holder: *holder });
                Input::LocksRead(id, held.collect())
            }
            Effect::TakeLocks(_, id, locks) => {
                self.locks_taken += locks.len();
                let found = locks.iter().map(|lock| {
                    let holder = *self.locks.entry(lock.name).or_insert(lock.holder);
                    HeldLock { name: lock.name, holder }
                });
                Input::LocksTaken(
                    id,
                    found.zip(&locks).filter(|(found, lock)| found != *lock).map(|(f, _)| f).collect(),
                )
            }
            Effect::ReleaseLocks(_, id, locks) => {
                self.locks_released += locks.len();
                self.locks.retain(|name, holder| !locks.contains(&HeldLock { name: *name, holder: *holder }));
                Input::LocksReleased(id)
            }
            other => panic!("{other:?} is not about locks"),
        }
    }

    /// The coordinator does what has piled up about locks, in order.
    pub(super) fn locks_catch_up(&mut self) {
        self.locks_work = true;
        for call in std::mem::take(&mut self.lock_calls) {
            let answer = self.do_lock_call(call);
            self.input(answer);
        }
    }

    /// An agent's lease ends, and its locks with it; the leader is told.
    pub(super) fn end_lease(&mut self, agent: AgentInstance) {
        self.locks.retain(|_, holder| holder.instance != agent);
        self.input(Input::LeasesEnded(vec![agent]));
    }

    /// Time passes, waking the engine whenever it asks for it.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now.boot.saturating_add(duration);
        let mut wakes = 0;
        while let Some(at) = self.engine.next_wakeup().filter(|at| *at <= end) {
            self.skip(at.since(self.now.boot).max(Duration::from_micros(1)).min(end.since(self.now.boot)));
            self.input(Input::Wake);
            wakes += 1;
            assert!(wakes < 10_000, "the engine spins");
            if self.now.boot >= end {
                return;
            }
        }
        self.skip(end.since(self.now.boot));
        self.input(Input::Wake);
    }

    /// Somebody sets the clock, and it stays so until it is obeyed.
    pub(super) fn jump_ahead(&mut self, by: Duration) {
        self.now.wall = self.now.wall.saturating_add(by);
        self.input(Input::Wake);
        self.skip(seconds(10));
        self.input(Input::Wake);
    }

    /// Time passes and nobody looks.
    pub(super) fn skip(&mut self, duration: Duration) {
        self.now.boot = self.now.boot.saturating_add(duration);
        self.now.wall = self.now.wall.saturating_add(duration);
    }

    /// The ledger carries out what has piled up, in order.
    pub(super) fn ledger_catches_up(&mut self) {
        self.ledger_works = true;
        for (id, call) in std::mem::take(&mut self.calls) {
            let result = self.ledger.call(&call, self.now.wall);
            self.input(Input::Called(id, result));
        }
    }

    pub(super) fn answer_call(&mut self, id: CallId, result: Result<Done, Failure>) {
        self.input(Input::Called(id, result));
    }

    /// The commits that wait for the ledger.
    pub(super) fn commits(&self) -> Vec<(CallId, Arc<crate::txn::Transaction>)> {
        let commits = self.calls.iter().filter_map(|(id, call)| match call {
            Call::Commit(transaction) => Some((*id, Arc::clone(transaction))),
            Call::Survey | Call::TakeOver(_) | Call::Load { .. } | Call::LoadJob { .. } => None,
            Call::LoadChanges { .. } | Call::FindRequests(_) | Call::Purge { .. } => None,
        });
        commits.collect()
    }

    pub(super) fn begin(&mut self, request_id: Option<&str>, command: Command) -> RequestHandle {
        self.requests += 1;
        let handle = RequestHandle(self.requests);
        let key = request_id.map(|id| RequestKey {
            namespace: "default".into(),
            method: "Test".into(),
            request_id: id.into(),
        });
        let digest = format!("{command:?}");
        let (author, origin) = ("tester".into(), self.origin.clone());
        self.input(Input::Request(handle, Request { key, is_new: false, digest, author, origin, command }));
        handle
    }

    pub(super) fn request(&mut self, command: Command) -> Result<Answer, Refusal> {
        let handle = self.begin(None, command);
        self.answers.remove(&handle).expect("the ledger works, so there is an answer")
    }

    pub(super) fn create(&mut self, job_id: &str, definition: Definition) -> Job {
        let create = Command::CreateJob { job: key(job_id), definition: Box::new(definition), validate_only: false };
        match self.request(create).unwrap() {
            Answer::Job(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn trigger(&mut self, job_id: &str) -> Run {
        match self.request(trigger(job_id)).unwrap() {
            Answer::Run(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    /// An agent says Hello, has nothing, and beats.
    pub(super) fn join(&mut self, stream: u64, hello: Hello) {
        self.input(Input::Hello(StreamId(stream), hello));
        self.heard(stream, FromAgent::Inventory(Inventory::default()));
        self.heard(stream, FromAgent::Heartbeat { n: 1, sent_time: None });
    }

    pub(super) fn heard(&mut self, stream: u64, message: FromAgent) {
        self.input(Input::FromAgent(StreamId(stream), message));
    }

    /// Time passes while the agents beat.
    pub(super) fn pass_beating(&mut self, seconds: u64, streams: &[u64]) {
        for n in 0..seconds * 2 {
            for stream in streams {
                self.heard(*stream, FromAgent::Heartbeat { n: 100 + n, sent_time: None });
            }
            self.pass(Duration::from_millis(500));
        }
    }

    pub(super) fn report(&mut self, stream: u64, attempt: AttemptId, sequence: u64, event: ReportEvent) {
        let report = Report { attempt, sequence, time: self.now.wall, event };
        self.heard(stream, FromAgent::Reports(vec![report]));
    }

    pub(super) fn finish(&mut self, stream: u64, attempt: AttemptId, outcome: Outcome) {
        self.report(stream, attempt, 2, ReportEvent::Finished(finished(outcome)));
    }

    /// Attempts sent since last asked.
    pub(super) fn assigned(&mut self) -> Vec<(StreamId, Assign)> {
        let mut assigned = Vec::new();
        self.sent.retain(|(stream, message)| match message {
            ToAgent::Assign(batch) => {
                assigned.extend(batch.iter().map(|assign| (*stream, assign.clone())));
                false
            }
            _ => true,
        });
        assigned
    }

    /// Takes what is assigned and reports success at once; tokens must grow.
    pub(super) fn execute_all(&mut self) -> usize {
        let assigned = self.assigned();
        let mut last = FencingToken(0);
        for (stream, assign) in &assigned {
            assert!(assign.fencing_token > last);
            last = assign.fencing_token;
            self.finish(stream.0, assign.attempt, Outcome::Succeeded);
        }
        assigned.len()
    }

    pub(super) fn rows(&self, state: RunState) -> Vec<Run> {
        self.ledger.runs.values().filter(|run| run.state == state).cloned().collect()
    }
}

pub(super) fn trigger(job_id: &str) -> Command {
    Command::TriggerJob { job: key(job_id), payload: None, labels: BTreeMap::new(), not_before: None }
}

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
