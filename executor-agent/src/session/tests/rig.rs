//! A session with a clock and a server that the test plays.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::server_message::Message as ToAgent;
use punctual_proto::v1::{Ack, Acks, Assign, Assignments, HeartbeatConfirmed, Hello, Inventory, Report, Welcome};
use uuid::Uuid;

use crate::session::{
    AttemptKey, Closed, Completion, Config, Effect, Input, OfferedTaskType, Session, StreamId, TaskEvent,
};
use crate::time::{Boot, Now, Wall};

pub(super) const TTL: Duration = Duration::from_secs(10);
pub(super) const INSTANCE: Uuid = Uuid::from_u128(7);
/// What the wall clock is ahead of the boot-time clock.
const WALL: i64 = 1_700_000_000_000_000;

pub(super) struct Rig {
    pub(super) session: Session,
    pub(super) now: Now,
    /// Number of the last heartbeat of each stream.
    pub(super) beats: BTreeMap<StreamId, i64>,
    last_stream: Option<StreamId>,
}

pub(super) fn config(servers: &[&str]) -> Config {
    let offered = |name: &str, in_process| OfferedTaskType { name: name.to_owned(), payload_schema: None, in_process };
    Config {
        servers: servers.iter().map(ToString::to_string).collect(),
        agent_id: "a".to_owned(),
        instance: INSTANCE,
        version: String::new(),
        labels: BTreeMap::new(),
        queues: vec!["default".to_owned()],
        task_types: vec![offered("process", false), offered("noop", true)],
        slots: 4,
        instances_proved_gone: Vec::new(),
        seed: 1,
    }
}

pub(super) fn key(run: u128) -> AttemptKey {
    AttemptKey { run: Uuid::from_u128(run), attempt: 1 }
}

/// A valid Assign under epoch 5.
pub(super) fn assign(run: u128) -> Assign {
    Assign {
        epoch: 5,
        instance: INSTANCE.to_string(),
        run_id: key(run).run.to_string(),
        attempt: 1,
        fencing_token: i64::try_from(run).expect("small"),
        task_type: "process".to_owned(),
        timeout: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        kill_grace: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..Assign::default()
    }
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        let boot = Boot(1_000_000_000);
        let now = Now { wall: Wall(WALL + boot.0), boot };
        Self { session: Session::new(config), now, beats: BTreeMap::new(), last_stream: None }
    }

    /// A rig that epoch 5 has taken on, with the right to run.
    pub(super) fn ready() -> (Self, StreamId) {
        let mut rig = Self::new(config(&["s1"]));
        let stream = rig.taken_on(5);
        (rig, stream)
    }

    /// Gives an input, and the Ticks that are due at once.
    pub(super) fn give(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = self.session.handle(self.now, input);
        while self.session.next_wakeup().is_some_and(|at| at <= self.now.boot) {
            effects.extend(self.session.handle(self.now, Input::Tick));
        }
        for effect in &effects {
            match effect {
                Effect::Connect { stream, .. } => self.last_stream = Some(*stream),
                Effect::Send { stream, message } => {
                    if let FromAgent::Heartbeat(heartbeat) = &**message {
                        self.beats.insert(*stream, heartbeat.n);
                    }
                }
                _ => {}
            }
        }
        effects
    }

    pub(super) fn message(&mut self, stream: StreamId, message: ToAgent) -> Vec<Effect> {
        self.give(Input::Message { stream, message: Box::new(message) })
    }

    /// Lets time pass, with every wake-up that the session asks for.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let end = self.now.boot + time;
        let mut effects = Vec::new();
        while let Some(at) = self.session.next_wakeup().filter(|at| *at <= end) {
            self.jump_to(at);
            effects.extend(self.give(Input::Tick));
        }
        self.jump_to(end);
        effects
    }

    /// Lets time pass as for a frozen process.
    pub(super) fn freeze(&mut self, time: Duration) {
        self.jump_to(self.now.boot + time);
    }

    fn jump_to(&mut self, boot: Boot) {
        let boot = boot.max(self.now.boot);
        self.now = Now { wall: Wall(WALL + boot.0), boot };
    }

    /// Opens the stream that the session asks for.
    pub(super) fn open(&mut self) -> StreamId {
        self.greeted().0
    }

    /// The same, with the Hello.
    pub(super) fn greeted(&mut self) -> (StreamId, Hello) {
        let stream = self.connecting();
        let said = sent(&self.give(Input::Connected { stream }));
        let Some(FromAgent::Hello(hello)) = said.into_iter().next() else { panic!("no Hello") };
        (stream, hello)
    }

    /// The stream that the session asks for, not yet open.
    pub(super) fn connecting(&mut self) -> StreamId {
        for _ in 0..100 {
            self.give(Input::Tick);
            if let Some(stream) = self.last_stream.take() {
                return stream;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("the session does not connect");
    }

    pub(super) fn welcome(&mut self, stream: StreamId, epoch: Option<i64>) -> Vec<Effect> {
        let ttl = prost_types::Duration::try_from(TTL).expect("small");
        let interval = prost_types::Duration { seconds: 1, nanos: 0 };
        let server_time = Some(self.now.wall.into());
        let welcome = Welcome {
            epoch,
            agent_ttl: Some(ttl),
            heartbeat_interval: Some(interval),
            server_time,
            ..Welcome::default()
        };
        self.message(stream, ToAgent::Welcome(welcome))
    }

    pub(super) fn confirm(&mut self, stream: StreamId) -> Vec<Effect> {
        let n = self.beats[&stream];
        self.message(stream, ToAgent::HeartbeatConfirmed(HeartbeatConfirmed { n, ..HeartbeatConfirmed::default() }))
    }

    pub(super) fn taken_on(&mut self, epoch: i64) -> StreamId {
        let stream = self.open();
        self.welcome(stream, Some(epoch));
        self.confirm(stream);
        stream
    }

    pub(super) fn assign(&mut self, stream: StreamId, assign: Assign) -> Vec<Effect> {
        self.message(stream, ToAgent::Assignments(Assignments { assignments: vec![assign] }))
    }

    pub(super) fn say(&mut self, run: u128, event: TaskEvent) -> Vec<Effect> {
        self.give(Input::Task { attempt: key(run), event })
    }

    pub(super) fn finish(&mut self, run: u128) -> Vec<Effect> {
        self.say(run, TaskEvent::Finished(Completion::success("")))
    }

    pub(super) fn close(&mut self, stream: StreamId) -> Vec<Effect> {
        self.give(Input::Closed { stream, why: Closed::Lost("broken".to_owned()) })
    }

    pub(super) fn ack(&mut self, stream: StreamId, report: &Report) -> Vec<Effect> {
        let Report { run_id, attempt, sequence, .. } = report.clone();
        let ack = Ack { run_id, attempt, sequence, refused: false };
        self.message(stream, ToAgent::Acks(Acks { reports: vec![ack], report_credits: 1, ..Acks::default() }))
    }
}

pub(super) fn sent(effects: &[Effect]) -> Vec<FromAgent> {
    let messages = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => Some((**message).clone()),
        _ => None,
    });
    messages.collect()
}

pub(super) fn reports(effects: &[Effect]) -> Vec<Report> {
    let batches = sent(effects).into_iter().filter_map(|message| match message {
        FromAgent::Reports(reports) => Some(reports.reports),
        _ => None,
    });
    batches.flatten().collect()
}

pub(super) fn inventory(effects: &[Effect]) -> Option<Inventory> {
    sent(effects).into_iter().find_map(|message| match message {
        FromAgent::Inventory(inventory) => Some(inventory),
        _ => None,
    })
}

pub(super) fn started(effects: &[Effect]) -> Vec<AttemptKey> {
    let started = effects.iter().filter_map(|effect| match effect {
        Effect::Start(task) => Some(task.key),
        _ => None,
    });
    started.collect()
}

pub(super) fn kinds(effects: &[Effect]) -> Vec<&'static str> {
    let kind = |effect: &Effect| match effect {
        Effect::Connect { .. } => "connect",
        Effect::Close { .. } => "close",
        Effect::Start(_) => "start",
        Effect::Cancel { .. } => "cancel",
        Effect::Kill { .. } => "kill",
        Effect::RunUntil(_) => "run until",
        Effect::ProofsTaken => "proofs taken",
        Effect::Say(_) => "say",
        Effect::Abort { .. } => "abort",
        Effect::Exit => "exit",
        Effect::Send { message, .. } => match **message {
            FromAgent::Hello(_) => "hello",
            FromAgent::Inventory(_) => "inventory",
            FromAgent::Heartbeat(_) => "heartbeat",
            FromAgent::Reports(_) => "reports",
            FromAgent::LogChunks(_) => "logs",
            FromAgent::Rejected(_) => "rejected",
            FromAgent::Revoked(_) => "revoked",
            FromAgent::Draining(_) => "draining",
        },
    };
    effects.iter().map(kind).filter(|kind| *kind != "say").collect()
}
