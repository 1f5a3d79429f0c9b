//! The jobs in memory: their compiled schedules, the instants they have decided, their live runs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::ids::{AttemptId, JobUid, RunId};
use crate::job::{Job, JobKey};
use crate::schedule::Compiled;
use crate::time::Timestamp;
use crate::txn::CallId;

use super::batch::Batch;
use super::decide::{Span, cut, span};
use super::queue::{Candidate, Class, Rank};

pub(super) struct JobEntry {
    pub(super) job: Job,
    pub(super) compiled: Compiled,
    pub(super) class: Arc<Class>,
    /// Every instant up to here is decided, in the ledger or in a transaction in flight.
    pub(super) cursor: Timestamp,
    /// The first instant after the cursor, while the job fires.
    pub(super) next: Option<Timestamp>,
    /// Runs that have not ended.
    pub(super) live: BTreeSet<RunId>,
    /// Slots held by unended attempts.
    pub(super) slots: BTreeMap<u32, AttemptId>,
    /// How many of its candidates are in the queue: each will take a slot.
    pub(super) queued: u32,
    /// Until when its due fires wait in the queue, undecided.
    pub(super) held_until: Option<Timestamp>,
    /// Due runs for which there is no slot.
    pub(super) waiting: BTreeSet<(Rank, RunId)>,
    /// The transaction in flight that touches this job; nothing else may.
    pub(super) busy: Option<CallId>,
    /// The ledger refused something of it: each of its transactions holds one thing only.
    pub(super) doubted: bool,
    /// What came up while it was busy.
    pub(super) parked: Vec<Candidate>,
}

impl JobEntry {
    pub(super) fn new(job: Job, compiled: Compiled, cursor: Timestamp) -> Self {
        let class = Class::of(&job.definition);
        let mut entry = Self {
            job,
            compiled,
            class,
            cursor,
            next: None,
            live: BTreeSet::new(),
            slots: BTreeMap::new(),
            queued: 0,
            held_until: None,
            waiting: BTreeSet::new(),
            busy: None,
            doubted: false,
            parked: Vec::new(),
        };
        entry.find_next();
        entry
    }

    /// As the ledger has it; `covered`: the last instant that a row covers, as far as rows are told.
    pub(super) fn stored(job: Job, compiled: Compiled, watermark: Timestamp, covered: Option<Timestamp>) -> Self {
        // What passes while a job is paused or disabled is not decided by the watermark: `catch_up` may still want it.
        let cursor = if job.fires() { watermark.max(job.effective_from) } else { job.effective_from };
        let cursor = covered.map_or(cursor, |last| cursor.max(last));
        Self::new(job, compiled, cursor)
    }

    /// Sets `next` from the cursor.
    pub(super) fn find_next(&mut self) {
        let fires = self.job.fires() && self.job.fires_left() != Some(0);
        self.next = if fires { self.compiled.next(self.cursor) } else { None };
    }

    /// The instants up to `until` that nothing has been decided about.
    pub(super) fn undecided_until(&self, until: Timestamp) -> Option<Span> {
        let left = self.job.fires_left();
        let until = cut(&self.compiled, self.cursor, until, left)?;
        span(&self.compiled, self.cursor, until, left)
    }

    /// Whether the schedule is not empty and has no fire left.
    pub(super) fn is_completed(&self) -> bool {
        let spent = self.job.fires_left() == Some(0) && !self.compiled.is_empty();
        (spent || self.compiled.is_exhausted(self.cursor)) && self.live.is_empty()
    }

    /// Whether it must not be touched by this batch (any more).
    pub(super) fn is_closed(&self, batch: &Batch) -> bool {
        self.busy.is_some() || (self.doubted && batch.touched.contains(&self.job.uid))
    }

    /// Whether another attempt may be queued for a slot.
    pub(super) fn has_free_slot(&self) -> bool {
        self.slots.len() + (self.queued as usize) < self.job.definition.max_instances as usize
    }

    /// Where a candidate of this job that is due since then stands in the order of dispatch.
    pub(super) fn rank(&self, due: Timestamp) -> Rank {
        Rank::new(self.job.definition.priority, due)
    }
}

#[derive(Default)]
pub(super) struct Jobs {
    /// Boxed: half of what a node of the tree has room for is empty.
    by_uid: BTreeMap<JobUid, Box<JobEntry>>,
    /// The live job of a name, else the latest deleted one.
    by_key: BTreeMap<JobKey, JobUid>,
    /// Most jobs share theirs with many others.
    classes: BTreeSet<Arc<Class>>,
    /// Instants that nobody has looked at, the first of each job.
    pub(super) fires: BTreeSet<(Timestamp, JobUid)>,
    /// The first undecided instant of each job that is due.
    pub(super) undecided: BTreeSet<(Timestamp, JobUid)>,
}

impl Jobs {
    pub(super) fn get(&self, uid: JobUid) -> Option<&JobEntry> {
        self.by_uid.get(&uid).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, uid: JobUid) -> Option<&mut JobEntry> {
        self.by_uid.get_mut(&uid).map(Box::as_mut)
    }

    /// Those that are not deleted.
    pub(super) fn live(&self) -> impl Iterator<Item = &JobEntry> {
        self.by_uid.values().map(Box::as_ref).filter(|entry| entry.job.delete_time.is_none())
    }

    /// All, deleted ones too, by uid, each with its first instant that is not decided.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Job, Option<Timestamp>)> {
        self.by_uid.values().map(|entry| (&entry.job, entry.next))
    }

    /// All, deleted ones too, by uid.
    pub(super) fn after(&self, last: Option<JobUid>) -> impl Iterator<Item = &Job> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_uid.range((from, Bound::Unbounded)).map(|(_, entry)| &entry.job)
    }

    /// Forgets a deleted job that is not in the ledger any more.
    pub(super) fn forget(&mut self, uid: JobUid) {
        if self.by_uid.get(&uid).is_some_and(|entry| entry.job.delete_time.is_some())
            && let Some(entry) = self.by_uid.remove(&uid)
            && self.by_key.get(&entry.job.key) == Some(&uid)
        {
            self.by_key.remove(&entry.job.key);
        }
    }

    pub(super) fn uid(&self, key: &JobKey) -> Option<JobUid> {
        self.by_key.get(key).copied()
    }

    pub(super) fn insert(&mut self, mut entry: JobEntry) {
        let uid = entry.job.uid;
        let replaces = match self.by_key.get(&entry.job.key).and_then(|other| self.by_uid.get(other)) {
            None => true,
            Some(other) => other.job.delete_time.is_some_and(|other_time| {
                entry.job.delete_time.is_none_or(|time| (other_time, other.job.uid) < (time, uid))
            }),
        };
        if replaces {
            self.by_key.insert(entry.job.key.clone(), uid);
        }
        if let Some(next) = entry.next {
            self.fires.insert((next, uid));
        }
        entry.class = self.shared(entry.class);
        self.by_uid.insert(uid, Box::new(entry));
    }

    /// The same, or another version of one that is there.
    pub(super) fn put(&mut self, entry: JobEntry) {
        self.unschedule(entry.job.uid);
        self.insert(entry);
    }

    /// Nothing is to be decided of a job up to there any more.
    pub(super) fn pass(&mut self, uid: JobUid, decided: Timestamp) {
        self.unschedule(uid);
        if let Some(entry) = self.get_mut(uid) {
            entry.cursor = entry.cursor.max(decided);
        }
        self.reschedule(uid);
    }

    fn shared(&mut self, class: Arc<Class>) -> Arc<Class> {
        if let Some(known) = self.classes.get(&class) {
            return Arc::clone(known);
        }
        if self.classes.len() > self.by_uid.len() {
            // Jobs have been changed and deleted; nobody has these any more.
            self.classes.retain(|class| Arc::strong_count(class) > 1);
        }
        self.classes.insert(Arc::clone(&class));
        class
    }

    /// How many there are, deleted ones too.
    pub(super) fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Forgets it altogether; an older job of its name is found again.
    pub(super) fn remove(&mut self, uid: JobUid) {
        self.unschedule(uid);
        let Some(entry) = self.by_uid.remove(&uid) else { return };
        if self.by_key.get(&entry.job.key) != Some(&uid) {
            return;
        }
        let older = self.by_uid.values().rfind(|other| other.job.key == entry.job.key).map(|other| other.job.uid);
        match older {
            Some(older) => drop(self.by_key.insert(entry.job.key, older)),
            None => drop(self.by_key.remove(&entry.job.key)),
        }
    }

    /// Takes the job's instant out of the timers, before its cursor or definition changes.
    pub(super) fn unschedule(&mut self, uid: JobUid) {
        if let Some(next) = self.by_uid.get(&uid).and_then(|entry| entry.next) {
            self.fires.remove(&(next, uid));
            self.undecided.remove(&(next, uid));
        }
    }

    /// Finds the job's next instant and sets its timer.
    pub(super) fn reschedule(&mut self, uid: JobUid) {
        if let Some(entry) = self.by_uid.get_mut(&uid) {
            entry.find_next();
            if let Some(next) = entry.next {
                self.fires.insert((next, uid));
            }
        }
    }

    /// An instant that was taken for due goes back to the timers.
    pub(super) fn not_due_yet(&mut self, uid: JobUid) {
        if let Some(next) = self.by_uid.get(&uid).and_then(|entry| entry.next)
            && self.undecided.remove(&(next, uid))
        {
            self.fires.insert((next, uid));
        }
    }

    /// The first instant of any job that has not been decided.
    pub(super) fn first_undecided(&self) -> Option<Timestamp> {
        let due = self.undecided.first().map(|(time, _)| *time);
        let coming = self.fires.first().map(|(time, _)| *time);
        due.into_iter().chain(coming).min()
    }
}
