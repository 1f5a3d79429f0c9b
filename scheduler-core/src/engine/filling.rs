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
use super::term::Term;

/// Jobs or runs that are taken in at a time: some milliseconds' worth.
const SLICE: usize = 1_000;

pub(super) struct Filling {
    term: Box<Term>,
    watermark: Timestamp,
    covered: BTreeMap<JobUid, Timestamp>,
    jobs: IntoIter<Job>,
    unended: IntoIter<(Run, Option<Attempt>)>,
    unreadable: Vec<Unreadable>,
    /// What is told when the term begins.
    took_over: Alert,
}

impl Filling {
    pub(super) fn new(mut term: Term, watermark: Timestamp, snapshot: Snapshot, out: &mut Vec<Effect>) -> Self {
        let (jobs, unended_runs) = (snapshot.jobs.len(), snapshot.unended.len());
        for calendar in snapshot.calendars {
            let key = calendar.key.clone();
            if let Err(why) = term.calendars.insert(calendar) {
                out.push(Effect::Alert(Alert::UnusableCalendar { calendar: key, why }));
            }
        }
        term.agents.cordons = snapshot.cordons.into_iter().collect();
        for backfill in snapshot.backfills {
            term.backfills.insert(backfill);
        }
        Self {
            took_over: Alert::TookOver { epoch: term.epoch, jobs, unended_runs },
            term: Box::new(term),
            watermark,
            covered: snapshot.covered.into_iter().collect(),
            jobs: snapshot.jobs.into_iter(),
            unended: snapshot.unended.into_iter(),
            unreadable: snapshot.unreadable,
        }
    }

    /// Takes a slice in; whether nothing is left.
    pub(super) fn goes_on(&mut self, now: Now, out: &mut Vec<Effect>) -> bool {
        let term = &mut self.term;
        term.now = now;
        let mut room = SLICE;
        for job in self.jobs.by_ref().take(room) {
            let covered = self.covered.get(&job.uid).copied();
            out.extend(term.take_job(job, self.watermark, covered).map(Effect::Alert));
            room -= 1;
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
        for row in self.unreadable {
            out.push(Effect::Alert(term.pass_over(row)));
        }
        for uid in term.jobs.live().map(|entry| entry.job.uid).collect::<Vec<_>>() {
            term.may_be_complete(uid);
        }
        out.push(Effect::Alert(self.took_over));
        term
    }
}
