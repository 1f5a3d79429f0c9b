//! Changes of jobs, found possible or refused; nothing is changed here.

use std::sync::Arc;

use crate::ids::JobUid;
use crate::job::{Counts, Definition, Job, JobKey, Pause};
use crate::run::Reason;
use crate::schedule::{Compiled, SHORTEST_EVERY};
use crate::time::Timestamp;
use crate::txn::Change;
use crate::violation::Violations;

use super::config::DELETED_JOB_EXPIRY;
use super::request::Refusal;
use super::term::Term;

/// A change that has been found possible.
pub(super) struct Planned {
    pub(super) job: Job,
    pub(super) compiled: Compiled,
    pub(super) change: Change,
    pub(super) note: String,
    /// The fires of the paused span are made up.
    pub(super) catch_up: bool,
    /// Why what the old definition has not decided becomes MISSED; `None`: no row can be had for it.
    pub(super) missed: Option<Reason>,
}

impl Planned {
    pub(super) fn new(job: Job, compiled: Compiled, change: Change) -> Self {
        Self { job, compiled, change, note: String::new(), catch_up: false, missed: Some(Reason::JobChanged) }
    }
}

impl Term {
    fn compile(&self, key: &JobKey, definition: &Definition, create_time: Timestamp) -> Result<Compiled, Refusal> {
        let min_every = self.config.min_every;
        self.calendars.compile(key, definition, create_time, min_every).map_err(Refusal::Invalid)
    }

    /// From when on a change holds: nothing later has been decided (rule 7).
    pub(super) fn change_time(&self) -> Timestamp {
        self.now.wall.max(self.watermark.emitted)
    }

    pub(super) fn plan_create(&mut self, key: JobKey, definition: Definition) -> Result<Planned, Refusal> {
        if self.live_job(&key).is_ok() {
            return Err(Refusal::JobExists(key));
        }
        let now = self.now.wall;
        let compiled = self.compile(&key, &definition, now)?;
        let job = Job {
            uid: JobUid::at(now, self.random.wide()),
            key,
            definition: Arc::new(definition),
            pause: None,
            revision: 1,
            change_seq: 0,
            effective_from: self.change_time(),
            create_time: now,
            update_time: now,
            delete_time: None,
            counts: Counts::default(),
        };
        self.check_fires_left(&job, &compiled, &[])?;
        Ok(Planned::new(job, compiled, Change::Create))
    }

    /// Instants of `at` must be within grace, and a schedule must have a fire left.
    fn check_fires_left(&self, job: &Job, compiled: &Compiled, had: &[Timestamp]) -> Result<(), Refusal> {
        let mut violations = Violations::default();
        let schedule = &job.definition.schedule;
        let oldest = self.now.wall.saturating_sub(job.definition.misfire_grace_time);
        for (i, at) in schedule.at.iter().enumerate() {
            if *at < oldest && !had.contains(at) {
                violations
                    .add(format!("schedule.at[{i}]"), format!("{at} is past, by more than the misfire grace time"));
            }
        }
        let owed = owed(job, had, oldest);
        let spent = job.fires_left() == Some(0) && !compiled.is_empty();
        if violations.0.is_empty() && owed.is_empty() && (spent || compiled.is_exhausted(job.effective_from)) {
            violations.add("schedule", "has no fire left");
        }
        violations.or(()).map_err(Refusal::Invalid)
    }

    pub(super) fn plan_update(
        &self,
        key: &JobKey,
        definition: Definition,
        etag: Option<&str>,
    ) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        check_etag(&entry.job, etag)?;
        if *entry.job.definition == definition {
            return Ok(None);
        }
        let compiled = self.compile(key, &definition, entry.job.create_time)?;
        let mut job = entry.job.clone();
        let reschedules = job.definition.schedule != definition.schedule;
        let had = job.definition.schedule.at.clone();
        job.definition = Arc::new(definition);
        if reschedules {
            job.effective_from = self.change_time();
            self.check_fires_left(&job, &compiled, &had)?;
        }
        Ok(Some(Planned::new(job, compiled, Change::Update)))
    }

    pub(super) fn plan_delete(&self, key: &JobKey, etag: Option<&str>) -> Result<Planned, Refusal> {
        let entry = self.live_job(key)?;
        check_etag(&entry.job, etag)?;
        let job = Job { delete_time: Some(self.now.wall), ..entry.job.clone() };
        Ok(Planned::new(job, entry.compiled.clone(), Change::Delete))
    }

    /// Its calendars may have changed, or gone, since it was deleted. One that has no fire left would be deleted again
    /// at once by `delete_after_completion`: whoever brings it back wants to have it.
    pub(super) fn plan_undelete(&self, key: &JobKey) -> Result<Planned, Refusal> {
        let entry = self.jobs.uid(key).and_then(|uid| self.jobs.get(uid));
        let entry = entry.ok_or_else(|| Refusal::JobNotFound(key.clone()))?;
        match entry.job.delete_time {
            None => Err(Refusal::JobExists(key.clone())),
            Some(time) if self.now.wall.since(time) >= DELETED_JOB_EXPIRY => Err(Refusal::JobNotFound(key.clone())),
            Some(_) => {
                let mut job = Job { delete_time: None, ..entry.job.clone() };
                let compiled = self.calendars.compile(key, &job.definition, job.create_time, SHORTEST_EVERY);
                let compiled = compiled.map_err(Refusal::Invalid)?;
                let from = self.change_time().max(entry.cursor);
                let is_spent = job.fires_left() == Some(0) && !compiled.is_empty();
                if job.definition.delete_after_completion && (is_spent || compiled.is_exhausted(from)) {
                    Arc::make_mut(&mut job.definition).delete_after_completion = false;
                }
                Ok(Planned::new(job, compiled, Change::Undelete))
            }
        }
    }

    pub(super) fn plan_pause(&self, key: &JobKey, note: String, author: &str) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        if entry.job.pause.as_ref().is_some_and(|pause| pause.note == note) {
            return Ok(None);
        }
        let time = entry.job.pause.as_ref().map_or(self.now.wall, |pause| pause.time);
        let pause = Pause { note: note.clone(), author: author.to_owned(), time };
        let job = Job { pause: Some(pause), ..entry.job.clone() };
        Ok(Some(Planned { note, ..Planned::new(job, entry.compiled.clone(), Change::Pause) }))
    }

    pub(super) fn plan_resume(&self, key: &JobKey, catch_up: bool, note: String) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        if entry.job.pause.is_none() {
            return Ok(None);
        }
        let job = Job { pause: None, ..entry.job.clone() };
        Ok(Some(Planned { note, catch_up, ..Planned::new(job, entry.compiled.clone(), Change::Resume) }))
    }

    pub(super) fn plan_enabled(&self, key: &JobKey, enabled: bool, note: String) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        if entry.job.definition.enabled == enabled {
            return Ok(None);
        }
        let definition = Definition { enabled, ..(*entry.job.definition).clone() };
        let job = Job { definition: Arc::new(definition), ..entry.job.clone() };
        let change = if enabled { Change::Enable } else { Change::Disable };
        Ok(Some(Planned { note, ..Planned::new(job, entry.compiled.clone(), change) }))
    }
}

/// Instants of `at` that the change adds and that lie within grace: they fire at once.
pub(super) fn owed(job: &Job, had: &[Timestamp], oldest: Timestamp) -> Vec<Timestamp> {
    let mut owed: Vec<Timestamp> = (job.definition.schedule.at.iter().copied())
        .filter(|at| *at >= oldest && *at <= job.effective_from && !had.contains(at))
        .collect();
    owed.sort_unstable();
    owed.dedup();
    owed
}

fn check_etag(job: &Job, etag: Option<&str>) -> Result<(), Refusal> {
    match etag {
        Some(etag) if etag != job.etag() => {
            Err(Refusal::StaleEtag { resource: format!("job {}", job.key), etag: job.etag() })
        }
        _ => Ok(()),
    }
}
