//! The jobs and calendars that a node knows. A leader's term has all of them. A node that stands by has what it has read so far,
//! so that its term begins with what has changed since (PROTOCOL.md, rule 12), and uses it for nothing else.
//!
//! What makes it the same as what is read afresh:
//! - It is complete up to a number that a leader has told: not up to one that was read, since a change with a lower number may have
//!   been on its way then.
//! - Counts of jobs change without a number. They are asked for again.
//! - Timers follow the watermark that is in the ledger, and are never ahead of it.
//! - Of rows that are gone nobody tells; and a ledger may have been replaced by an older state of itself. So the ledger says
//!   what its jobs add up to, and a memory that adds up to something else is thrown away.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::JobUid;
use crate::job::{Counts, Definition, Job};
use crate::time::Timestamp;
use crate::txn::{Changes, Known, Snapshot, Tally};

use super::calendars::Calendars;
use super::input::Alert;
use super::jobs::{JobEntry, Jobs};

pub(super) struct Memory {
    pub(super) jobs: Jobs,
    pub(super) calendars: Calendars,
    /// Jobs whose last change has a number up to this are here as that change left them; others may be.
    up_to: i64,
    /// Every fire up to here is decided.
    watermark: Timestamp,
    tally: Tally,
    deleted: BTreeSet<(Timestamp, JobUid)>,
    /// Whose definition asks for counts.
    counted: BTreeSet<JobUid>,
    /// Those that are deleted when they are completed.
    pub(super) retiring: BTreeSet<JobUid>,
    /// What a human must hear of when it leads.
    pub(super) unusable: BTreeMap<JobUid, Alert>,
}

impl Memory {
    pub(super) fn new(watermark: Timestamp) -> Self {
        Self {
            jobs: Jobs::default(),
            calendars: Calendars::default(),
            up_to: 0,
            watermark,
            tally: Tally::default(),
            deleted: BTreeSet::new(),
            counted: BTreeSet::new(),
            retiring: BTreeSet::new(),
            unusable: BTreeMap::new(),
        }
    }

    pub(super) fn up_to(&self) -> i64 {
        self.up_to
    }

    /// What a take-over need not read; `None`: it must read all.
    pub(super) fn known(&self) -> Option<Known> {
        let counted = || self.counted.iter().copied().collect();
        (self.up_to > 0).then(|| Known { up_to: self.up_to, counted: counted() })
    }

    /// Takes a page that was read above `up_to`, after every change up to `told` was in the ledger.
    pub(super) fn read(&mut self, changes: Changes, told: i64) {
        self.calendars.replace(changes.calendars);
        // What has changed since it was read has a higher number, and comes with a later page.
        let last = changes.jobs.last().map_or(told, |job| job.change_seq);
        self.up_to = if changes.more { last.min(told) } else { told };
        for job in changes.jobs {
            self.take(job, None);
        }
    }

    /// Takes a job as the ledger has it.
    pub(super) fn take(&mut self, job: Job, covered: Option<Timestamp>) {
        let uid = job.uid;
        self.unmark(uid);
        self.tally.add(job.change_seq);
        self.deleted.extend(job.delete_time.map(|time| (time, uid)));
        if asks_for_counts(&job.definition) {
            self.counted.insert(uid);
        }
        if job.definition.delete_after_completion {
            self.retiring.insert(uid);
        }
        let (compiled, why) = self.calendars.compile_stored(&job);
        if let Some(why) = why {
            self.unusable.insert(uid, Alert::UnusableSchedule { job: job.key.clone(), why });
        }
        self.jobs.put(JobEntry::stored(job, compiled, self.watermark, covered));
    }

    fn unmark(&mut self, uid: JobUid) {
        let Some(entry) = self.jobs.get(uid) else { return };
        self.tally.take_away(entry.job.change_seq);
        if let Some(time) = entry.job.delete_time {
            self.deleted.remove(&(time, uid));
        }
        self.counted.remove(&uid);
        self.retiring.remove(&uid);
        self.unusable.remove(&uid);
    }

    /// Every fire up to there is decided: the jobs that had one wait for their next.
    pub(super) fn pass(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(watermark);
        while let Some(&(_, uid)) = self.jobs.fires.first().filter(|(next, _)| *next <= self.watermark) {
            self.jobs.pass(uid, self.watermark);
        }
    }

    /// Deleted jobs go when they expire.
    pub(super) fn forget_expired(&mut self, until: Timestamp) {
        while let Some(&(_, uid)) = self.deleted.first().filter(|(time, _)| *time <= until) {
            self.unmark(uid);
            self.jobs.forget(uid);
        }
    }

    /// Whether what was read now makes it what the ledger has.
    pub(super) fn agrees_with(&mut self, snapshot: &Snapshot, watermark: Timestamp) -> bool {
        let Some(since) = &snapshot.since else { return false };
        self.forget_expired(since.expired_until);
        let mut tally = self.tally;
        for job in &snapshot.jobs {
            if let Some(known) = self.jobs.get(job.uid) {
                tally.take_away(known.job.change_seq);
            }
            tally.add(job.change_seq);
        }
        self.watermark <= watermark && tally == since.tally
    }

    /// Up to now, but for the jobs that have changed.
    pub(super) fn catch_up(
        &mut self,
        watermark: Timestamp,
        covered: &BTreeMap<JobUid, Timestamp>,
        counts: Vec<(JobUid, Counts)>,
    ) {
        for (uid, counts) in counts {
            let Some(entry) = self.jobs.get_mut(uid).filter(|entry| entry.job.counts != counts) else { continue };
            entry.job.counts = counts;
            self.jobs.unschedule(uid);
            self.jobs.reschedule(uid);
        }
        self.pass(watermark);
        for (uid, last) in covered {
            self.jobs.pass(*uid, *last);
        }
    }
}

/// Of others it is right until their next change.
fn asks_for_counts(definition: &Definition) -> bool {
    definition.schedule.max_fires.is_some() || definition.pause_after_failures > 0
}

/// What a leader knows of jobs when its term begins, by uid, each with its first instant that is not decided: as all that there is
/// makes it. What it knows that has followed the changes can be held against it.
pub fn remembered(snapshot: Snapshot, watermark: Timestamp) -> Vec<(Job, Option<Timestamp>)> {
    let covered: BTreeMap<_, _> = snapshot.covered.into_iter().collect();
    let mut memory = Memory::new(watermark);
    memory.calendars.replace(snapshot.calendars);
    for job in snapshot.jobs {
        let covered = covered.get(&job.uid).copied();
        memory.take(job, covered);
    }
    memory.jobs.all().map(|(job, next)| (job.clone(), next)).collect()
}
