//! What the ledger holds, and the constraints that the promises rest on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scheduler_core::agent::Cordon;
use scheduler_core::backfill::Backfill;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::{AgentId, BackfillId, Epoch, FencingToken, JobUid, RunId};
use scheduler_core::job::Job;
use scheduler_core::run::{Attempt, Run};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{
    CalendarWrite, Changes, CordonWrite, Election, Failure, Known, Purge, Purged, RequestKey, RequestRow, Since,
    Snapshot, Survey, TakeOver, Tally, TookOver, Transaction,
};

const TOKENS_PER_EPOCH: i64 = 1 << 20;
/// What is later than this before the watermark stays (rule 10). An hour in truth: runs of the simulation last minutes,
/// and what must not go is what the next leader reads.
pub(crate) const STAYS: Duration = Duration::from_secs(20);
/// How far ahead of the ledger's clock a leader may decide: the longest look-ahead, and what clocks may differ.
const MAX_AHEAD: Duration = Duration::from_millis(5_250);
/// Answers to numbered requests are remembered for a day.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// A deleted job can be brought back for this long.
const DELETED_JOB_EXPIRY: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Nothing of it waits, and nothing is lost: that is what the calls around it are for.
#[derive(Default)]
pub struct Tables {
    pub(crate) epoch: Epoch,
    pub(crate) watermark: Timestamp,
    ceiling: FencingToken,
    longest_agent_ttl: Duration,
    schedule_version: Option<String>,
    election: Option<Election>,
    pub(crate) jobs: BTreeMap<JobUid, Job>,
    /// The latest revision before the present one, for a planted bug.
    pub(crate) jobs_before: BTreeMap<JobUid, Job>,
    pub(crate) calendars: BTreeMap<CalendarKey, Calendar>,
    cordons: BTreeMap<AgentId, Cordon>,
    /// Of the rows that cover no instant.
    numbers: BTreeSet<(JobUid, Timestamp, i64)>,
    pub(crate) backfills: BTreeMap<BackfillId, Backfill>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    unended: BTreeSet<RunId>,
    pub(crate) attempts: BTreeMap<(RunId, u32), Attempt>,
    /// The end of each span of instants, with its beginning.
    covered: BTreeMap<JobUid, BTreeMap<Timestamp, (Timestamp, RunId)>>,
    requests: BTreeMap<RequestKey, RequestRow>,
    /// Of transactions, with their term.
    marks: BTreeSet<(Epoch, i64)>,
}

impl Tables {
    /// Refuses a leader whose term has ended.
    pub fn fence(&self, epoch: Epoch) -> Result<(), Failure> {
        if epoch == self.epoch { Ok(()) } else { Err(Failure::Deposed { current: self.epoch }) }
    }

    /// Refuses whoever was elected before the one who has taken over last.
    pub fn judge(&self, asked: &TakeOver) -> Result<(), Failure> {
        asked.comes_after(self.election.clone()).map_or(Ok(()), |later| Err(Failure::LaterElection(later)))
    }

    pub fn take_over(&mut self, asked: &TakeOver, clock: Timestamp, by_clock_alone: bool) -> TookOver {
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
        self.election.clone_from(&asked.election);
        TookOver {
            epoch: self.epoch,
            watermark: self.watermark,
            token_ceiling: self.ceiling,
            longest_agent_ttl: self.longest_agent_ttl,
        }
    }

    pub fn survey(&self, clock: Timestamp) -> Survey {
        Survey {
            ledger_time: clock,
            schedule_version: self.schedule_version.clone(),
            longest_agent_ttl: self.longest_agent_ttl,
            watermark: (self.epoch != Epoch::default()).then_some(self.watermark),
        }
    }

    pub fn load_changes(&self, above: i64, most: u32) -> Changes {
        let mut jobs: Vec<_> = self.jobs.values().filter(|job| job.change_seq > above).cloned().collect();
        jobs.sort_by_key(|job| job.change_seq);
        jobs.truncate(most as usize);
        let more = jobs.len() == most as usize;
        Changes { jobs, calendars: self.calendars.values().cloned().collect(), more, unreadable: Vec::new() }
    }

    pub fn load(&self, entered_since: Timestamp, clock: Timestamp, known: Option<&Known>) -> Snapshot {
        let expired_until = clock.saturating_sub(DELETED_JOB_EXPIRY);
        let mut snapshot = self.load_all(entered_since);
        snapshot.jobs.retain(|job| !self.is_expired(job.uid, expired_until));
        let Some(known) = known else { return snapshot };
        let mut tally = Tally::default();
        snapshot.jobs.iter().for_each(|job| tally.add(job.change_seq));
        snapshot.jobs.retain(|job| job.change_seq > known.up_to);
        let counts = known.counted.iter().filter_map(|uid| Some((*uid, self.jobs.get(uid)?.counts)));
        snapshot.since = Some(Since { counts: counts.collect(), tally, expired_until });
        snapshot
    }

    pub(crate) fn last_change(&self) -> i64 {
        let jobs = self.jobs.values().map(|job| job.change_seq);
        let calendars = self.calendars.values().map(|calendar| calendar.change_seq);
        jobs.chain(calendars).max().unwrap_or_default()
    }

    fn load_all(&self, entered_since: Timestamp) -> Snapshot {
        let mut covered = Vec::new();
        for (uid, spans) in &self.covered {
            // As by the index: rows by id, of which the latest that decides instants counts.
            let recent = spans.iter().rev().find(|(_, (_, id))| *id >= RunId::at(entered_since, 0));
            covered.extend(recent.map(|(last, _)| (*uid, *last)));
        }
        let unended = self.unended.iter().filter_map(|id| self.runs.get(id));
        Snapshot {
            last_change_seq: self.last_change(),
            jobs: self.jobs.values().cloned().collect(),
            since: None,
            covered,
            unended: unended
                .map(|run| {
                    let mut later = self.attempts.range((run.id, 0)..=(run.id, u32::MAX));
                    (run.clone(), later.next_back().map(|(_, attempt)| attempt.clone()))
                })
                .collect(),
            calendars: self.calendars.values().cloned().collect(),
            cordons: self.cordons.clone().into_iter().collect(),
            backfills: self.backfills.values().filter(|b| b.progress.closed_time.is_none()).cloned().collect(),
            unreadable: Vec::new(),
        }
    }

    pub fn load_job(&self, job: JobUid, entered_since: Timestamp) -> Snapshot {
        let mut snapshot = self.load_all(entered_since);
        snapshot.jobs.retain(|loaded| loaded.uid == job);
        snapshot.covered.retain(|(uid, _)| *uid == job);
        snapshot.backfills.retain(|backfill| backfill.job_uid == job);
        snapshot.unended.retain(|(run, _)| run.job_uid == job);
        snapshot
    }

    pub fn find(&self, keys: &[RequestKey], clock: Timestamp) -> Vec<RequestRow> {
        let found = keys.iter().filter_map(|key| self.requests.get(key));
        found.filter(|row| is_remembered(row, clock)).cloned().collect()
    }

    /// What the SQL refuses.
    pub fn check(&self, transaction: &Transaction, clock: Timestamp) -> Result<(), Failure> {
        let is_lost = |mark: &i64| !self.marks.contains(&(self.epoch, *mark));
        if let Some(mark) = transaction.confirmed.iter().copied().filter(is_lost).min() {
            return Err(Failure::WentBack { mark });
        }
        let latest = transaction.watermark.map_or(transaction.decided_at, |w| w.max(transaction.decided_at));
        if latest > clock.saturating_add(MAX_AHEAD) {
            return Err(Failure::Clock { ledger_time: clock });
        }
        let mut instants = BTreeSet::new();
        for run in transaction.entered.iter().filter(|run| run.occurrence == 0) {
            let Some(from) = run.covers_from.filter(|_| !self.runs.contains_key(&run.id)) else { continue };
            let is_double = !instants.insert((run.job_uid, run.scheduled_time));
            if is_double || self.overlaps(run.job_uid, from, run.scheduled_time) {
                return Err(Failure::Conflict { job_uid: run.job_uid, scheduled_time: run.scheduled_time });
            }
        }
        let mut numbers = BTreeSet::new();
        let others = transaction.entered.iter().filter(|run| run.occurrence != 0);
        for run in others.filter(|run| !self.runs.contains_key(&run.id)) {
            if !numbers.insert(number(run)) || self.numbers.contains(&number(run)) {
                return Err(Failure::Conflict { job_uid: run.job_uid, scheduled_time: run.scheduled_time });
            }
        }
        match self.why_refused(transaction, clock) {
            Some(why) => Err(Failure::Refused(why.to_owned())),
            None => Ok(()),
        }
    }

    fn why_refused(&self, transaction: &Transaction, clock: Timestamp) -> Option<&'static str> {
        let entered: BTreeSet<RunId> = transaction.entered.iter().map(|run| run.id).collect();
        let is_there = |id: &RunId| self.runs.contains_key(id) || entered.contains(id);
        if !transaction.updated.iter().all(|run| is_there(&run.id)) {
            return Some("a run that is updated is not there");
        }
        if !transaction.attempts.iter().all(|(run, _)| is_there(run)) {
            return Some("an attempt is of no run");
        }
        let is_other = |row: &RequestRow| {
            let known = self.requests.get(&row.key).filter(|known| is_remembered(known, clock));
            known.is_some_and(|known| (&known.digest, &known.resource) != (&row.digest, &row.resource))
        };
        if transaction.requests.iter().any(is_other) {
            return Some("a number of a request was used for another");
        }
        let is_live = |job: &&Job| job.delete_time.is_none();
        let has_name = |job: &Job| {
            let written = |uid: JobUid| transaction.jobs.iter().any(|write| write.job.uid == uid);
            let mut others = self.jobs.values().filter(is_live).filter(|other| !written(other.uid));
            others.any(|other| other.key == job.key)
        };
        let live = transaction.jobs.iter().map(|write| &write.job).filter(is_live);
        live.clone().any(has_name).then_some("two live jobs have one name")
    }

    fn overlaps(&self, uid: JobUid, from: Timestamp, last: Timestamp) -> bool {
        let Some(spans) = self.covered.get(&uid) else { return false };
        if spans.contains_key(&last) {
            return true;
        }
        // Of spans that do not overlap, the first that ends after `from` is the only one that can be in the way first.
        spans.range(from.saturating_add(Duration::from_micros(1))..).next().is_some_and(|(_, (other, _))| *other < last)
    }

    pub fn apply(&mut self, transaction: &Transaction) {
        self.marks.extend(transaction.mark.map(|mark| (self.epoch, mark)));
        for run in transaction.entered.iter().chain(&transaction.updated) {
            if let Some(from) = run.covers_from.filter(|_| run.occurrence == 0) {
                self.covered.entry(run.job_uid).or_default().insert(run.scheduled_time, (from, run.id));
            }
            if run.occurrence != 0 {
                self.numbers.insert(number(run));
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
        for CordonWrite { agent, cordon } in &transaction.cordons {
            match cordon {
                Some(cordon) => drop(self.cordons.insert(agent.clone(), cordon.clone())),
                None => drop(self.cordons.remove(agent)),
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
    /// What is later than `stays` before the watermark is spared. A planted bug goes by no watermark: see
    /// [`crate::Plant::RetentionDeletesRecentRows`].
    pub fn purge(&mut self, purge: &Purge, most: u32, stays: Option<Duration>) -> (Purged, Vec<RunId>) {
        if let Purge::Requests { before } = purge {
            return (self.purge_requests(*before, most), Vec::new());
        }
        let chosen = self.beyond(purge, stays);
        let mut purged = Purged { more: chosen.len() > most as usize, ..Purged::default() };
        let gone: Vec<RunId> = chosen.into_iter().take(most as usize).collect();
        for id in &gone {
            purged.runs += 1;
            self.forget_run(*id);
        }
        if let Purge::ExpiredJobs { deleted_until } = purge {
            let has_runs = |uid: JobUid| self.runs.values().any(|run| run.job_uid == uid);
            let expired = self.jobs.keys().copied().filter(|uid| self.is_expired(*uid, *deleted_until));
            purged.jobs = expired.filter(|uid| !has_runs(*uid)).collect();
            purged.jobs.iter().for_each(|uid| drop(self.jobs.remove(uid)));
        }
        (purged, gone)
    }

    fn forget_run(&mut self, id: RunId) {
        let Some(run) = self.runs.remove(&id) else { return };
        self.numbers.remove(&number(&run));
        let attempts: Vec<_> = self.attempts.range((id, 0)..=(id, u32::MAX)).map(|(key, _)| *key).collect();
        attempts.iter().for_each(|key| drop(self.attempts.remove(key)));
        if run.covers_from.is_some()
            && let Some(spans) = self.covered.get_mut(&run.job_uid)
        {
            spans.remove(&run.scheduled_time);
        }
    }

    /// The runs that a purge may delete, the oldest first.
    pub fn beyond(&self, purge: &Purge, stays: Option<Duration>) -> Vec<RunId> {
        let stays_from = stays.map(|stays| self.watermark.saturating_sub(stays));
        let is_recent =
            |run: &Run| stays_from.is_some_and(|from| run.id >= RunId::at(from, 0) || run.scheduled_time > from);
        let old = |run: &&Run| run.state.is_ended() && !is_recent(run);
        let ended_before = |run: &Run, time: Timestamp| run.end_time.is_some_and(|end| end < time);
        let runs = self.runs.values();
        match purge {
            Purge::Retention(kept) => {
                let kept: BTreeMap<_, _> = kept.iter().map(|kept| (kept.job, kept)).collect();
                let mut newer = BTreeMap::<JobUid, u32>::new();
                let beyond = runs.rev().filter(|run| {
                    let Some(kept) = kept.get(&run.job_uid) else { return false };
                    let newer = newer.entry(run.job_uid).or_default();
                    *newer += 1;
                    *newer > kept.max_runs || ended_before(run, kept.ended_since)
                });
                let mut beyond: Vec<_> = beyond.filter(old).map(|run| run.id).collect();
                beyond.reverse();
                beyond
            }
            Purge::ExpiredJobs { deleted_until } => {
                let is_expired = |run: &&Run| self.is_expired(run.job_uid, *deleted_until);
                runs.filter(is_expired).filter(old).map(|run| run.id).collect()
            }
            Purge::Requests { .. } => Vec::new(),
            Purge::Asked(filter) => {
                let is_asked = |run: &&Run| {
                    run.job_key.namespace == filter.namespace
                        && filter.job_id.as_ref().is_none_or(|job_id| *job_id == run.job_key.job_id)
                        && (filter.states.is_empty() || filter.states.contains(&run.state))
                        && ended_before(run, filter.ended_before)
                };
                runs.filter(is_asked).filter(old).map(|run| run.id).collect()
            }
        }
    }

    /// All rows, the newest first, each with its later attempts.
    pub fn runs(&self) -> impl Iterator<Item = (&Run, Vec<&Attempt>)> {
        self.runs.values().rev().map(|run| {
            let later = self.attempts.range((run.id, 0)..=(run.id, u32::MAX));
            (run, later.map(|(_, attempt)| attempt).collect())
        })
    }

    pub fn backfill(&self, id: BackfillId) -> Option<&Backfill> {
        self.backfills.get(&id)
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

/// What is unique among the runs of all jobs.
fn number(run: &Run) -> (JobUid, Timestamp, i64) {
    (run.job_uid, run.scheduled_time, run.occurrence)
}

fn is_remembered(row: &RequestRow, clock: Timestamp) -> bool {
    row.time.saturating_add(REMEMBERED) > clock
}
