//! The memory of a term, made from what the ledger holds: a slice at a time, since a lease that nobody renews meanwhile would
//! end where there are many jobs.

use std::collections::BTreeMap;
use std::vec::IntoIter;

use crate::ids::JobUid;
use crate::job::Job;
use crate::run::{Attempt, Run};
use crate::time::{Now, Timestamp};
use crate::txn::{Snapshot, Unreadable};

use super::input::{Alert, Effect};
use super::memory::Memory;
use super::term::Term;

/// Jobs or runs that are taken in at a time: some milliseconds' worth.
const SLICE: usize = 1_000;

pub(super) struct Filling {
    term: Box<Term>,
    /// What the node knew before, and now learns.
    memory: Memory,
    /// All of it is the term's now.
    jobs_are_in: bool,
    covered: BTreeMap<JobUid, Timestamp>,
    jobs: IntoIter<Job>,
    /// Jobs that were read.
    read: usize,
    unended: IntoIter<(Run, Option<Attempt>)>,
    unreadable: Vec<Unreadable>,
}

impl Filling {
    pub(super) fn new(
        mut term: Term,
        mut memory: Memory,
        watermark: Timestamp,
        snapshot: Snapshot,
        out: &mut Vec<Effect>,
    ) -> Self {
        out.extend(memory.calendars.replace(snapshot.calendars).into_iter().map(Effect::Alert));
        let covered = snapshot.covered.into_iter().collect();
        memory.catch_up(watermark, &covered, snapshot.since.map(|since| since.counts).unwrap_or_default());
        term.agents.cordons = snapshot.cordons.into_iter().collect();
        for backfill in snapshot.backfills {
            term.backfills.insert(backfill);
        }
        Self {
            term: Box::new(term),
            memory,
            jobs_are_in: false,
            covered,
            read: snapshot.jobs.len(),
            jobs: snapshot.jobs.into_iter(),
            unended: snapshot.unended.into_iter(),
            unreadable: snapshot.unreadable,
        }
    }

    /// Takes a slice in; whether nothing is left.
    pub(super) fn goes_on(&mut self, now: Now) -> bool {
        let term = &mut self.term;
        term.now = now;
        let mut room = SLICE;
        for job in self.jobs.by_ref().take(room) {
            let covered = self.covered.get(&job.uid).copied();
            self.memory.take(job, covered);
            room -= 1;
        }
        if room > 0 && !self.jobs_are_in {
            self.jobs_are_in = true;
            term.jobs = std::mem::take(&mut self.memory.jobs);
            term.calendars = std::mem::take(&mut self.memory.calendars);
        }
        for (run, later) in self.unended.by_ref().take(room) {
            term.adopt(run, later);
            room -= 1;
        }
        room > 0
    }

    /// The term, filled, and what there is to be told of it.
    pub(super) fn into_term(self, out: &mut Vec<Effect>) -> Box<Term> {
        let mut term = self.term;
        out.extend(self.memory.unusable.into_values().map(Effect::Alert));
        let unended_runs = term.runs.len();
        for row in self.unreadable {
            out.push(Effect::Alert(term.pass_over(row)));
        }
        for uid in self.memory.retiring {
            term.may_be_complete(uid);
        }
        let (jobs, read) = (term.jobs.len(), self.read);
        out.push(Effect::Alert(Alert::TookOver { epoch: term.epoch, jobs, read, unended_runs }));
        term
    }
}
