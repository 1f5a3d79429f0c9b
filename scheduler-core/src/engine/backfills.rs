//! Backfills: settled when they begin, entered as their runs end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::backfill::{Backfill, MOST_RUNS, Progress};
use crate::ids::{BackfillId, JobUid, RunId};
use crate::job::JobKey;
use crate::run::{Reason, Run, Trigger};
use crate::schedule::Compiled;
use crate::time::Timestamp;
use crate::violation::Violations;

use super::batch::{Batch, Then};
use super::config::BATCH_MAX;
use super::fires::row;
use super::input::RequestHandle;
use super::request::{Answer, Refusal};
use super::requests::Decided;
use super::term::Term;

const TICK: Duration = Duration::from_micros(1);

/// A backfill that has instants left to enter.
struct Entry {
    backfill: Backfill,
    /// Its runs that have not ended.
    unended: BTreeSet<RunId>,
}

/// The backfills in memory. One whose instants are all entered is only in the ledger.
#[derive(Default)]
pub(super) struct Backfills {
    by_id: BTreeMap<BackfillId, Entry>,
    /// Those that may have room for another run.
    to_continue: BTreeSet<BackfillId>,
}

impl Backfills {
    pub(super) fn insert(&mut self, backfill: Backfill) {
        self.to_continue.insert(backfill.id);
        self.by_id.insert(backfill.id, Entry { backfill, unended: BTreeSet::new() });
    }

    /// An unended run that an earlier leader entered.
    pub(super) fn adopt(&mut self, id: BackfillId, run: RunId) {
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.unended.insert(run);
        }
    }

    /// A run has ended, and makes room for the next.
    pub(super) fn has_ended(&mut self, id: BackfillId, run: RunId) {
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.unended.remove(&run);
            self.to_continue.insert(id);
        }
    }

    /// Those of a job that is read anew.
    pub(super) fn forget(&mut self, job: JobUid) {
        let gone = self.by_id.extract_if(.., |_, entry| entry.backfill.job_uid == job);
        let gone: Vec<BackfillId> = gone.map(|(id, _)| id).collect();
        self.to_continue.retain(|id| !gone.contains(id));
    }

    fn remove(&mut self, id: BackfillId) {
        self.by_id.remove(&id);
        self.to_continue.remove(&id);
    }
}

/// What a client asks for.
pub(super) struct Asked {
    pub(super) start_time: Timestamp,
    pub(super) end_time: Timestamp,
    pub(super) max_runs: u32,
    pub(super) concurrency: u32,
}

impl Term {
    pub(super) fn begin_backfill(
        &mut self,
        handle: RequestHandle,
        key: JobKey,
        asked: &Asked,
        validate_only: bool,
        author: String,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let now = self.now.wall;
        let entry = self.live_job(&key)?;
        if !entry.job.definition.enabled {
            return Err(Refusal::JobDisabled(key));
        }
        if entry.compiled.is_empty() || entry.compiled.after_completion().is_some() {
            return Err(Refusal::NothingToBackfill(key));
        }
        let instants = instants(&entry.compiled, asked, now).map_err(Refusal::Invalid)?;
        let progress = Progress { closed_time: instants.is_empty().then_some(now), ..Progress::default() };
        let (job_uid, job_revision) = (entry.job.uid, entry.job.revision);
        let backfill = Backfill {
            id: BackfillId::at(now, self.random.wide()),
            job_uid,
            job_key: key,
            job_revision,
            author,
            start_time: asked.start_time,
            end_time: asked.end_time,
            concurrency: asked.concurrency,
            instants,
            create_time: now,
            progress,
        };
        if validate_only {
            return Ok(Decided::Now(Ok(Answer::Backfill(Box::new(backfill)))));
        }
        let id = backfill.id;
        batch.touched.insert(job_uid);
        batch.backfills.push(backfill.clone());
        batch.then.push(Then::AnswerBackfill(handle, id));
        if progress.closed_time.is_none() {
            self.backfills.insert(backfill);
        }
        Ok(Decided::InBatch(id.to_string()))
    }

    /// Enters the next runs of the backfills that have room. Those of busy jobs are looked at again when the
    /// ledger has answered.
    pub(super) fn continue_backfills(&mut self, batch: &mut Batch) {
        let waiting: Vec<BackfillId> = self.backfills.to_continue.iter().copied().collect();
        for id in waiting {
            if batch.rows() >= BATCH_MAX {
                return;
            }
            let job = self.backfills.by_id.get(&id).and_then(|entry| self.jobs.get(entry.backfill.job_uid));
            match job {
                Some(job) if job.is_closed(batch) => {}
                Some(_) => self.continue_backfill(id, batch),
                None => self.backfills.remove(id),
            }
        }
    }

    fn continue_backfill(&mut self, id: BackfillId, batch: &mut Batch) {
        while batch.rows() < BATCH_MAX {
            let run_id = self.next_run_id();
            let Some(Entry { backfill, unended }) = self.backfills.by_id.get_mut(&id) else { return };
            let Some(job) = self.jobs.get(backfill.job_uid).map(|entry| &entry.job) else { return };
            let next = backfill.next().filter(|_| unended.len() < backfill.concurrency as usize);
            let Some(instant) = next else {
                self.backfills.to_continue.remove(&id);
                return;
            };
            let now = self.now.wall;
            // It is due from now on: of its instant's age it would go before everything else, and be past its
            // start_deadline.
            let run = Run {
                trigger: Trigger::Backfill,
                scheduled_time: instant,
                not_before: now,
                backfill_id: Some(id),
                ..row(job, run_id, now, None)
            };
            unended.insert(run_id);
            backfill.progress.entered += 1;
            if backfill.progress.entered == backfill.fires() {
                backfill.progress.closed_time = Some(now);
            }
            let progress = backfill.progress;
            batch.jobs_of_backfills.insert(id, backfill.job_uid);
            batch.backfill_progress.insert(id, progress);
            self.admit(run, batch);
            if progress.closed_time.is_some() {
                return self.backfills.remove(id);
            }
        }
    }

    /// A job that was disabled or deleted has no more of them.
    pub(super) fn drop_backfills(&mut self, uid: JobUid, batch: &mut Batch) {
        let reason = match self.jobs.get(uid) {
            Some(entry) if entry.job.delete_time.is_some() => Reason::Deleted,
            Some(entry) if !entry.job.definition.enabled => Reason::Disabled,
            _ => return,
        };
        let of_job = |(_, entry): &(&BackfillId, &Entry)| entry.backfill.job_uid == uid;
        let dropped: Vec<_> =
            self.backfills.by_id.iter().filter(of_job).map(|(id, e)| (*id, e.backfill.progress)).collect();
        for (id, progress) in dropped {
            let closed_time = Some(self.now.wall);
            batch.jobs_of_backfills.insert(id, uid);
            batch.backfill_progress.insert(id, Progress { closed_time, dropped: Some(reason), ..progress });
            self.backfills.remove(id);
        }
    }
}

/// The instants that are asked for; the work is bounded by `max_runs`, however long the span is.
fn instants(compiled: &Compiled, asked: &Asked, now: Timestamp) -> Result<Arc<[Timestamp]>, Violations> {
    let mut violations = Violations::default();
    if asked.end_time > now {
        violations
            .add("end_time", format!("{} is later than now, {now}: what is to come fires by itself", asked.end_time));
    }
    if asked.start_time >= asked.end_time {
        violations.add("start_time", "is not before the end");
    }
    violations.or(())?;
    let (after, until) = (asked.start_time.saturating_sub(TICK), asked.end_time.saturating_sub(TICK));
    let count = compiled.count(after, until, u64::from(MOST_RUNS));
    if count.fires > u64::from(asked.max_runs) || count.capped {
        let mut violations = Violations::default();
        let at_least = if count.capped { "more than " } else { "" };
        let fires = count.fires;
        violations.add("max_runs", format!("the span has {at_least}{fires} fires, and {} are allowed", asked.max_runs));
        return Err(violations);
    }
    let all = std::iter::successors(compiled.next(after), |last| compiled.next(*last));
    Ok(all.take_while(|instant| *instant <= until).take(asked.max_runs as usize).collect())
}
