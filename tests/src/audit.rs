//! The ledger, held against the schedules, and against what tasks and clients wrote down (promises 1 to 5 and 9, rule 32).

mod accounts;
mod forgotten;
mod terms;
mod told;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::load::{EDITED, Edit, Job, Load, MANUAL, PAUSED, Pause, Records, Trigger};
use crate::{Attempt, Rest, Run, Witness};
use accounts::account;
use terms::Terms;
use told::{Start, Told};

pub use forgotten::Forgotten;
pub use verdict::Verdict;
use verdict::Wrongs;

/// What is held against each other, once the load is closed.
#[derive(Clone, Copy)]
pub struct Audit<'a> {
    pub rest: &'a Rest,
    pub load: &'a Load,
    pub records: &'a Records,
    pub witness: &'a Witness,
    /// What was due before this instant has to be in the ledger.
    pub closed: DateTime<Utc>,
    pub forgotten: &'a [Forgotten],
}

impl Audit<'_> {
    pub fn verdict(&self) -> Verdict {
        let Self { rest, load, records, witness, closed, forgotten } = *self;
        let mut verdict = Verdict::of(records);
        verdict.wrong.extend(beside(rest, witness));
        let mut told = Told::read(witness, forgotten, &mut verdict.wrong);
        verdict.started = told.starts.len();
        let mut terms = Terms::default();
        for job in &load.jobs {
            let mut history = rest.history(&job.id);
            history.retain(|run| run.job_uid == job.uid);
            let pauses: &[Pause] = if job.id == PAUSED { &records.pauses } else { &[] };
            verdict.fires += account(job, &history, pauses, closed, &mut verdict.wrong);
            for run in &mut history {
                // Lists have the last attempt only.
                if run.attempt > 0 && job.is_witnessed {
                    *run = rest.run(&run.run_id);
                }
                verdict.count(run);
                terms.add(run);
            }
            let wrong = &mut verdict.wrong;
            wrong.unless(history.iter().any(Run::succeeded), || format!("{} has never run", job.id));
            if job.is_witnessed {
                compare(job, &history, &mut told, &records.edits, wrong);
            }
            match job.id.as_str() {
                MANUAL => triggered(&history, &records.triggers, wrong),
                PAUSED => nothing_was_handed_out(&history, &records.pauses, wrong),
                _ => {}
            }
        }
        terms.follow_each_other(&mut verdict.wrong);
        for (key, start) in told.starts {
            if forgotten.iter().any(|forgotten| forgotten.has(start.token)) {
                verdict.forgotten += 1;
                continue;
            }
            verdict.wrong.add(format!("executed, but not in the ledger: {key:?} {start:?}"));
        }
        verdict
    }
}

/// Promise 4. What there is to know of it is told: it is rare, and cannot be had again.
fn beside(rest: &Rest, witness: &Witness) -> Option<String> {
    let lines = witness.lines();
    let at = lines.iter().position(|line| line[0] == "beside")?;
    let job = &lines[at][1];
    let near = lines[at.saturating_sub(60)..].iter().take(70).filter(|line| line[1] == *job);
    let near: Vec<String> = near.map(|line| line.join(" ")).collect();
    let runs: BTreeSet<&str> = near.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    let runs: Vec<Run> = runs.into_iter().map(|run| rest.run(run)).collect();
    let holders = std::fs::read_to_string(format!("{}.beside", witness.path())).unwrap_or_default();
    Some(format!("two tasks in one slot at a time: {:?}\nheld by:\n{holders}\n{near:#?}\n{runs:#?}", lines[at]))
}

/// Promises 2 and 5: what was acknowledged is there, and nothing is there twice.
fn triggered(history: &[Run], triggers: &[Trigger], wrong: &mut Wrongs) {
    let mut runs: HashMap<&str, Vec<&Run>> = HashMap::new();
    for run in history {
        runs.entry(&run.labels["request"]).or_default().push(run);
    }
    for trigger in triggers {
        let entered = runs.remove(trigger.request_id.as_str()).unwrap_or_default();
        let ids: BTreeSet<String> = entered.iter().map(|run| run.run_id.clone()).collect();
        let id = &trigger.request_id;
        wrong.unless(entered.len() <= 1, || format!("{id} has entered more than one run: {entered:?}"));
        if trigger.runs.is_empty() {
            let may_be = entered.is_empty() || trigger.may_exist;
            wrong.unless(may_be, || format!("{id} was said not to be done: {entered:?}"));
        } else {
            wrong.unless(ids == trigger.runs, || format!("{id}: in the ledger {ids:?}, acknowledged {trigger:?}"));
        }
    }
    wrong.unless(runs.is_empty(), || format!("nobody asked for {runs:?}"));
}

/// Promise 9: between the answer to a pause and the request to resume.
fn nothing_was_handed_out(history: &[Run], pauses: &[Pause], wrong: &mut Wrongs) {
    for run in history {
        for attempt in run.attempts.iter().filter(|attempt| attempt.number == 1) {
            let at = attempt.create_time;
            let paused = pauses.iter().any(|pause| pause.pause.answered < at && at < pause.resume.since);
            wrong.unless(!paused, || format!("handed out while the job was paused: {run:?}"));
        }
    }
}

/// Takes away what was started of a job, and finds it in the ledger; and what the ledger says was done among it.
fn compare(job: &Job, history: &[Run], told: &mut Told, edits: &[Edit], wrong: &mut Wrongs) {
    for run in history {
        let mut starts = 0;
        for attempt in &run.attempts {
            let key = (run.run_id.clone(), attempt.number);
            if let Some(start) = told.starts.remove(&key) {
                starts += 1;
                agree(job, run, attempt, &start, wrong);
                if job.id == EDITED {
                    is_current(attempt, &start, edits, wrong);
                }
            } else {
                let succeeded = attempt.state == "SUCCEEDED";
                wrong.unless(!succeeded, || format!("never started: {attempt:?} of {run:?}"));
            }
            let ended = told.ends.contains(&key) || attempt.state != "SUCCEEDED";
            wrong.unless(ended, || format!("has not come to its end: {attempt:?} of {run:?}"));
        }
        wrong.unless(starts <= job.max_starts, || format!("started {starts} times: {run:?}"));
        let (last, earlier) = match run.attempts.split_last() {
            Some((last, earlier)) => (Some(last), earlier),
            None => (None, &[][..]),
        };
        let succeeded = last.is_some_and(|attempt| attempt.state == "SUCCEEDED");
        wrong.unless(succeeded || !run.succeeded(), || format!("succeeded without its attempt: {run:?}"));
        let needless = earlier.iter().any(|attempt| !matches!(attempt.state.as_str(), "FAILED" | "LOST" | "TIMED_OUT"));
        wrong.unless(!needless, || format!("tried again although it had not failed: {run:?}"));
    }
}

fn agree(job: &Job, run: &Run, attempt: &Attempt, start: &Start, wrong: &mut Wrongs) {
    let same = start.job_id == job.id
        && start.scheduled_time == run.scheduled_time
        && (start.token, start.slot) == (attempt.fencing_token(), attempt.slot);
    wrong.unless(same, || format!("the task says {start:?}, and the ledger {attempt:?} of {run:?}"));
    wrong.unless(start.slot < job.max_instances, || format!("no slot of this job: {attempt:?} of {run:?}"));
    wrong.unless(!attempt.not_started, || format!("has started: {attempt:?} of {run:?}"));
}

/// Promise 9: what was handed out after the answer to an edit is of the new definition.
fn is_current(attempt: &Attempt, start: &Start, edits: &[Edit], wrong: &mut Wrongs) {
    let newest = edits.iter().filter(|edit| edit.answered < attempt.create_time).map(|edit| edit.version).max();
    let current = newest <= Some(start.version);
    wrong.unless(current, || format!("version {newest:?} was acknowledged before {attempt:?}: {start:?}"));
}
