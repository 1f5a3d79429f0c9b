//! Clients that write all the while, ask again until they are told, and remember what they were told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_tests::{Heard, Random, Rest, Witness, now};
use serde_json::{Value, json};

use super::load::{EDITED, MANUAL, PAUSED, edited};

/// Before a client asks a server again that did not answer.
const AGAIN_AFTER: Duration = Duration::from_millis(15);

/// What was asked for, and what was answered.
pub(super) struct Records {
    pub(super) triggers: Vec<Trigger>,
    pub(super) edits: Vec<Edit>,
    pub(super) pauses: Vec<Pause>,
    /// How often a client could not know what became of its write.
    pub(super) unanswered: u64,
    pub(super) not_done: u64,
}

/// One `request_id`.
pub(super) struct Trigger {
    pub(super) request_id: String,
    /// The runs that answers named.
    pub(super) runs: BTreeSet<String>,
    /// A request may have been carried out without an answer.
    pub(super) may_exist: bool,
}

/// From `answered` on nothing is handed out under an earlier version.
pub(super) struct Edit {
    pub(super) version: u64,
    pub(super) answered: DateTime<Utc>,
}

pub(super) struct Pause {
    pub(super) pause: Asked,
    pub(super) resume: Asked,
    pub(super) catch_up: bool,
}

/// A write, from when it was first asked for until it was acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) since: DateTime<Utc>,
    pub(super) answered: DateTime<Utc>,
}

pub(super) struct Clients {
    stop: Arc<AtomicBool>,
    threads: [JoinHandle<Records>; 3],
}

impl Clients {
    pub(super) fn start(rest: &Rest, witness: &Witness, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |random| Client { rest: rest.clone(), stop: Arc::clone(&stop), random, records: Records::none() };
        let [triggers, edits, pauses] = [(); 3].map(|()| client(random.fork()));
        let tasks = (1..).map({
            let witness = witness.clone();
            move |version| (version, edited(&witness, version))
        });
        Self {
            threads: [
                thread::spawn(|| triggers.trigger()),
                thread::spawn(|| edits.edit(tasks)),
                thread::spawn(|| pauses.pause()),
            ],
            stop,
        }
    }

    /// Each finishes what it has begun.
    pub(super) fn stop(self) -> Records {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("because a client that panics is a failure")).fold(
            Records::none(),
            |mut all, one| {
                all.triggers.extend(one.triggers);
                all.edits.extend(one.edits);
                all.pauses.extend(one.pauses);
                all.unanswered += one.unanswered;
                all.not_done += one.not_done;
                all
            },
        )
    }
}

impl Records {
    fn none() -> Self {
        Self { triggers: Vec::new(), edits: Vec::new(), pauses: Vec::new(), unanswered: 0, not_done: 0 }
    }
}

struct Client {
    rest: Rest,
    stop: Arc<AtomicBool>,
    random: Random,
    records: Records,
}

impl Client {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn rest_for(&mut self, most_ms: u64) {
        thread::sleep(Duration::from_millis(self.random.below(most_ms)));
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Heard {
        let heard = self.rest.ask(method, path, body);
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
    fn trigger(mut self) -> Records {
        let path = format!("/jobs/{MANUAL}/trigger");
        for number in 0.. {
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
