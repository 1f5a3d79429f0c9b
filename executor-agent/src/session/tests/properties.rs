//! What holds after any sequence of inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::report::Event;
use punctual_proto::v1::server_message::Message as ToAgent;
use punctual_proto::v1::{Assign, Cancel, Redirect, Report, Revoke};

use super::rig::{Rig, TTL, assign, config, key, sent};
use crate::session::{AttemptKey, Effect, Input, StreamId};
use crate::time::{Boot, Wall};

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Freeze(u64),
    Open,
    /// Its epoch, counted from the highest so far.
    Welcome(Option<i64>),
    Confirm,
    /// Its epoch likewise.
    Assign {
        run: u128,
        epoch: i64,
        ahead_ms: i64,
    },
    Finish(u128),
    Cancel(u128),
    Revoke(u128),
    AckAll,
    Break,
    Redirect,
}

fn step() -> impl Strategy<Value = Step> {
    let run = 1..6u128;
    let welcome = prop_oneof![6 => (0..2i64).prop_map(Some), 1 => Just(Some(-1)), 1 => Just(None)];
    let epoch = prop_oneof![8 => Just(0), 1 => Just(-1), 1 => Just(1)];
    let ahead = prop_oneof![Just(0), 0..800i64];
    prop_oneof![
        3 => (0..4_000u64).prop_map(Step::Pass),
        1 => (0..15_000u64).prop_map(Step::Freeze),
        4 => Just(Step::Open),
        4 => welcome.prop_map(Step::Welcome),
        6 => Just(Step::Confirm),
        8 => (run.clone(), epoch, ahead).prop_map(|(run, epoch, ahead_ms)| Step::Assign { run, epoch, ahead_ms }),
        4 => run.clone().prop_map(Step::Finish),
        1 => run.clone().prop_map(Step::Cancel),
        1 => run.prop_map(Step::Revoke),
        4 => Just(Step::AckAll),
        1 => Just(Step::Break),
        1 => Just(Step::Redirect),
    ]
}

/// What physically happens, kept apart from the session.
struct World {
    rig: Rig,
    stream: Option<StreamId>,
    starts: BTreeMap<AttemptKey, u32>,
    running: BTreeSet<AttemptKey>,
    /// Ended, and its last report not acknowledged.
    unreported: BTreeSet<AttemptKey>,
    unacknowledged: Vec<Report>,
    beats: BTreeMap<i64, Boot>,
    /// When the leader could give the attempts away: a TTL after the last confirmed heartbeat was sent.
    gone_at: Boot,
    /// What Welcomes and Assigns count from.
    epoch: i64,
    highest: i64,
    froze: bool,
}

impl World {
    fn new() -> Self {
        Self {
            rig: Rig::new(config(&["s1", "s2"])),
            stream: None,
            starts: BTreeMap::new(),
            running: BTreeSet::new(),
            unreported: BTreeSet::new(),
            unacknowledged: Vec::new(),
            beats: BTreeMap::new(),
            gone_at: Boot(0),
            epoch: 5,
            highest: 0,
            froze: false,
        }
    }

    fn take(&mut self, step: Step) {
        let effects = match step {
            Step::Pass(ms) => return self.pass(Duration::from_millis(ms)),
            Step::Freeze(ms) => {
                self.rig.freeze(Duration::from_millis(ms));
                self.froze = true;
                self.rig.give(Input::Tick)
            }
            Step::Open => {
                let effects = self.rig.give(Input::Tick);
                self.note(&effects);
                let Some(stream) = self.stream else { return };
                self.rig.give(Input::Connected { stream })
            }
            Step::Welcome(epoch) => {
                let Some(stream) = self.stream else { return };
                let (before, highest) = (self.epoch, self.rig.session.highest_epoch().0);
                let epoch = epoch.map(|epoch| before + epoch);
                let effects = self.rig.welcome(stream, epoch);
                if epoch.is_some_and(|epoch| epoch < highest) {
                    assert!(sent(&effects).is_empty(), "epoch {epoch:?} was followed after {before}");
                }
                self.check_inventory(&effects);
                self.epoch = match self.rig.session.highest_epoch().0 {
                    0 => before,
                    highest => highest,
                };
                effects
            }
            Step::Confirm => {
                let Some((stream, n)) = self.stream.and_then(|stream| Some((stream, *self.rig.beats.get(&stream)?)))
                else {
                    return;
                };
                let effects = self.rig.confirm(stream);
                if effects.iter().any(|effect| matches!(effect, Effect::RunUntil(_))) {
                    self.gone_at = self.gone_at.max(self.beats[&n] + TTL);
                }
                effects
            }
            Step::Assign { run, epoch, ahead_ms } => {
                let Some(stream) = self.stream else { return };
                let epoch = self.epoch + epoch;
                let start_at = Wall(self.rig.now.wall.0 + ahead_ms * 1_000);
                self.rig.assign(stream, Assign { epoch, start_at: Some(start_at.into()), ..assign(run) })
            }
            Step::Finish(run) if self.running.contains(&key(run)) => self.end(key(run)),
            Step::Finish(_) => return,
            Step::Cancel(run) => {
                let Some(stream) = self.stream else { return };
                let cancel = Cancel { run_id: key(run).run.to_string(), attempt: 1, reason: 1 };
                self.rig.message(stream, ToAgent::Cancel(cancel))
            }
            Step::Revoke(run) => {
                let Some(stream) = self.stream else { return };
                let revoke = Revoke { run_id: key(run).run.to_string(), attempt: 1 };
                self.rig.message(stream, ToAgent::Revoke(revoke))
            }
            Step::AckAll => {
                let Some(stream) = self.stream else { return };
                let mut effects = Vec::new();
                for report in std::mem::take(&mut self.unacknowledged) {
                    effects.extend(self.rig.ack(stream, &report));
                }
                self.unreported.retain(|key| self.rig.session.attempts.contains_key(key));
                effects
            }
            Step::Break => {
                let Some(stream) = self.stream.take() else { return };
                self.rig.close(stream)
            }
            Step::Redirect => {
                let Some(stream) = self.stream else { return };
                let redirect = Redirect { leader_address: "s2".to_owned(), node_id: String::new() };
                self.rig.message(stream, ToAgent::Redirect(redirect))
            }
        };
        self.note(&effects);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.rig.now.boot + time;
        while self.rig.now.boot < end {
            let next = self.rig.session.next_wakeup().unwrap_or(end).clamp(self.rig.now.boot, end);
            let effects = self.rig.pass(next.since(self.rig.now.boot).max(Duration::from_micros(1)));
            self.note(&effects);
            self.check_right();
        }
    }

    fn end(&mut self, key: AttemptKey) -> Vec<Effect> {
        self.running.remove(&key);
        self.unreported.insert(key);
        self.rig.finish(key.run.as_u128())
    }

    fn note(&mut self, effects: &[Effect]) {
        let mut killed = Vec::new();
        for effect in effects {
            match effect {
                Effect::Connect { stream, .. } => self.stream = Some(*stream),
                Effect::Close { stream } if self.stream == Some(*stream) => self.stream = None,
                Effect::Start(task) => {
                    *self.starts.entry(task.key).or_default() += 1;
                    self.running.insert(task.key);
                    assert!(self.rig.now.boot < self.gone_at, "{} was started without right", task.key);
                }
                Effect::Kill { attempt } => killed.push(*attempt),
                Effect::Send { message, .. } => match &**message {
                    FromAgent::Heartbeat(heartbeat) => {
                        // Noted a little late at most, which makes the check of the right the stricter.
                        self.beats.entry(heartbeat.n).or_insert(self.rig.now.boot);
                    }
                    FromAgent::Reports(reports) => self.unacknowledged.extend(reports.reports.clone()),
                    _ => {}
                },
                _ => {}
            }
        }
        for key in killed {
            if self.running.contains(&key) {
                let effects = self.end(key);
                self.note(&effects);
            }
        }
    }

    /// Nothing runs past its right: while the agent is awake, all is dead before the attempts could be given away.
    fn check_right(&self) {
        let is_dead_or_allowed = self.running.is_empty() || self.rig.now.boot < self.gone_at;
        assert!(is_dead_or_allowed, "{:?} run at {:?}, {:?}", self.running, self.rig.now.boot, self.gone_at);
    }

    /// An Inventory names all that runs, and all that ended and is not acknowledged.
    fn check_inventory(&self, effects: &[Effect]) {
        let mut named = BTreeSet::new();
        let mut came = false;
        for message in sent(effects) {
            let FromAgent::Inventory(inventory) = message else { continue };
            came = true;
            named.extend(inventory.held.iter().filter_map(|held| AttemptKey::parse(&held.run_id, held.attempt)));
            let ends = inventory.reports.iter().filter(|report| matches!(report.event, Some(Event::Finished(_))));
            named.extend(ends.filter_map(|report| AttemptKey::parse(&report.run_id, report.attempt)));
        }
        if came {
            for key in self.running.iter().chain(&self.unreported) {
                assert!(named.contains(key), "the Inventory lacks {key}: it would be run again");
            }
        }
    }

    fn check(&mut self) {
        for (key, starts) in &self.starts {
            assert_eq!(*starts, 1, "{key} was started {starts} times");
        }
        if !self.froze {
            self.check_right();
        }
        let highest = self.rig.session.highest_epoch().0;
        assert!(highest >= self.highest, "the epoch went back");
        self.highest = highest;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_inputs_breaks_a_promise(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.froze = false;
            world.take(step);
            world.check();
        }
    }
}
