//! What an audit has found.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::Run;
use crate::load::Records;

/// How many findings are told in full.
const TOLD: usize = 20;

/// What there was to be found, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Verdict {
    pub(super) wrong: Wrongs,
    /// By state.
    runs: BTreeMap<String, usize>,
    pub(super) fires: usize,
    pub(super) started: usize,
    /// Of these, what the ledger knew, and does not any more.
    pub(super) forgotten: usize,
    lost: usize,
    never_started: usize,
    triggers: usize,
    edits: usize,
    pauses: usize,
    unanswered: u64,
    not_done: u64,
}

#[derive(Debug, Default)]
pub(super) struct Wrongs(Vec<String>);

impl Wrongs {
    pub(super) fn unless(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.add(what());
        }
    }

    pub(super) fn add(&mut self, what: String) {
        self.0.push(what);
    }

    #[cfg(test)]
    pub(super) fn any(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|wrong| is_it(wrong))
    }

    pub(super) fn extend(&mut self, what: impl IntoIterator<Item = String>) {
        self.0.extend(what);
    }
}

impl Verdict {
    pub(super) fn of(records: &Records) -> Self {
        Self {
            triggers: records.triggers.len(),
            edits: records.edits.len(),
            pauses: records.pauses.len(),
            unanswered: records.unanswered,
            not_done: records.not_done,
            ..Self::default()
        }
    }

    pub(super) fn count(&mut self, run: &Run) {
        *self.runs.entry(run.state.clone()).or_default() += 1;
        self.lost += run.attempts.iter().filter(|attempt| attempt.state == "LOST").count();
        self.never_started += run.attempts.iter().filter(|attempt| attempt.not_started).count();
    }

    /// How many executions the ledger knew, and does not any more.
    pub fn forgotten(&self) -> usize {
        self.forgotten
    }

    pub fn is_right(&self) -> bool {
        self.wrong.0.is_empty()
    }

    /// Prints it, and fails the test when something is wrong.
    #[track_caller]
    pub fn assert_right(&self) {
        println!("{self}");
        assert!(self.is_right(), "{} findings", self.wrong.0.len());
    }

    /// A test of crashes in which nothing was hit shows nothing.
    #[track_caller]
    pub fn assert_that_much_was_broken(&self) {
        assert!(self.lost > 20 && self.unanswered > 20, "{self}");
        for state in ["SUCCEEDED", "FAILED", "MISSED", "SKIPPED", "CANCELLED"] {
            assert!(self.runs.contains_key(state), "no run is {state}: {self}");
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { wrong, runs, fires, started, forgotten, lost, never_started, .. } = self;
        let Self { triggers, edits, pauses, unanswered, not_done, .. } = self;
        let states: Vec<String> = runs.iter().map(|(state, count)| format!("{count} {state}")).collect();
        writeln!(f, "  {fires} fires; runs: {}", states.join(", "))?;
        writeln!(
            f,
            "  {started} processes started, {forgotten} of which the ledger has forgotten; attempts at that: {lost} LOST, \
             {never_started} of which never started"
        )?;
        writeln!(
            f,
            "  {triggers} triggers, {edits} edits, {pauses} pauses; {unanswered} asked and not answered, {not_done} refused"
        )?;
        for what in wrong.0.iter().take(TOLD) {
            writeln!(f, "  WRONG: {what}")?;
        }
        match wrong.0.len() {
            0 => write!(f, "  Every fire is accounted for once, and nothing was executed twice."),
            count => write!(f, "  {count} findings."),
        }
    }
}
