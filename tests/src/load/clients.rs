//! Clients that write all the while, ask again until they are told, and remember what they were told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{EDITED, MANUAL, PAUSED, Size, edited};
use crate::{Heard, Random, Rest, Witness, now};

/// Before a client asks again that was not answered.
const AGAIN_AFTER: Duration = Duration::from_millis(15);
/// How long whoever triggers waits for an answer: a request that it gives up has a number, and does no harm later.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long whoever edits and pauses waits: longer than any node is frozen, so that no node does late what was given up.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// What was asked for, and what was answered.
#[derive(Debug, Default)]
pub struct Records {
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) pauses: Vec<Pause>,
    /// How often a client could not know what became of its write.
    pub(crate) unanswered: u64,
    pub(crate) not_done: u64,
}

/// One `request_id`.
#[derive(Debug)]
pub(crate) struct Trigger {
    pub(crate) request_id: String,
    /// The runs that answers named.
    pub(crate) runs: BTreeSet<String>,
    /// A request may have been carried out without an answer.
    pub(crate) may_exist: bool,
}

/// From `answered` on nothing is handed out under an earlier version.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) version: u64,
    pub(crate) answered: DateTime<Utc>,
}

#[derive(Debug)]
pub(crate) struct Pause {
    pub(crate) pause: Asked,
    pub(crate) resume: Asked,
    pub(crate) catch_up: bool,
}

/// A write, from when it was first asked for until it was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) since: DateTime<Utc>,
    pub(crate) answered: DateTime<Utc>,
}

/// They stop with [`Self::stop`] only.
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: [JoinHandle<Records>; 3],
}

impl Clients {
    /// One that triggers, one that edits and one that pauses, each by whichever of `nodes` chance picks.
    pub fn start(nodes: &[Rest], witness: &Witness, size: Size, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut client = |patience| Client {
            nodes: nodes.iter().map(|node| node.with_patience(patience)).collect(),
            stretch: size.stretch.into(),
            stop: Arc::clone(&stop),
            random: random.fork(),
            records: Records::default(),
        };
        let (triggers, edits, pauses) = (client(PATIENCE), client(LONG_PATIENCE), client(LONG_PATIENCE));
        // Numbers that no clients before these have used.
        let first = now().timestamp_millis().cast_unsigned();
        let tasks = (first..).map({
            let witness = witness.clone();
            move |version| (version, edited(&witness, version))
        });
        Self {
            threads: [
                thread::spawn(move || triggers.trigger(first)),
                thread::spawn(|| edits.edit(tasks)),
                thread::spawn(|| pauses.pause()),
            ],
            stop,
        }
    }

    /// Each finishes what it has begun.
    pub fn stop(self) -> Records {
        self.stop.store(true, Ordering::Relaxed);
        let joined = |thread: JoinHandle<_>| thread.join().expect("because a client that panics is a failure");
        self.threads.into_iter().map(joined).fold(Records::default(), Records::and)
    }
}

impl Records {
    /// Those of clients that came one after the other are one story.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.triggers.extend(later.triggers);
        self.edits.extend(later.edits);
        self.pauses.extend(later.pauses);
        self.unanswered += later.unanswered;
        self.not_done += later.not_done;
        self
    }
}

struct Client {
    nodes: Vec<Rest>,
    stretch: u64,
    stop: Arc<AtomicBool>,
    random: Random,
    records: Records,
}

impl Client {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn rest_for(&mut self, most_ms: u64) {
        thread::sleep(Duration::from_millis(self.random.below(most_ms * self.stretch)));
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Heard {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let heard = self.nodes[node].ask(method, path, body);
        match heard {
            Heard::Done(_) => {}
            Heard::NotDone => self.records.not_done += 1,
            Heard::Nothing => self.records.unanswered += 1,
        }
        heard
    }

    fn ask_until_done(&mut self, method: &str, path: &str, body: &Value) -> Asked {
        let since = now();
        while !matches!(self.ask(method, path, body), Heard::Done(_)) {
            thread::sleep(AGAIN_AFTER);
        }
        Asked { since, answered: now() }
    }

    /// Some are asked for again although they were answered, and some are given up although they were not.
    fn trigger(mut self, first: u64) -> Records {
        let path = format!("/jobs/{MANUAL}/trigger");
        for number in first.. {
            if !self.goes_on() {
                break;
            }
            let request_id = format!("request-{number}");
            let body = json!({ "requestId": request_id, "labels": { "request": request_id } });
            let mut trigger = Trigger { request_id, runs: BTreeSet::new(), may_exist: false };
            loop {
                match self.ask("POST", &path, &body) {
                    Heard::Done(run) => {
                        trigger.runs.insert(run["runId"].as_str().expect("because a run has an id").to_owned());
                    }
                    Heard::NotDone => {}
                    Heard::Nothing => trigger.may_exist = true,
                }
                let is_answered = !trigger.runs.is_empty();
                if self.random.once_in(if is_answered { 2 } else { 12 }) {
                    break;
                }
                thread::sleep(AGAIN_AFTER);
            }
            self.records.triggers.push(trigger);
            self.rest_for(120);
        }
        self.records
    }

    fn edit(mut self, versions: impl Iterator<Item = (u64, Value)>) -> Records {
        for (version, task) in versions {
            if !self.goes_on() {
                break;
            }
            let Asked { answered, .. } =
                self.ask_until_done("PATCH", &format!("/jobs/{EDITED}"), &json!({ "task": task }));
            self.records.edits.push(Edit { version, answered });
            self.rest_for(500);
        }
        self.records
    }

    fn pause(mut self) -> Records {
        let path = format!("/jobs/{PAUSED}/action");
        while self.goes_on() {
            let pause = self.ask_until_done("POST", &path, &json!({ "action": "pause" }));
            self.rest_for(1_200);
            let catch_up = self.random.once_in(2);
            let resume = self.ask_until_done("POST", &path, &json!({ "action": "resume", "catchUp": catch_up }));
            self.records.pauses.push(Pause { pause, resume, catch_up });
            self.rest_for(800);
        }
        self.records
    }
}
