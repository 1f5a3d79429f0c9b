//! The ledger, held against what tasks and clients wrote down.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use punctual_tests::{Attempt, Rest, Run, Witness};

use super::accounts::assert_accounted;
use super::clients::{Edit, Pause, Records, Trigger};
use super::load::{EDITED, Job, Load, MANUAL, PAUSED};

/// What there was to be found.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "all of it is for people to read")]
pub(super) struct Seen {
    runs: BTreeMap<String, usize>,
    started: usize,
    lost: usize,
    never_started: usize,
    triggers: usize,
    edits: usize,
    pauses: usize,
    unanswered: u64,
    not_done: u64,
}

impl Seen {
    /// A test of crashes in which nothing was hit shows nothing.
    #[track_caller]
    pub(super) fn assert_that_much_was_broken(&self) {
        assert!(self.lost > 20 && self.unanswered > 20, "{self:?}");
        for state in ["SUCCEEDED", "FAILED", "MISSED", "SKIPPED", "CANCELLED"] {
            assert!(self.runs.contains_key(state), "no run is {state}: {self:?}");
        }
    }
}

#[track_caller]
pub(super) fn check(rest: &Rest, load: &Load, records: &Records, witness: &Witness, closed: DateTime<Utc>) -> Seen {
    assert_alone(rest, witness);
    let mut told = Told::read(witness);
    let mut seen = Seen {
        started: told.starts.len(),
        triggers: records.triggers.len(),
        edits: records.edits.len(),
        pauses: records.pauses.len(),
        unanswered: records.unanswered,
        not_done: records.not_done,
        ..Seen::default()
    };
    for job in &load.jobs {
        let mut history = rest.history(&job.id);
        let pauses: &[Pause] = if job.id == PAUSED { &records.pauses } else { &[] };
        assert_accounted(job, &history, pauses, closed);
        for run in &mut history {
            // Lists have the last attempt only.
            if run.attempt > 0 && job.is_witnessed {
                *run = rest.run(&run.run_id);
            }
            *seen.runs.entry(run.state.clone()).or_default() += 1;
            seen.lost += run.attempts.iter().filter(|attempt| attempt.state == "LOST").count();
            seen.never_started += run.attempts.iter().filter(|attempt| attempt.not_started).count();
        }
        assert!(history.iter().any(Run::succeeded), "{} has never run", job.id);
        if job.is_witnessed {
            told.assert_that_of(job, &history, &records.edits);
        }
        match job.id.as_str() {
            MANUAL => assert_triggered(&history, &records.triggers),
            PAUSED => assert_nothing_was_handed_out(&history, &records.pauses),
            _ => {}
        }
    }
    assert!(told.starts.is_empty(), "executed, but not in the ledger: {:?}", told.starts);
    seen
}

/// Promise 4. What there is to know of it is told: it is rare, and cannot be had again.
#[track_caller]
fn assert_alone(rest: &Rest, witness: &Witness) {
    let lines = witness.lines();
    let Some(at) = lines.iter().position(|line| line[0] == "beside") else { return };
    let job = &lines[at][1];
    let near = lines[at.saturating_sub(60)..].iter().take(70).filter(|line| line[1] == *job);
    let near: Vec<String> = near.map(|line| line.join(" ")).collect();
    let runs: BTreeSet<&str> = near.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    let runs: Vec<Run> = runs.into_iter().map(|run| rest.run(run)).collect();
    let holders = std::fs::read_to_string(format!("{}.beside", witness.path())).unwrap_or_default();
    panic!("two tasks in one slot at a time: {:?}\nheld by:\n{holders}\n{near:#?}\n{runs:#?}", lines[at]);
}

/// Promises 2 and 5: what was acknowledged is there, and nothing is there twice.
#[track_caller]
fn assert_triggered(history: &[Run], triggers: &[Trigger]) {
    let mut runs: HashMap<&str, Vec<&Run>> = HashMap::new();
    for run in history {
        runs.entry(&run.labels["request"]).or_default().push(run);
    }
    for trigger in triggers {
        let entered = runs.remove(trigger.request_id.as_str()).unwrap_or_default();
        let ids: BTreeSet<String> = entered.iter().map(|run| run.run_id.clone()).collect();
        let id = &trigger.request_id;
        assert!(entered.len() <= 1, "{id} has entered more than one run: {entered:?}");
        if trigger.runs.is_empty() {
            assert!(entered.is_empty() || trigger.may_exist, "{id} was said not to be done: {entered:?}");
        } else {
            assert_eq!(ids, trigger.runs, "{id}: the ledger, and what was acknowledged");
        }
    }
    assert!(runs.is_empty(), "nobody asked for {runs:?}");
}

/// Promise 9: between the answer to a pause and the request to resume.
#[track_caller]
fn assert_nothing_was_handed_out(history: &[Run], pauses: &[Pause]) {
    for run in history {
        for attempt in run.attempts.iter().filter(|attempt| attempt.number == 1) {
            let at = attempt.create_time;
            let paused = pauses.iter().any(|pause| pause.pause.answered < at && at < pause.resume.since);
            assert!(!paused, "handed out while the job was paused: {run:?}");
        }
    }
}

/// What a task said when it started.
#[derive(Debug)]
struct Start {
    job_id: String,
    scheduled_time: DateTime<Utc>,
    token: u64,
    slot: u64,
    version: u64,
}

/// Run and attempt.
type Key = (String, u32);

/// The witness's lines.
struct Told {
    starts: HashMap<Key, Start>,
    ends: BTreeSet<Key>,
    /// Of each job and slot, in the order in which tasks started.
    tokens: BTreeMap<(String, u64), Vec<u64>>,
}

impl Told {
    #[track_caller]
    fn read(witness: &Witness) -> Self {
        let mut told = Self { starts: HashMap::new(), ends: BTreeSet::new(), tokens: BTreeMap::new() };
        for line in witness.lines() {
            let key = (line[2].clone(), line[3].parse().expect("a number"));
            match line[0].as_str() {
                "start" => told.take_start(key, &line),
                "end" => {
                    assert!(told.starts.contains_key(&key), "ended without having started: {line:?}");
                    assert!(told.ends.insert(key), "ended twice: {line:?}");
                }
                other => panic!("no word of a task: {other}"),
            }
        }
        told
    }

    #[track_caller]
    fn take_start(&mut self, key: Key, line: &[String]) {
        let number = |at: usize| line[at].parse().expect("a number");
        let start = Start {
            job_id: line[1].clone(),
            scheduled_time: line[4].parse().expect("RFC 3339"),
            token: number(5),
            slot: number(6),
            version: number(7),
        };
        let tokens = self.tokens.entry((start.job_id.clone(), start.slot)).or_default();
        assert!(tokens.last() < Some(&start.token), "tokens do not grow: {tokens:?}, then {line:?}");
        tokens.push(start.token);
        let other = self.starts.insert(key, start);
        assert!(other.is_none(), "started twice: {other:?}, {line:?}");
    }

    /// Takes away what was started of a job, and finds it in the ledger; and what the ledger says was done among it.
    #[track_caller]
    fn assert_that_of(&mut self, job: &Job, history: &[Run], edits: &[Edit]) {
        for run in history {
            let mut starts = 0;
            for attempt in &run.attempts {
                let key = (run.run_id.clone(), attempt.number);
                match self.starts.remove(&key) {
                    Some(start) => {
                        starts += 1;
                        assert_same(job, run, attempt, &start);
                        if job.id == EDITED {
                            assert_current(attempt, &start, edits);
                        }
                    }
                    None => assert_ne!(attempt.state, "SUCCEEDED", "never started: {attempt:?} of {run:?}"),
                }
                let ended = self.ends.contains(&key);
                assert!(ended || attempt.state != "SUCCEEDED", "has not come to its end: {attempt:?} of {run:?}");
            }
            assert!(starts <= job.max_starts, "started {starts} times: {run:?}");
            let last = run.attempts.last().map(|attempt| attempt.state.as_str());
            assert!(!run.succeeded() || last == Some("SUCCEEDED"), "{run:?}");
        }
    }
}

#[track_caller]
fn assert_same(job: &Job, run: &Run, attempt: &Attempt, start: &Start) {
    assert_eq!(start.job_id, job.id, "{run:?}");
    assert_eq!(start.scheduled_time, run.scheduled_time, "{run:?}");
    assert_eq!((start.token, start.slot), (attempt.fencing_token(), attempt.slot), "{attempt:?} of {run:?}");
    assert!(start.slot < job.max_instances, "{attempt:?} of {run:?}");
    assert!(!attempt.not_started, "has started: {attempt:?} of {run:?}");
}

/// Promise 9: what was handed out after the answer to an edit is of the new definition.
#[track_caller]
fn assert_current(attempt: &Attempt, start: &Start, edits: &[Edit]) {
    let newest = edits.iter().filter(|edit| edit.answered < attempt.create_time).map(|edit| edit.version).max();
    assert!(newest <= Some(start.version), "version {newest:?} was acknowledged before {attempt:?}: {start:?}");
}
