//! The ledger, held against the schedules and against what the tasks wrote down.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use punctual_tests::{Rest, Run, Witness};

use super::Job;

#[derive(Default)]
pub(super) struct Verdict {
    runs: BTreeMap<String, usize>,
    fires: usize,
    /// Instants of which no row says anything.
    lost: usize,
    /// Instants of which two rows say something.
    doubled: usize,
    executions: usize,
    /// Attempts that were started twice, or runs that were started again although an earlier attempt had not been lost.
    executed_twice: usize,
    /// Executions that the ledger does not know, and runs that succeeded without one.
    unknown: usize,
}

impl Verdict {
    /// `closed`: what was due before it must be in the ledger.
    pub(super) fn of(rest: &Rest, load: &[Job], witness: &Witness, closed: DateTime<Utc>) -> Self {
        let mut verdict = Self::default();
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in witness.lines() {
            told.entry(line[0].clone()).or_default().push(line[1].clone());
            verdict.executions += 1;
        }
        for job in load {
            let history = rest.history(&job.id);
            verdict.account(job, &history, closed);
            for run in &history {
                *verdict.runs.entry(run.state.clone()).or_default() += 1;
                let executed = told.remove(&run.run_id).unwrap_or_default();
                if job.is_told {
                    verdict.compare(rest, run, &executed);
                }
            }
        }
        verdict.unknown += told.len();
        verdict
    }

    fn account(&mut self, job: &Job, history: &[Run], closed: DateTime<Utc>) {
        let mut covered = BTreeSet::new();
        for run in history.iter().filter(|run| run.trigger == "SCHEDULE") {
            let mut instant = run.first();
            for _ in 0..run.coalesced_count {
                if !covered.insert(instant) {
                    self.doubled += 1;
                }
                instant += job.every;
            }
        }
        let mut instant = job.created + job.every;
        while instant <= closed {
            self.fires += 1;
            if !covered.contains(&instant) {
                self.lost += 1;
            }
            instant += job.every;
        }
    }

    fn compare(&mut self, rest: &Rest, run: &Run, executed: &[String]) {
        let attempts: BTreeSet<&String> = executed.iter().collect();
        self.executed_twice += executed.len() - attempts.len();
        if attempts.len() > 1 {
            let run = rest.run(&run.run_id);
            let was_lost = |number: &&String| {
                run.attempts.iter().any(|attempt| attempt.number.to_string() == **number && attempt.state == "LOST")
            };
            self.executed_twice += attempts.iter().filter(|number| !was_lost(number)).count().saturating_sub(1);
        }
        if run.succeeded() && executed.is_empty() {
            self.unknown += 1;
        }
    }

    pub(super) fn tell(&self) {
        let Self { runs, fires, lost, doubled, executions, executed_twice, unknown } = self;
        let states: Vec<String> = runs.iter().map(|(state, count)| format!("{count} {state}")).collect();
        println!("  {fires} fires: {lost} lost, {doubled} entered twice; runs: {}", states.join(", "));
        println!(
            "  {executions} executions written down: {executed_twice} twice, {unknown} that ledger and tasks disagree about"
        );
    }
}
