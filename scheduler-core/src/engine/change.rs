//! Changes of jobs: each closes the books of the old definition in its own transaction (rule 7).

use std::sync::Arc;

use crate::ids::{JobUid, RunId};
use crate::job::{Definition, Job, JobKey, Pause, Payload};
use crate::run::{Reason, Run, RunEvent, RunState, Trigger};
use crate::schedule::Compiled;
use crate::time::Timestamp;
use crate::txn::{Change, JobWrite};
use crate::violation::Violations;

use super::batch::{Batch, Then};
use super::decide::{Span, span};
use super::fires::row;
use super::input::RequestHandle;
use super::jobs::{JobEntry, compile};
use super::queue::{Candidate, Class};
use super::request::{AgentStatus, Answer, Command, Refusal, Request, Status};
use super::requests::Decided;
use super::term::Term;

/// A change that has been found possible.
struct Planned {
    job: Job,
    compiled: Compiled,
    change: Change,
    note: String,
}

impl Term {
    pub(super) fn decide_request(&mut self, handle: RequestHandle, request: Request, batch: &mut Batch) -> Decided {
        let author = request.author;
        let planned = match request.command {
            Command::Status => return Decided::Now(Ok(Answer::Status(Box::new(self.status())))),
            Command::TriggerJob { job, payload, labels, not_before } => {
                return match self.plan_trigger(&job, payload, not_before) {
                    Ok(mut run) => {
                        run.labels.extend(labels);
                        let id = run.id;
                        self.admit(run, batch);
                        batch.then.push(Then::AnswerRun(handle, id));
                        Decided::InBatch(id.to_string())
                    }
                    Err(refusal) => Decided::Now(Err(refusal)),
                };
            }
            Command::CreateJob { job, definition, validate_only } => match self.plan_create(job, *definition) {
                Ok(planned) if validate_only => return Decided::Now(Ok(Answer::Job(Box::new(planned.job)))),
                planned => planned,
            },
            Command::UpdateJob { job, definition, etag, validate_only } => {
                match self.plan_update(&job, *definition, etag.as_deref()) {
                    Ok(Some(planned)) if validate_only => return Decided::Now(Ok(Answer::Job(Box::new(planned.job)))),
                    Ok(Some(planned)) => Ok(planned),
                    Ok(None) => return self.unchanged(&job),
                    Err(refusal) => Err(refusal),
                }
            }
            Command::DeleteJob { job, etag } => self.plan_delete(&job, etag.as_deref()),
            Command::PauseJob { job, note } => match self.plan_pause(&job, note, &author) {
                Ok(None) => return self.unchanged(&job),
                Ok(Some(planned)) => Ok(planned),
                Err(refusal) => Err(refusal),
            },
            Command::ResumeJob { job } => match self.plan_resume(&job) {
                Ok(None) => return self.unchanged(&job),
                Ok(Some(planned)) => Ok(planned),
                Err(refusal) => Err(refusal),
            },
            Command::EnableJob { job } => match self.plan_enabled(&job, true) {
                Ok(None) => return self.unchanged(&job),
                Ok(Some(planned)) => Ok(planned),
                Err(refusal) => Err(refusal),
            },
            Command::DisableJob { job } => match self.plan_enabled(&job, false) {
                Ok(None) => return self.unchanged(&job),
                Ok(Some(planned)) => Ok(planned),
                Err(refusal) => Err(refusal),
            },
        };
        match planned {
            Ok(planned) => {
                let uid = self.carry_out(planned, author, batch);
                batch.then.push(Then::AnswerJob(handle, uid));
                Decided::InBatch(uid.to_string())
            }
            Err(refusal) => Decided::Now(Err(refusal)),
        }
    }

    fn unchanged(&self, key: &JobKey) -> Decided {
        Decided::Now(self.live_job(key).map(|entry| Answer::Job(Box::new(entry.job.clone()))))
    }

    fn live_job(&self, key: &JobKey) -> Result<&JobEntry, Refusal> {
        let entry = self.jobs.uid(key).and_then(|uid| self.jobs.get(uid));
        match entry {
            None => Err(Refusal::JobNotFound(key.clone())),
            Some(entry) if entry.job.delete_time.is_some() => Err(Refusal::JobDeleted(key.clone())),
            Some(entry) => Ok(entry),
        }
    }

    fn compile(&self, key: &JobKey, definition: &Definition, create_time: Timestamp) -> Result<Compiled, Refusal> {
        compile(key, definition, create_time, self.config.min_every).map_err(Refusal::Invalid)
    }

    /// From when on a change holds: nothing later has been decided (rule 7).
    fn change_time(&self) -> Timestamp {
        self.now.wall.max(self.watermark.emitted)
    }

    fn plan_create(&mut self, key: JobKey, definition: Definition) -> Result<Planned, Refusal> {
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
        };
        self.check_fires_left(&job, &compiled, &[])?;
        Ok(Planned { job, compiled, change: Change::Create, note: String::new() })
    }

    /// Instants of `at` must be within grace, and a schedule must have a fire left.
    fn check_fires_left(&self, job: &Job, compiled: &Compiled, had: &[Timestamp]) -> Result<(), Refusal> {
        let mut violations = Violations::default();
        let schedule = &job.definition.schedule;
        let oldest = self.now.wall.saturating_sub(job.definition.misfire_grace_time);
        for (i, at) in schedule.at.iter().enumerate() {
            if *at < oldest && !had.contains(at) {
                violations
                    .add(format!("schedule.at[{i}]"), format!("{at} is past, longer than misfire_grace_time ago"));
            }
        }
        let owed = owed(job, had, oldest);
        if violations.0.is_empty() && owed.is_empty() && compiled.is_exhausted(job.effective_from) {
            violations.add("schedule", "has no fire left");
        }
        violations.or(()).map_err(Refusal::Invalid)
    }

    fn plan_update(
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
        Ok(Some(Planned { job, compiled, change: Change::Update, note: String::new() }))
    }

    fn plan_delete(&self, key: &JobKey, etag: Option<&str>) -> Result<Planned, Refusal> {
        let entry = self.live_job(key)?;
        check_etag(&entry.job, etag)?;
        let job = Job { delete_time: Some(self.now.wall), ..entry.job.clone() };
        Ok(Planned { job, compiled: entry.compiled.clone(), change: Change::Delete, note: String::new() })
    }

    fn plan_pause(&self, key: &JobKey, note: String, author: &str) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        if entry.job.pause.as_ref().is_some_and(|pause| pause.note == note) {
            return Ok(None);
        }
        let time = entry.job.pause.as_ref().map_or(self.now.wall, |pause| pause.time);
        let pause = Pause { note: note.clone(), author: author.to_owned(), time };
        let job = Job { pause: Some(pause), ..entry.job.clone() };
        Ok(Some(Planned { job, compiled: entry.compiled.clone(), change: Change::Pause, note }))
    }

    fn plan_resume(&self, key: &JobKey) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        if entry.job.pause.is_none() {
            return Ok(None);
        }
        let job = Job { pause: None, ..entry.job.clone() };
        let compiled = entry.compiled.clone();
        Ok(Some(Planned { job, compiled, change: Change::Resume, note: String::new() }))
    }

    fn plan_enabled(&self, key: &JobKey, enabled: bool) -> Result<Option<Planned>, Refusal> {
        let entry = self.live_job(key)?;
        if entry.job.definition.enabled == enabled {
            return Ok(None);
        }
        let definition = Definition { enabled, ..(*entry.job.definition).clone() };
        let job = Job { definition: Arc::new(definition), ..entry.job.clone() };
        let change = if enabled { Change::Enable } else { Change::Disable };
        Ok(Some(Planned { job, compiled: entry.compiled.clone(), change, note: String::new() }))
    }

    fn plan_trigger(
        &mut self,
        key: &JobKey,
        payload: Option<Payload>,
        not_before: Option<Timestamp>,
    ) -> Result<Run, Refusal> {
        if !self.live_job(key)?.job.definition.enabled {
            return Err(Refusal::JobDisabled(key.clone()));
        }
        let id = self.next_run_id();
        let now = self.now.wall;
        let scheduled_time = not_before.unwrap_or(now);
        let entry = self.live_job(key)?;
        let base = row(&entry.job, id, now, None);
        Ok(Run { trigger: Trigger::Manual, scheduled_time, not_before: scheduled_time, payload, ..base })
    }

    /// Puts the change and all that it brings with it into the batch, and into memory.
    fn carry_out(&mut self, planned: Planned, author: String, batch: &mut Batch) -> JobUid {
        let Planned { mut job, compiled, change, note } = planned;
        let uid = job.uid;
        self.last_change_seq += 1;
        job.change_seq = self.last_change_seq;
        let mut had = Vec::new();
        if let Some(old) = self.jobs.get(uid).map(|entry| entry.job.clone()) {
            job.revision += 1;
            job.update_time = self.now.wall;
            had.clone_from(&old.definition.schedule.at);
            self.jobs.unschedule(uid);
            self.unqueue(Candidate::Due(uid), uid);
            self.holds.retain(|(_, held)| *held != uid);
            self.to_consider.remove(&uid);
            if old.fires() != job.fires() || old.definition.schedule != job.definition.schedule {
                job.effective_from = self.change_time();
                self.close_books(uid, job.effective_from, batch);
            }
            self.replace(job.clone(), compiled);
        } else {
            self.jobs.insert(JobEntry::new(job.clone(), compiled, job.effective_from));
        }
        self.end_what_waits(uid, change, batch);
        if matches!(change, Change::Create | Change::Update) && job.fires() {
            let oldest = self.now.wall.saturating_sub(job.definition.misfire_grace_time);
            for at in owed(&job, &had, oldest) {
                let covers_from = Timestamp::from_micros(at.as_micros() - 1);
                self.enter_run(uid, Span { covers_from, first: at, last: at, count: 1 }, batch);
            }
        }
        self.jobs.reschedule(uid);
        batch.touched.insert(uid);
        batch.jobs.insert(uid, JobWrite { job, change, author, note });
        uid
    }

    /// The old definition's undecided fires become one MISSED record.
    fn close_books(&mut self, uid: JobUid, until: Timestamp, batch: &mut Batch) {
        let Some(entry) = self.jobs.get_mut(uid) else { return };
        let undecided = if entry.job.fires() { span(&entry.compiled, entry.cursor, until) } else { None };
        if let Some(span) = undecided {
            self.stats.fires_missed += span.count;
            self.enter_non_run(uid, span, RunState::Missed, Reason::JobChanged, batch);
        }
        if let Some(entry) = self.jobs.get_mut(uid) {
            entry.cursor = entry.cursor.max(until);
        }
    }

    /// The new definition takes the old one's place; what waits is queued anew under it.
    fn replace(&mut self, job: Job, compiled: Compiled) {
        let uid = job.uid;
        let live: Vec<RunId> = match self.jobs.get_mut(uid) {
            Some(entry) => {
                entry.class = Class::of(&job.definition);
                entry.job = job;
                entry.compiled = compiled;
                entry.waiting.clear();
                entry.live.iter().copied().collect()
            }
            None => return,
        };
        for id in live {
            let queued = self.unqueue(Candidate::Run(id), uid);
            let waits = self.runs.get(&id).is_some_and(|live| {
                let due = live.run.next_attempt_time.unwrap_or(live.run.not_before);
                live.unended_attempt().is_none() && !self.run_timers.contains(&(due, id))
            });
            if queued || waits {
                self.queue_run(id);
            }
        }
    }

    /// Pause: scheduled runs that were never handed out are skipped. Disable and delete: all that waits ends.
    fn end_what_waits(&mut self, uid: JobUid, change: Change, batch: &mut Batch) {
        let (event, reason) = match change {
            Change::Pause => (RunEvent::Skipped, Reason::Paused),
            Change::Disable => (RunEvent::Cancelled, Reason::Disabled),
            Change::Delete => (RunEvent::Cancelled, Reason::Deleted),
            Change::Create | Change::Update | Change::Resume | Change::Enable | Change::Undelete => return,
        };
        let Some(entry) = self.jobs.get(uid) else { return };
        let ends = |id: &RunId| {
            self.runs.get(id).is_some_and(|live| {
                live.unended_attempt().is_none()
                    && (change != Change::Pause || (live.run.attempt == 0 && live.run.trigger == Trigger::Schedule))
            })
        };
        let ended: Vec<RunId> = entry.live.iter().copied().filter(ends).collect();
        for id in ended {
            self.end_waiting(id, event, reason, batch);
        }
    }

    fn status(&self) -> Status {
        let agents = self.agents.by_instance.iter().map(|(instance, entry)| AgentStatus {
            id: entry.id.clone(),
            instance: *instance,
            stream: entry.stream,
            slots: u32::try_from(entry.slots()).unwrap_or(u32::MAX),
            running: entry.held.len(),
            draining: entry.draining,
        });
        Status {
            epoch: self.epoch,
            watermark: self.watermark.committed,
            agents: agents.collect(),
            unended_runs: self.runs.len(),
            waiting: self.queue.len(),
            stats: self.stats,
        }
    }
}

/// Instants of `at` that the change adds and that lie within grace: they fire at once.
fn owed(job: &Job, had: &[Timestamp], oldest: Timestamp) -> Vec<Timestamp> {
    let mut owed: Vec<Timestamp> = (job.definition.schedule.at.iter().copied())
        .filter(|at| *at >= oldest && *at <= job.effective_from && !had.contains(at))
        .collect();
    owed.sort_unstable();
    owed.dedup();
    owed
}

fn check_etag(job: &Job, etag: Option<&str>) -> Result<(), Refusal> {
    match etag {
        Some(etag) if etag != job.etag() => Err(Refusal::StaleEtag { job: job.key.clone(), etag: job.etag() }),
        _ => Ok(()),
    }
}
