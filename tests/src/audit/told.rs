//! What the tasks have said themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::forgotten::Forgotten;
use super::verdict::Wrongs;
use crate::Witness;

/// What a task said when it started.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) job_id: String,
    pub(super) scheduled_time: DateTime<Utc>,
    pub(super) token: u64,
    pub(super) slot: u64,
    pub(super) version: u64,
}

/// Run and attempt.
pub(super) type Key = (String, u32);

/// The witness's lines.
pub(super) struct Told {
    pub(super) starts: HashMap<Key, Start>,
    pub(super) ends: BTreeSet<Key>,
    /// The last of each job and slot, in the order in which tasks started.
    tokens: BTreeMap<(String, u64), u64>,
    /// The run of each fire.
    fires: HashMap<(String, DateTime<Utc>), String>,
}

impl Told {
    pub(super) fn read(witness: &Witness, forgotten: &[Forgotten], wrong: &mut Wrongs) -> Self {
        let mut told =
            Self { starts: HashMap::new(), ends: BTreeSet::new(), tokens: BTreeMap::new(), fires: HashMap::new() };
        for line in witness.lines() {
            let key = (line[2].clone(), line[3].parse().expect("a number"));
            match line[0].as_str() {
                "start" => told.take_start(key, &line, forgotten, wrong),
                "end" => {
                    let started = told.starts.contains_key(&key);
                    wrong.unless(started, || format!("ended without having started: {line:?}"));
                    wrong.unless(told.ends.insert(key), || format!("ended twice: {line:?}"));
                }
                // Whoever is beside another says so before anything else.
                "beside" => {}
                other => wrong.add(format!("no word of a task: {other}")),
            }
        }
        told
    }

    fn take_start(&mut self, key: Key, line: &[String], forgotten: &[Forgotten], wrong: &mut Wrongs) {
        let number = |at: usize| line[at].parse().expect("a number");
        let start = Start {
            job_id: line[1].clone(),
            scheduled_time: line[4].parse().expect("RFC 3339"),
            token: number(5),
            slot: number(6),
            version: number(7),
        };
        let last = self.tokens.insert((start.job_id.clone(), start.slot), start.token);
        wrong.unless(last < Some(start.token), || format!("tokens do not grow: {last:?}, then {line:?}"));
        let fire = (start.job_id.clone(), start.scheduled_time);
        let may_run_again = forgotten.iter().any(|forgotten| forgotten.may_run_again && forgotten.has(start.token));
        if !may_run_again && let Some(run) = self.fires.insert(fire, key.0.clone()) {
            wrong.unless(run == key.0, || format!("a fire was executed as two runs: {run}, {line:?}"));
        }
        let other = self.starts.insert(key, start);
        wrong.unless(other.is_none(), || format!("started twice: {other:?}, {line:?}"));
    }
}
