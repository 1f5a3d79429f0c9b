//! A ledger in memory, with the constraints that the promises rest on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::agent::Cordon;
use crate::audit::Event;
use crate::backfill::Backfill;
use crate::calendar::{Calendar, CalendarKey};
use crate::engine::config::DELETED_JOB_EXPIRY;
use crate::ids::{AgentId, BackfillId, Epoch, FencingToken, JobUid, RunId};
use crate::job::Job;
use crate::run::{Attempt, Run};
use crate::time::Timestamp;
use crate::txn::{
    CalendarWrite, Call, Changes, CordonWrite, Done, Election, Failure, Purge, Purged, RequestKey, RequestRow, Since,
    Snapshot, Survey, Tally, TookOver, Transaction, Unreadable,
};

/// As the real ones have it (rule 6).
const FURTHEST_AHEAD: Duration = Duration::from_millis(5_250);

type Refuses = Box<dyn Fn(&Transaction) -> Option<Failure>>;

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) epoch: Epoch,
    pub(super) watermark: Timestamp,
    pub(super) jobs: BTreeMap<JobUid, Job>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) attempts: BTreeMap<(RunId, u32), Attempt>,
    pub(super) requests: BTreeMap<RequestKey, RequestRow>,
    pub(super) marks: BTreeSet<(Epoch, i64)>,
    pub(super) audit: Vec<Event>,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) calendars: BTreeMap<CalendarKey, Calendar>,
    pub(super) cordons: BTreeMap<AgentId, Cordon>,
    pub(super) backfills: BTreeMap<BackfillId, Backfill>,
    pub(super) schedule_version: Option<String>,
    pub(super) election: Option<Election>,
    /// How far its clock is ahead of the machine's, in microseconds.
    pub(super) ahead: i64,
    pub(super) ceiling: FencingToken,
    /// What agents were told before.
    pub(super) longest_agent_ttl: Duration,
    /// Which transactions it refuses for their data.
    pub(super) refuses: Option<Refuses>,
    /// What it was asked to purge, and its next answers; else that there was nothing.
    pub(super) purges: Vec<Purge>,
    pub(super) purged: VecDeque<Purged>,
}

impl Ledger {
    /// What a copy has that receives nothing any more.
    pub(super) fn copy(&self) -> Self {
        Self {
            epoch: self.epoch,
            watermark: self.watermark,
            jobs: self.jobs.clone(),
            runs: self.runs.clone(),
            attempts: self.attempts.clone(),
            requests: self.requests.clone(),
            marks: self.marks.clone(),
            calendars: self.calendars.clone(),
            cordons: self.cordons.clone(),
            backfills: self.backfills.clone(),
            schedule_version: self.schedule_version.clone(),
            election: self.election.clone(),
            ceiling: self.ceiling,
            longest_agent_ttl: self.longest_agent_ttl,
            ..Self::default()
        }
    }

    /// What its clock says when the machine's says this.
    pub(super) fn clock(&self, machine: Timestamp) -> Timestamp {
        Timestamp::from_micros(machine.as_micros() + self.ahead)
    }

    pub(super) fn call(&mut self, call: &Call, machine: Timestamp) -> Result<Done, Failure> {
        let clock = self.clock(machine);
        match call {
            Call::Survey => Ok(Done::Surveyed(Survey {
                ledger_time: clock,
                schedule_version: self.schedule_version.clone(),
                longest_agent_ttl: self.longest_agent_ttl,
                watermark: (self.epoch.0 != 0).then_some(self.watermark),
            })),
            Call::LoadChanges { above, most } => {
                let mut jobs: Vec<_> = self.jobs.values().filter(|job| job.change_seq > *above).cloned().collect();
                jobs.sort_by_key(|job| job.change_seq);
                jobs.truncate(*most as usize);
                let more = jobs.len() == *most as usize;
                let calendars = self.calendars.values().cloned().collect();
                let unreadable = self.unreadable.clone();
                Ok(Done::LoadedChanges(Box::new(Changes { jobs, calendars, more, unreadable })))
            }
            Call::TakeOver(take_over) => {
                if let Some(later) = take_over.comes_after(self.election.clone()) {
                    return Err(Failure::LaterElection(later));
                }
                self.election.clone_from(&take_over.election);
                self.schedule_version = Some(take_over.schedule_version.clone());
                self.epoch = Epoch((self.epoch.0 + 1).max(clock.as_millis()).max((self.ceiling.0 >> 20) + 1));
                self.ceiling = FencingToken::nth(self.epoch, (1 << 20) - 1);
                self.longest_agent_ttl = self.longest_agent_ttl.max(take_over.agent_ttl);
                if self.watermark == Timestamp::default() {
                    self.watermark = clock;
                }
                Ok(Done::TookOver(TookOver {
                    epoch: self.epoch,
                    watermark: self.watermark,
                    token_ceiling: self.ceiling,
                    longest_agent_ttl: self.longest_agent_ttl,
                }))
            }
            Call::Load { entered_since, known, .. } => {
                let mut snapshot = self.snapshot(*entered_since);
                let expired_until = clock.saturating_sub(DELETED_JOB_EXPIRY);
                snapshot.jobs.retain(|job| job.delete_time.is_none_or(|time| time > expired_until));
                if let Some(known) = known {
                    let mut tally = Tally::default();
                    snapshot.jobs.iter().for_each(|job| tally.add(job.change_seq));
                    snapshot.jobs.retain(|job| job.change_seq > known.up_to);
                    let counts =
                        known.counted.iter().filter_map(|uid| Some((*uid, self.jobs.get(uid)?.counts))).collect();
                    snapshot.since = Some(Since { counts, tally, expired_until });
                }
                Ok(Done::Loaded(Box::new(snapshot)))
            }
            Call::LoadJob { job, entered_since, .. } => {
                let mut snapshot = self.snapshot(*entered_since);
                snapshot.jobs.retain(|loaded| loaded.uid == *job);
                snapshot.covered.retain(|(uid, _)| uid == job);
                snapshot.backfills.retain(|backfill| backfill.job_uid == *job);
                snapshot.unended.retain(|(run, _)| run.job_uid == *job);
                Ok(Done::LoadedJob(Box::new(snapshot)))
            }
            Call::FindRequests(keys) => {
                Ok(Done::FoundRequests(keys.iter().filter_map(|key| self.requests.get(key).cloned()).collect()))
            }
            Call::Commit(transaction) => self.commit(transaction, clock).map(|()| Done::Committed),
            Call::Purge { epoch, .. } if *epoch != self.epoch => Err(Failure::Deposed { current: self.epoch }),
            Call::Purge { purge, .. } => {
                self.purges.push(purge.clone());
                if let Purge::Requests { before } = purge {
                    self.requests.retain(|_, row| row.time >= *before);
                }
                Ok(Done::Purged(self.purged.pop_front().unwrap_or_default()))
            }
        }
    }

    fn snapshot(&self, entered_since: Timestamp) -> Snapshot {
        let mut covered = BTreeMap::new();
        for run in self.runs.values().filter(|run| run.covers_from.is_some() && run.id.time() >= entered_since) {
            let last: &mut Timestamp = covered.entry(run.job_uid).or_insert(run.scheduled_time);
            *last = run.scheduled_time.max(*last);
        }
        let unended = self.runs.values().filter(|run| !run.state.is_ended());
        Snapshot {
            jobs: self.jobs.values().cloned().collect(),
            since: None,
            covered: covered.into_iter().collect(),
            unended: unended.map(|run| (run.clone(), self.attempts.get(&(run.id, run.attempt)).cloned())).collect(),
            calendars: self.calendars.values().cloned().collect(),
            cordons: self.cordons.clone().into_iter().collect(),
            backfills: self.backfills.values().filter(|b| b.progress.closed_time.is_none()).cloned().collect(),
            unreadable: self.unreadable.clone(),
            last_change_seq: self.jobs.values().map(|job| job.change_seq).max().unwrap_or_default(),
        }
    }

    fn commit(&mut self, transaction: &Transaction, clock: Timestamp) -> Result<(), Failure> {
        if transaction.epoch != self.epoch {
            return Err(Failure::Deposed { current: self.epoch });
        }
        let is_lost = |mark: &i64| !self.marks.contains(&(self.epoch, *mark));
        if let Some(mark) = transaction.confirmed.iter().copied().filter(is_lost).min() {
            return Err(Failure::WentBack { mark });
        }
        if transaction.decided_at > clock.saturating_add(FURTHEST_AHEAD) {
            return Err(Failure::Clock { ledger_time: clock });
        }
        if let Some(failure) = self.refuses.as_ref().and_then(|refuses| refuses(transaction)) {
            return Err(failure);
        }
        self.marks.extend(transaction.mark.map(|mark| (self.epoch, mark)));
        self.audit.extend(transaction.audit.iter().cloned());
        for run in &transaction.entered {
            self.check_entry(run)?;
            self.runs.insert(run.id, run.clone());
        }
        for run in &transaction.updated {
            assert!(self.runs.contains_key(&run.id), "an update needs its row: {run:?}");
            self.runs.insert(run.id, run.clone());
        }
        for (run, attempt) in &transaction.attempts {
            assert!(attempt.number > 1, "the first attempt lives in its run's row");
            self.attempts.insert((*run, attempt.number), attempt.clone());
        }
        for write in &transaction.jobs {
            self.jobs.insert(write.job.uid, write.job.clone());
        }
        for (uid, counts) in &transaction.counts {
            self.jobs.get_mut(uid).expect("a counted job is there").counts = *counts;
        }
        for CordonWrite { agent, cordon } in &transaction.cordons {
            match cordon {
                Some(cordon) => drop(self.cordons.insert(agent.clone(), cordon.clone())),
                None => drop(self.cordons.remove(agent)),
            }
        }
        for write in &transaction.calendars {
            match write {
                CalendarWrite::Put(calendar) => drop(self.calendars.insert(calendar.key.clone(), calendar.clone())),
                CalendarWrite::Delete(key) => drop(self.calendars.remove(key)),
            }
        }
        for backfill in &transaction.backfills {
            self.backfills.entry(backfill.id).or_insert_with(|| backfill.clone());
        }
        for (id, progress) in &transaction.backfill_progress {
            self.backfills.get_mut(id).expect("a backfill that moves is there").progress = *progress;
        }
        for row in &transaction.requests {
            self.requests.insert(row.key.clone(), row.clone());
        }
        self.watermark = transaction.watermark.unwrap_or(self.watermark);
        self.ceiling = transaction.token_ceiling.unwrap_or(self.ceiling);
        Ok(())
    }

    /// Promise 2: rows of a job that decide instants never overlap.
    fn check_entry(&self, run: &Run) -> Result<(), Failure> {
        if self.runs.contains_key(&run.id) {
            return Ok(());
        }
        let number = |run: &Run| (run.job_uid, run.scheduled_time, run.occurrence);
        let has_number = |other: &&Run| number(other) == number(run);
        if let Some(other) = self.runs.values().find(has_number) {
            panic!("one number twice: {run:?} and {other:?}");
        }
        let Some(from) = run.covers_from else { return Ok(()) };
        for other in self.runs.values().filter(|other| other.job_uid == run.job_uid) {
            let Some(other_from) = other.covers_from else { continue };
            assert!(
                from >= other.scheduled_time || run.scheduled_time <= other_from,
                "instants entered twice: {run:?} and {other:?}"
            );
        }
        Ok(())
    }
}
