//! The agent's session with its servers: everything that the agent decides.
//!
//! A sans-I/O machine: it is given inputs and the time, and answers with effects; it knows no socket, no task, no clock
//! and no chance but the seed it was made with. So the promises that rest on the agent (an attempt is started once, nothing
//! runs past the right to run, a report is kept until it is acknowledged, no lower epoch is followed) can be tested as
//! tables, as properties and in the simulation, against the very code that runs in production.
//!
//! What it does not do: run tasks (the shell does, and says so with [`TaskEvent`]s), and judge what the server orders
//! beyond those promises.

mod assignments;
mod attempt;
mod attempts;
mod config;
mod connection;
mod ids;
mod input;
mod link;
mod logs;
mod offset;
mod outbox;
mod reports;
mod right;
mod seen;
mod servers;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use self::config::{Config, OfferedTaskType};
pub use self::ids::{AttemptKey, Epoch, StreamId};
pub use self::input::{Closed, Effect, Input, Notice, TaskEvent};
pub use self::task::{Completion, Failure, Task};

use self::attempt::Attempt;
use self::link::Link;
use self::offset::Offset;
use self::right::Right;
use self::seen::Seen;
use self::servers::Servers;
use crate::time::{Boot, Now};

/// Bytes of a log chunk, at most.
pub(crate) const LOG_CHUNK: usize = 16 << 10;

/// See the module.
#[derive(Debug)]
pub struct Session {
    config: Config,
    now: Now,
    effects: Vec<Effect>,

    servers: Servers,
    links: BTreeMap<StreamId, Link>,
    /// The stream of the leader that has, or is being sent, our Inventory.
    current: Option<StreamId>,
    next_stream: u64,
    next_heartbeat: i64,
    hops: u32,
    /// Where the last Redirect led, and to which node, until there is a Welcome.
    led_to: Option<(usize, String)>,
    /// It could not be connected to.
    unreached_leader: Option<String>,
    /// A server that said nothing any more and was led to again, until there is a Welcome.
    fell_silent: Option<usize>,
    highest_epoch: Epoch,
    no_server_said: Option<Boot>,
    already_exists_said: bool,
    /// From when on the leader of the current stream needs no proof any more that earlier instances are gone.
    proofs_needed_until: Option<Boot>,

    right: Right,
    right_ending_said: bool,
    offset: Offset,

    attempts: BTreeMap<AttemptKey, Attempt>,
    seen: Seen,
    timers: BTreeSet<(Boot, AttemptKey)>,
    /// Attempts that have not ended.
    held: usize,
    /// Attempts whose last report is acknowledged and whose log is not, oldest first.
    lingering: VecDeque<AttemptKey>,
    /// Attempts that may have something to send.
    queue: VecDeque<AttemptKey>,
    /// Those whose turn came while credits lacked: an Ack puts them into the queue again.
    blocked: Vec<AttemptKey>,
    log_bytes: i64,

    draining: bool,
    /// When waiting for acknowledgements ends.
    leave_at: Option<Boot>,
    left: bool,
}

impl Session {
    /// A session that has done nothing yet; the first [`Input::Tick`] makes it connect.
    pub fn new(config: Config) -> Self {
        Self {
            servers: Servers::new(&config.servers, config.seed),
            config,
            now: Now::default(),
            effects: Vec::new(),
            links: BTreeMap::new(),
            current: None,
            next_stream: 1,
            next_heartbeat: 1,
            hops: 0,
            led_to: None,
            unreached_leader: None,
            fell_silent: None,
            highest_epoch: Epoch::default(),
            no_server_said: None,
            already_exists_said: false,
            proofs_needed_until: None,
            right: Right::default(),
            right_ending_said: false,
            offset: Offset::default(),
            attempts: BTreeMap::new(),
            seen: Seen::default(),
            timers: BTreeSet::new(),
            held: 0,
            lingering: VecDeque::new(),
            queue: VecDeque::new(),
            blocked: Vec::new(),
            log_bytes: 0,
            draining: false,
            leave_at: None,
            left: false,
        }
    }

    /// Takes one input. The time is dealt with before the input: an agent that wakes from a freeze stops what it has lost
    /// the right to before it does anything else.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        if self.left {
            return Vec::new();
        }
        // The boot-time clock does not go back; a caller that mixes up its readings must not make it.
        self.now = Now { wall: now.wall, boot: now.boot.max(self.now.boot) };
        self.pass_time();
        let is_tick = matches!(input, Input::Tick);
        match input {
            Input::Connected { stream } => self.connected(stream),
            Input::Message { stream, message } => self.received(stream, *message),
            Input::Closed { stream, why } => self.closed(stream, why),
            Input::Tick => {}
            Input::Task { attempt, event } => self.task_said(attempt, event),
            Input::Drain => self.drain(),
            Input::Stop => self.stop(),
        }
        self.keep_connected();
        if is_tick || self.queue.len() >= outbox::FULL {
            self.flush();
        }
        self.leave_when_done();
        std::mem::take(&mut self.effects)
    }

    /// When [`Input::Tick`] is due; an instant that has passed means at once. None: only an input can change anything.
    pub fn next_wakeup(&self) -> Option<Boot> {
        if self.left {
            return None;
        }
        if self.has_something_to_send() {
            return Some(self.now.boot);
        }
        let timer = self.timers.first().map(|(at, _)| *at);
        let leave_at = self.leave_at.filter(|_| self.held == 0);
        [timer, self.next_right_timer(), self.next_connection_timer(), leave_at].into_iter().flatten().min()
    }

    /// The highest epoch of any Welcome or Assign.
    pub fn highest_epoch(&self) -> Epoch {
        self.highest_epoch
    }

    /// The attempts that have not ended.
    pub fn held(&self) -> impl Iterator<Item = AttemptKey> {
        self.attempts.iter().filter(|(_, attempt)| !attempt.is_ended()).map(|(key, _)| *key)
    }

    fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn pass_time(&mut self) {
        self.stop_without_right();
        while let Some(&(at, key)) = self.timers.first()
            && at <= self.now.boot
        {
            self.timers.pop_first();
            self.timer_came(key);
        }
    }

    fn drain(&mut self) {
        if !self.draining {
            self.draining = true;
            self.say_draining();
        }
    }

    fn leave_when_done(&mut self) {
        if !self.draining || self.held > 0 {
            return;
        }
        let patience_ended = self.leave_at.is_some_and(|at| at <= self.now.boot);
        if self.attempts.is_empty() || patience_ended {
            self.left = true;
            for stream in std::mem::take(&mut self.links).into_keys() {
                self.emit(Effect::Close { stream });
            }
            self.emit(Effect::Exit);
        }
    }
}
