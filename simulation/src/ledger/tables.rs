//! What the ledger holds, and the constraints that the promises rest on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scheduler_core::backfill::Backfill;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{BackfillId, Epoch, FencingToken, JobUid, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{Attempt, Run};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{
    CalendarWrite, Failure, Purge, Purged, RequestKey, RequestRow, Snapshot, Survey, TakeOver, TookOver, Transaction,
};

const TOKENS_PER_EPOCH: i64 = 1 << 20;
/// What is later than this before the watermark stays (rule 10). An hour in truth: runs of the simulation last minutes,
/// and what must not go is what the next leader reads.
pub(crate) const STAYS: Duration = Duration::from_secs(20);
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) epoch: Epoch,
    pub(crate) watermark: Timestamp,
    ceiling: FencingToken,
    longest_agent_ttl: Duration,
    schedule_version: Option<String>,
    pub(crate) jobs: BTreeMap<JobUid, Job>,
    /// The latest revision before the present one, for a planted bug.
    pub(crate) jobs_before: BTreeMap<JobUid, Job>,
    pub(crate) calendars: BTreeMap<CalendarKey, Calendar>,
    pub(crate) backfills: BTreeMap<BackfillId, Backfill>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    unended: BTreeSet<RunId>,
    pub(crate) attempts: BTreeMap<(RunId, u32), Attempt>,
    /// The end of each span of instants, with its beginning.
    covered: BTreeMap<JobUid, BTreeMap<Timestamp, (Timestamp, RunId)>>,
    requests: BTreeMap<RequestKey, RequestRow>,
}

impl Tables {
    pub(crate) fn take_over(&mut self, asked: &TakeOver, clock: Timestamp, by_clock_alone: bool) -> TookOver {
        if self.epoch == Epoch::default() {
            self.watermark = clock;
        }
        let after_tokens = self.ceiling.0 / TOKENS_PER_EPOCH + 1;
        let above = (self.epoch.0 + 1).max(after_tokens);
        let planted = by_clock_alone && self.epoch != Epoch::default();
        self.epoch = Epoch(if planted { clock.as_millis() } else { above.max(clock.as_millis()) });
        self.ceiling = FencingToken::nth(self.epoch, TOKENS_PER_EPOCH - 1);
        self.longest_agent_ttl = self.longest_agent_ttl.max(asked.agent_ttl);
        self.schedule_version = Some(asked.schedule_version.clone());
        TookOver {
            epoch: self.epoch,
            watermark: self.watermark,
            token_ceiling: self.ceiling,
            longest_agent_ttl: self.longest_agent_ttl,
        }
    }

    pub(crate) fn survey(&self, clock: Timestamp) -> Survey {
        Survey { ledger_time: clock, schedule_version: self.schedule_version.clone() }
    }

    pub(crate) fn load(&self, entered_since: Timestamp) -> Snapshot {
        let mut covered = Vec::new();
        for (uid, spans) in &self.covered {
            // As by the index: rows by id, of which the latest that decides instants counts.
            let recent = spans.iter().rev().find(|(_, (_, id))| id.time() >= entered_since);
            covered.extend(recent.map(|(last, _)| (*uid, *last)));
        }
        let unended = self.unended.iter().filter_map(|id| self.runs.get(id));
        let seqs = self.jobs.values().map(|job| job.change_seq);
        let seqs = seqs.chain(self.calendars.values().map(|calendar| calendar.change_seq));
        Snapshot {
            last_change_seq: seqs.max().unwrap_or_default(),
            jobs: self.jobs.values().cloned().collect(),
            covered,
            unended: unended
                .map(|run| {
                    let later = self.attempts.get(&(run.id, run.attempt)).cloned();
                    (run.clone(), later)
                })
                .collect(),
            calendars: self.calendars.values().cloned().collect(),
            backfills: self.backfills.values().filter(|b| b.progress.closed_time.is_none()).cloned().collect(),
            unreadable: Vec::new(),
        }
    }

    pub(crate) fn load_job(&self, job: JobUid, entered_since: Timestamp) -> Snapshot {
        let mut snapshot = self.load(entered_since);
        snapshot.jobs.retain(|loaded| loaded.uid == job);
        snapshot.covered.retain(|(uid, _)| *uid == job);
        snapshot.backfills.retain(|backfill| backfill.job_uid == job);
        snapshot.unended.retain(|(run, _)| run.job_uid == job);
        snapshot
    }

    pub(crate) fn find(&self, keys: &[RequestKey]) -> Vec<RequestRow> {
        keys.iter().filter_map(|key| self.requests.get(key).cloned()).collect()
    }

    /// What the SQL refuses.
    pub(crate) fn check(&self, transaction: &Transaction, clock: Timestamp) -> Result<(), Failure> {
        let latest = transaction.watermark.map_or(transaction.decided_at, |w| w.max(transaction.decided_at));
        if latest > clock.saturating_add(MAX_CLOCK_SKEW) {
            return Err(Failure::Clock { ledger_time: clock });
        }
        for run in &transaction.entered {
            if let Some(from) = run.covers_from.filter(|_| !self.runs.contains_key(&run.id))
                && self.overlaps(run.job_uid, from, run.scheduled_time)
            {
                return Err(Failure::Conflict { job_uid: run.job_uid, scheduled_time: run.scheduled_time });
            }
        }
        Ok(())
    }

    fn overlaps(&self, uid: JobUid, from: Timestamp, last: Timestamp) -> bool {
        let Some(spans) = self.covered.get(&uid) else { return false };
        // Of spans that do not overlap, the first that ends after `from` is the only one that can be in the way first.
        spans.range(from.saturating_add(Duration::from_micros(1))..).next().is_some_and(|(_, (other, _))| *other < last)
    }

    pub(crate) fn apply(&mut self, transaction: &Transaction) {
        for run in transaction.entered.iter().chain(&transaction.updated) {
            if let Some(from) = run.covers_from {
                self.covered.entry(run.job_uid).or_default().insert(run.scheduled_time, (from, run.id));
            }
            if run.state.is_ended() {
                self.unended.remove(&run.id);
            } else {
                self.unended.insert(run.id);
            }
            self.runs.insert(run.id, run.clone());
        }
        for (run, attempt) in &transaction.attempts {
            self.attempts.insert((*run, attempt.number), attempt.clone());
        }
        for write in &transaction.jobs {
            if let Some(before) = self.jobs.insert(write.job.uid, write.job.clone())
                && before.revision < write.job.revision
            {
                self.jobs_before.insert(before.uid, before);
            }
        }
        for (uid, counts) in &transaction.counts {
            if let Some(job) = self.jobs.get_mut(uid) {
                job.counts = *counts;
            }
        }
        for write in &transaction.calendars {
            match write {
                CalendarWrite::Put(calendar) => {
                    self.calendars.insert(calendar.key.clone(), calendar.clone());
                }
                CalendarWrite::Delete(key) => {
                    self.calendars.remove(key);
                }
            }
        }
        for backfill in &transaction.backfills {
            self.backfills.entry(backfill.id).or_insert_with(|| backfill.clone());
        }
        for (id, progress) in &transaction.backfill_progress {
            if let Some(backfill) = self.backfills.get_mut(id) {
                backfill.progress = *progress;
            }
        }
        for row in &transaction.requests {
            self.requests.insert(row.key.clone(), row.clone());
        }
        self.watermark = transaction.watermark.unwrap_or(self.watermark);
        self.ceiling = transaction.token_ceiling.map_or(self.ceiling, |ceiling| self.ceiling.max(ceiling));
    }

    /// Ended runs that are old enough, and deleted jobs of which nothing is left (rule 10); and which runs those are.
    /// A planted bug goes by no watermark: see [`crate::Plant::RetentionDeletesRecentRows`].
    pub(crate) fn purge(&mut self, purge: &Purge, most: u32, spares_recent: bool) -> (Purged, Vec<RunId>) {
        let stays_from = self.watermark.saturating_sub(STAYS);
        let is_recent = |run: &Run| run.id >= RunId::at(stays_from, 0) || run.scheduled_time > stays_from;
        let old = |run: &&Run| run.state.is_ended() && !(spares_recent && is_recent(run));
        let ended_before = |run: &Run, time: Timestamp| run.end_time.is_some_and(|end| end < time);
        let runs = self.runs.values();
        let chosen: Vec<RunId> = match purge {
            Purge::Retention(kept) => {
                let kept: BTreeMap<_, _> = kept.iter().map(|kept| (kept.job, kept)).collect();
                let mut newer = BTreeMap::<JobUid, u32>::new();
                let beyond = runs.rev().filter(|run| {
                    let Some(kept) = kept.get(&run.job_uid) else { return false };
                    let newer = newer.entry(run.job_uid).or_default();
                    *newer += 1;
                    *newer > kept.max_runs || ended_before(run, kept.ended_since)
                });
                beyond.filter(old).map(|run| run.id).collect()
            }
            Purge::ExpiredJobs { deleted_until } => {
                let is_expired = |run: &&Run| self.is_expired(run.job_uid, *deleted_until);
                runs.filter(is_expired).filter(old).map(|run| run.id).collect()
            }
            Purge::Requests { before } => return (self.purge_requests(*before, most), Vec::new()),
            Purge::Asked(filter) => {
                let is_asked = |run: &&Run| {
                    run.job_key.namespace == filter.namespace
                        && filter.job_id.as_ref().is_none_or(|job_id| *job_id == run.job_key.job_id)
                        && (filter.states.is_empty() || filter.states.contains(&run.state))
                        && ended_before(run, filter.ended_before)
                };
                runs.filter(is_asked).filter(old).map(|run| run.id).collect()
            }
        };
        let mut purged = Purged { more: chosen.len() > most as usize, ..Purged::default() };
        let gone: Vec<RunId> = chosen.into_iter().take(most as usize).collect();
        for id in &gone {
            purged.runs += 1;
            let Some(run) = self.runs.remove(id) else { continue };
            for number in 1..=run.attempt {
                self.attempts.remove(&(*id, number));
            }
            if run.covers_from.is_some()
                && let Some(spans) = self.covered.get_mut(&run.job_uid)
            {
                spans.remove(&run.scheduled_time);
            }
        }
        if let Purge::ExpiredJobs { deleted_until } = purge {
            let has_runs = |uid: JobUid| self.runs.values().any(|run| run.job_uid == uid);
            let expired = self.jobs.keys().copied().filter(|uid| self.is_expired(*uid, *deleted_until));
            purged.jobs = expired.filter(|uid| !has_runs(*uid)).collect();
            purged.jobs.iter().for_each(|uid| drop(self.jobs.remove(uid)));
        }
        (purged, gone)
    }

    fn purge_requests(&mut self, before: Timestamp, most: u32) -> Purged {
        let mut old: Vec<_> = self.requests.values().filter(|row| row.time < before).collect();
        old.sort_by_key(|row| row.time);
        let old: Vec<RequestKey> = old.into_iter().take(most as usize).map(|row| row.key.clone()).collect();
        old.iter().for_each(|key| drop(self.requests.remove(key)));
        Purged { more: old.len() == most as usize, ..Purged::default() }
    }

    fn is_expired(&self, uid: JobUid, deleted_until: Timestamp) -> bool {
        self.jobs.get(&uid).and_then(|job| job.delete_time).is_some_and(|time| time <= deleted_until)
    }
}
