//! Every command, decided: refused, answered at once, or put into the batch.

use crate::agent::Cordon;
use crate::ids::JobUid;
use crate::job::JobKey;
use crate::txn::Change;

use super::backfills::Asked;
use super::batch::{Batch, Then};
use super::input::RequestHandle;
use super::jobs::JobEntry;
use super::plan::Planned;
use super::request::{Answer, Away, Command, Refusal, Request};
use super::requests::Decided;
use super::term::Term;

impl Term {
    pub(super) fn decide_request(&mut self, handle: RequestHandle, request: Request, batch: &mut Batch) -> Decided {
        let Request { author, command, .. } = request;
        self.decide_command(handle, command, author, batch).unwrap_or_else(|refusal| Decided::Now(Err(refusal)))
    }

    fn decide_command(
        &mut self,
        handle: RequestHandle,
        command: Command,
        author: String,
        batch: &mut Batch,
    ) -> Result<Decided, Refusal> {
        let makes_runs = matches!(
            command,
            Command::TriggerJob { .. } | Command::RetryRun { .. } | Command::BackfillJob { validate_only: false, .. }
        );
        if makes_runs && self.suspended {
            return Err(Refusal::Unavailable(Away::Suspended));
        }
        let planned = match command {
            Command::StepDown { .. } => unreachable!("because the node takes it before its term"),
            Command::Status
            | Command::Agents
            | Command::Locks(_)
            | Command::Upcoming { .. }
            | Command::DrainAgent { .. }
            | Command::PurgeRuns { .. } => {
                unreachable!("because they are taken when they come")
            }
            Command::TriggerJob { job, payload, labels, not_before } => {
                return self.trigger(handle, &job, payload, labels, not_before, batch);
            }
            Command::RetryRun { job, of, payload, labels } => {
                return self.retry_run(handle, &job, of, payload, labels, batch);
            }
            Command::BackfillJob { job, start_time, end_time, max_runs, concurrency, validate_only } => {
                let asked = Asked { start_time, end_time, max_runs, concurrency };
                return self.begin_backfill(handle, job, &asked, validate_only, author, batch);
            }
            Command::CancelRun { run, note, .. } => return self.cancel_run(handle, run, &author, &note, batch),
            Command::CordonAgent { agent, note } => {
                let cordon = Cordon { note, author, time: self.now.wall };
                return self.cordon(handle, agent, Some(cordon), batch);
            }
            Command::UncordonAgent { agent } => return self.cordon(handle, agent, None, batch),
            Command::CreateCalendar { calendar, definition, validate_only } => {
                return self.create_calendar(handle, calendar, *definition, validate_only, batch);
            }
            Command::UpdateCalendar { calendar, definition, etag, validate_only } => {
                return self.update_calendar(
                    handle,
                    calendar,
                    *definition,
                    etag.as_deref(),
                    validate_only,
                    &author,
                    batch,
                );
            }
            Command::DeleteCalendar { calendar, etag } => {
                return self.delete_calendar(handle, &calendar, etag.as_deref(), batch);
            }
            Command::CreateJob { job, definition, validate_only } => {
                let planned = self.plan_create(job, *definition)?;
                if validate_only {
                    return Ok(shown(&planned));
                }
                planned
            }
            Command::UpdateJob { job, definition, etag, validate_only } => {
                match self.plan_update(&job, *definition, etag.as_deref())? {
                    Some(planned) if validate_only => return Ok(shown(&planned)),
                    Some(planned) => planned,
                    None => return self.unchanged(&job),
                }
            }
            Command::DeleteJob { job, etag } => self.plan_delete(&job, etag.as_deref())?,
            Command::UndeleteJob { job } => self.plan_undelete(&job)?,
            Command::RestoreJobRevision { job, definition, etag, note, validate_only } => {
                match self.plan_update(&job, *definition, etag.as_deref())? {
                    Some(planned) if validate_only => return Ok(shown(&planned)),
                    Some(planned) => Planned { change: Change::Restore, note, ..planned },
                    None => return self.unchanged(&job),
                }
            }
            Command::PauseJob { job, note } => match self.plan_pause(&job, note, &author)? {
                Some(planned) => planned,
                None => return self.unchanged(&job),
            },
            Command::ResumeJob { job, catch_up, note } => match self.plan_resume(&job, catch_up, note)? {
                Some(planned) => planned,
                None => return self.unchanged(&job),
            },
            Command::EnableJob { job, note } => match self.plan_enabled(&job, true, note)? {
                Some(planned) => planned,
                None => return self.unchanged(&job),
            },
            Command::DisableJob { job, note } => match self.plan_enabled(&job, false, note)? {
                Some(planned) => planned,
                None => return self.unchanged(&job),
            },
        };
        let uid: JobUid = self.carry_out(planned, author, batch);
        batch.then.push(Then::AnswerJob(handle, uid));
        Ok(Decided::InBatch(uid.to_string()))
    }

    fn unchanged(&self, key: &JobKey) -> Result<Decided, Refusal> {
        Ok(Decided::Now(Ok(Answer::Job(Box::new(self.live_job(key)?.job.clone())))))
    }

    pub(super) fn live_job(&self, key: &JobKey) -> Result<&JobEntry, Refusal> {
        let entry = self.jobs.uid(key).and_then(|uid| self.jobs.get(uid));
        match entry {
            None => Err(Refusal::JobNotFound(key.clone())),
            Some(entry) if entry.job.delete_time.is_some() => Err(Refusal::JobDeleted(key.clone())),
            Some(entry) => Ok(entry),
        }
    }
}

fn shown(planned: &Planned) -> Decided {
    Decided::Now(Ok(Answer::Job(Box::new(planned.job.clone()))))
}
