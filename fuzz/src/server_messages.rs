//! What must hold whatever bytes a server sends: the agent's session does not panic and does not spin, starts no attempt
//! twice, holds no more than its slots, and never goes back to a lower epoch.
//!
//! The bytes are steps: one byte says how much time passes, then comes a `ServerMessage` with its length before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use executor_agent::session::{Completion, Config, Effect, Input, OfferedTaskType, Session, StreamId, TaskEvent};
use executor_agent::time::{Boot, Now, Wall};
use prost::Message as _;
use punctual_proto::v1::{self, agent_message, server_message::Message};

/// Whom Assigns must name. Its bytes are the same in every hexadecimal digit, so that chance finds it.
pub(crate) const INSTANCE: uuid::Uuid = uuid::Uuid::from_u128(0x1111_1111_1111_1111_1111_1111_1111_1111);
const SLOTS: usize = 4;
/// A step of time, by the step's first byte.
const STEP: Duration = Duration::from_millis(40);
/// Wake-ups at one instant that are still no spinning.
const WAKEUPS: usize = 1_000;

pub(crate) fn check(mut data: &[u8]) {
    let mut world = World::new();
    world.connect();
    while let Some((time, rest)) = data.split_first() {
        data = rest;
        world.pass(STEP * u32::from(*time));
        let Ok(message) = v1::ServerMessage::decode_length_delimited(&mut data) else { return };
        if let Some(message) = message.message {
            world.connect();
            world.say(message);
        }
    }
    world.pass(Duration::from_secs(60));
}

struct World {
    session: Session,
    now: Now,
    /// Whether each stream has been connected.
    streams: BTreeMap<StreamId, bool>,
    /// Number of the last heartbeat.
    beat: i64,
    started: BTreeSet<String>,
    epoch: i64,
}

impl World {
    fn new() -> Self {
        let offered = |name: &str| OfferedTaskType { name: name.to_owned(), payload_schema: None, in_process: false };
        let config = Config {
            servers: vec!["a".to_owned(), "b".to_owned()],
            agent_id: "a".to_owned(),
            instance: INSTANCE,
            version: String::new(),
            labels: BTreeMap::new(),
            queues: vec!["default".to_owned()],
            task_types: vec![offered("noop")],
            slots: SLOTS,
            instances_proved_gone: Vec::new(),
            seed: 1,
        };
        let boot = Boot(1_000_000_000);
        Self {
            session: Session::new(config),
            now: Now { wall: Wall(1_700_000_000_000_000), boot },
            streams: BTreeMap::new(),
            beat: 0,
            started: BTreeSet::new(),
            epoch: 0,
        }
    }

    /// Opens the streams that are asked for.
    fn connect(&mut self) {
        self.give(Input::Tick);
        for stream in
            self.streams.iter().filter(|(_, is_open)| !**is_open).map(|(stream, _)| *stream).collect::<Vec<_>>()
        {
            self.streams.insert(stream, true);
            self.give(Input::Connected { stream });
        }
    }

    /// The newest stream's server says something. A confirmation is of the last heartbeat, or chance would never find one.
    fn say(&mut self, mut message: Message) {
        let Some(stream) = self.streams.keys().next_back().copied() else { return };
        if let Message::HeartbeatConfirmed(confirmed) = &mut message {
            confirmed.n = self.beat;
        }
        self.give(Input::Message { stream, message: Box::new(message) });
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.boot + time;
        while let Some(at) = self.session.next_wakeup().filter(|at| *at <= end) {
            self.go_to(at.max(self.now.boot + Duration::from_micros(1)));
            self.give(Input::Tick);
        }
        self.go_to(end);
        self.give(Input::Tick);
    }

    fn go_to(&mut self, boot: Boot) {
        let boot = boot.max(self.now.boot);
        let micros = i64::try_from(boot.since(self.now.boot).as_micros()).expect("because a test is short");
        self.now = Now { wall: Wall(self.now.wall.0 + micros), boot };
    }

    /// Gives an input, and the wake-ups that are due at once.
    fn give(&mut self, input: Input) {
        let effects = self.session.handle(self.now, input);
        self.take(effects);
        let mut wakeups = 0;
        while self.session.next_wakeup().is_some_and(|at| at <= self.now.boot) {
            let effects = self.session.handle(self.now, Input::Tick);
            self.take(effects);
            wakeups += 1;
            assert!(wakeups < WAKEUPS, "the session spins");
        }
        assert!(self.session.held().count() <= SLOTS, "more than the slots are held");
        let epoch = self.session.highest_epoch().0;
        assert!(epoch >= self.epoch, "from epoch {} back to {epoch}", self.epoch);
        self.epoch = epoch;
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Connect { stream, .. } => {
                    self.streams.insert(stream, false);
                }
                Effect::Close { stream } => {
                    self.streams.remove(&stream);
                }
                Effect::Start(task) => assert!(self.started.insert(task.key.to_string()), "{} again", task.key),
                Effect::Kill { attempt } => {
                    let event = TaskEvent::Finished(Completion::success(""));
                    let effects = self.session.handle(self.now, Input::Task { attempt, event });
                    self.take(effects);
                }
                Effect::Send { message, .. } => {
                    if let agent_message::Message::Heartbeat(heartbeat) = *message {
                        self.beat = heartbeat.n;
                    }
                }
                Effect::Cancel { .. }
                | Effect::RunUntil(_)
                | Effect::ProofsTaken
                | Effect::Say(_)
                | Effect::Abort { .. }
                | Effect::Exit => {}
            }
        }
    }
}
