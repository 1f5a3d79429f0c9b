//! The independent record that the promises are judged by: what agents physically ran, what clients were told, and what
//! was committed, written down beside the models and never read from them. Checked with every step, at the cost of what
//! the step touches.

mod attempts;
mod backfills;
mod commits;
mod fires;
mod purges;
mod watch;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scheduler_core::agent::Outcome;
use scheduler_core::calendar::CalendarKey;
use scheduler_core::ids::{AgentInstance, AttemptId, BackfillId, Epoch, FencingToken, JobUid, RunId};
use scheduler_core::job::{Job, Payload};
use scheduler_core::lock::LockName;
use scheduler_core::run::{AttemptState, Reason, RunState, Trigger};
use scheduler_core::schedule::{Compiled, Exclusion};
use scheduler_core::time::Timestamp;
use uuid::Uuid;

use crate::client::WriteId;
use backfills::BackfillRecord;
pub(crate) use commits::short_attempt;
use watch::Watcher;

pub(crate) struct Version {
    job: Job,
    compiled: Arc<Compiled>,
}

pub(crate) struct JobRecord {
    current: i64,
    versions: BTreeMap<i64, Version>,
    /// The revision that a client was told of: an edit, a calendar's, the end of the job; and a pause.
    answered: i64,
    answered_pause: i64,
    /// Every instant up to here that the job owed has been found covered.
    checked: Timestamp,
    /// Spans that rows cover, by their end.
    covered: BTreeMap<Timestamp, (Timestamp, RunId)>,
    /// Decided instants, while there is a bound on them.
    counted: u64,
    unended_attempts: BTreeSet<AttemptId>,
    unended_scheduled: BTreeSet<RunId>,
    running: BTreeSet<AttemptId>,
    /// Of each slot: a later holder of it has a higher token.
    last_tokens: BTreeMap<u32, FencingToken>,
    /// Of what was really started in each slot.
    last_started: BTreeMap<u32, FencingToken>,
}

impl JobRecord {
    fn version(&self) -> &Version {
        &self.versions[&self.current]
    }
}

pub(crate) struct RunRecord {
    job: JobUid,
    revision: i64,
    trigger: Trigger,
    state: RunState,
    scheduled_time: Timestamp,
    end_time: Option<Timestamp>,
    next_attempt_time: Option<Timestamp>,
    not_before: Timestamp,
    payload: Option<Payload>,
    latest: u32,
}

pub(crate) struct AttemptRecord {
    job: JobUid,
    instance: Uuid,
    slot: u32,
    token: FencingToken,
    state: AttemptState,
    ended: Option<(AttemptState, Option<Reason>)>,
    /// `max_instances` when it was handed out.
    limit: u32,
    /// The definition that it was handed out under.
    revision: i64,
    /// A pause holds back nothing else: a fire that was never handed out before.
    is_fires_first: bool,
    was_sent: bool,
}

/// What an attempt did physically.
#[derive(Default)]
pub(crate) struct Deeds {
    started_by: Option<Uuid>,
    runs: bool,
    /// Its process is frozen.
    is_suspended: bool,
    /// Somebody has a use for its end: a client, a later fire.
    is_asked_to_end: bool,
    /// Number and content of its last report.
    reported: Option<(u64, Outcome)>,
    /// The last order for it: its true epoch, and its payload.
    order: Option<(i64, Vec<u8>)>,
}

#[derive(Default)]
pub(crate) struct Witness {
    epoch: Epoch,
    highest_token: FencingToken,
    watermark: Timestamp,
    pub(crate) jobs: BTreeMap<JobUid, JobRecord>,
    pub(crate) runs: BTreeMap<RunId, RunRecord>,
    unended: BTreeSet<RunId>,
    /// Runs that were there, and may have gone.
    purged: BTreeSet<RunId>,
    attempts: BTreeMap<AttemptId, AttemptRecord>,
    deeds: BTreeMap<AttemptId, Deeds>,
    /// The highest epoch that each instance was told.
    epochs: BTreeMap<Uuid, i64>,
    runs_by: BTreeMap<WriteId, u32>,
    backfills: BTreeMap<BackfillId, BackfillRecord>,
    backfills_by: BTreeSet<WriteId>,
    changes_by: BTreeMap<WriteId, BTreeSet<(JobUid, i64)>>,
    calendars: BTreeMap<CalendarKey, Arc<Exclusion>>,
    watcher: Watcher,
}

impl Witness {
    /// How many things a write brought into the ledger.
    pub(crate) fn done_by(&self, write: WriteId) -> usize {
        let runs = self.runs_by.get(&write).copied().unwrap_or_default() as usize;
        let backfills = usize::from(self.backfills_by.contains(&write));
        runs + backfills + self.changes_by.get(&write).map_or(0, BTreeSet::len)
    }

    pub(crate) fn has_or_had_run(&self, id: RunId) -> bool {
        self.runs.contains_key(&id) || self.purged.contains(&id)
    }

    pub(crate) fn has_backfill(&self, id: BackfillId) -> bool {
        self.backfills.contains_key(&id)
    }

    /// For a planted bug.
    pub(crate) fn largest_max_instances(&self, uid: JobUid) -> u32 {
        let versions = self.jobs.get(&uid).into_iter().flat_map(|job| job.versions.values());
        versions.map(|version| version.job.definition.max_instances).max().unwrap_or(1)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn job_of(&self, attempt: AttemptId) -> Option<JobUid> {
        self.attempts.get(&attempt).map(|record| record.job)
    }

    /// The slot that the ledger gave to an attempt, and to whom.
    pub(crate) fn slot_of(&self, attempt: AttemptId) -> Option<(LockName, AgentInstance)> {
        let record = self.attempts.get(&attempt)?;
        Some((LockName { job: record.job, slot: record.slot }, AgentInstance(record.instance)))
    }

    /// What runs in a slot, and where.
    pub(crate) fn running_in(&self, name: LockName) -> impl Iterator<Item = (AttemptId, Uuid)> {
        let running = self.jobs.get(&name.job).into_iter().flat_map(|job| &job.running);
        let runs = |id: &&AttemptId| self.deeds.get(*id).is_some_and(|deeds| deeds.runs && !deeds.is_suspended);
        let running = running.filter(runs).filter_map(|id| Some((*id, self.attempts.get(id)?)));
        running.filter(move |(_, record)| record.slot == name.slot).map(|(id, record)| (id, record.instance))
    }

    pub(crate) fn unended_of(&self, instance: Option<Uuid>) -> Vec<AttemptId> {
        let of = self.attempts.iter().filter(|(_, a)| a.ended.is_none() && Some(a.instance) == instance);
        of.map(|(id, _)| *id).collect()
    }

    /// How many attempts of the run an agent really started.
    pub(crate) fn starts_of(&self, run: RunId) -> usize {
        self.deeds.iter().filter(|(id, deeds)| id.run == run && deeds.started_by.is_some()).count()
    }

    /// How many attempts of the job run now.
    pub(crate) fn running_of(&self, uid: JobUid) -> usize {
        let Some(job) = self.jobs.get(&uid) else { return 0 };
        job.running.iter().filter(|id| self.deeds.get(*id).is_some_and(|deeds| deeds.runs)).count()
    }

    pub(crate) fn unended_runs(&self) -> impl Iterator<Item = RunId> {
        self.unended.iter().copied()
    }
}
