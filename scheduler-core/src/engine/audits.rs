//! What the audit has of clients' writes: an event in the transaction of each that changes something.
//!
//! What the engine does by itself (a job that is paused for its failures, say) has nobody behind it; a job's revisions tell
//! of that.

use crate::agent::Cordon;
use crate::audit::{Event, Image, Origin};
use crate::calendar::Calendar;
use crate::ids::{AuditEventId, RunId};
use crate::job::Job;
use crate::run::Run;
use crate::txn::CalendarWrite;

use super::batch::Batch;
use super::request::{Command, Request};
use super::term::Term;

/// How what a request is about was, before it was decided.
pub(super) struct Before {
    origin: Origin,
    job: Option<Job>,
    calendar: Option<Calendar>,
    cordon: Option<Cordon>,
    run: Option<Image>,
}

impl Term {
    /// `None` where nobody asks who does something.
    pub(super) fn before(&self, request: &Request) -> Option<Before> {
        let origin = request.origin.clone()?;
        let command = &request.command;
        let job = command.job().filter(|_| changes_job(command));
        let job = job.and_then(|key| self.jobs.uid(key)).and_then(|uid| self.jobs.get(uid));
        let is_new = matches!(command, Command::CreateJob { .. });
        let job = job.map(|entry| entry.job.clone()).filter(|_| !is_new);
        let (calendar, cordon) = match command {
            Command::UpdateCalendar { calendar, .. } | Command::DeleteCalendar { calendar, .. } => {
                (self.calendars.find(calendar).cloned(), None)
            }
            Command::CordonAgent { agent, .. } | Command::UncordonAgent { agent } => {
                (None, self.agents.cordons.get(agent).cloned())
            }
            _ => (None, None),
        };
        let run = match command {
            Command::CancelRun { run, .. } => self.runs.get(run).map(|live| cancelled(&live.run, "")),
            _ => None,
        };
        Some(Before { origin, job, calendar, cordon, run })
    }

    /// The event of a request that has put its rows into the batch; `made` is what it made or changed.
    pub(super) fn event(&mut self, before: Before, request: &Request, made: &str, batch: &Batch) -> Event {
        self.audited += 1;
        // The epoch and the number within it, so that nothing random is used up.
        let random = u128::from(self.epoch.0.unsigned_abs()) << 32 | u128::from(self.audited);
        let Before { origin, job, calendar, cordon, run } = before;
        let (namespace, resource) = names(&request.command);
        let (before, after) = match &request.command {
            Command::CreateCalendar { .. } | Command::UpdateCalendar { .. } | Command::DeleteCalendar { .. } => {
                let written = batch.calendars.iter().rev().find_map(|write| match write {
                    CalendarWrite::Put(calendar) if calendar.key.to_string() == made => Some(calendar),
                    CalendarWrite::Put(_) | CalendarWrite::Delete(_) => None,
                });
                let is_gone = matches!(request.command, Command::DeleteCalendar { .. });
                (calendar.as_ref().map(Image::calendar), written.filter(|_| !is_gone).map(Image::calendar))
            }
            Command::CordonAgent { agent, .. } | Command::UncordonAgent { agent } => {
                let now = self.agents.cordons.get(agent).cloned();
                (cordon.map(Image::Cordon), now.map(Image::Cordon))
            }
            command if changes_job(command) => {
                let written =
                    batch.jobs.iter().rfind(|write| write.job.uid.to_string() == made).map(|write| &write.job);
                let is_gone = matches!(command, Command::DeleteJob { .. });
                Image::jobs(job.as_ref(), written.filter(|_| !is_gone))
            }
            command => (run, self.made_run(command, made, batch)),
        };
        let given = request.key.as_ref().filter(|_| !request.is_new);
        Event {
            id: AuditEventId::at(self.now.wall, random),
            time: self.now.wall,
            origin,
            namespace,
            resource,
            request_id: given.map(|key| key.request_id.clone()).unwrap_or_default(),
            refusal: String::new(),
            before,
            after,
        }
    }

    /// Runs are shown by what tells them apart: the rest is the run's own row.
    fn made_run(&self, command: &Command, made: &str, batch: &Batch) -> Option<Image> {
        match command {
            Command::TriggerJob { job, payload, .. } => {
                let Image::Fields(mut fields) = begun(made, batch)? else { return None };
                let jobs = self.jobs.uid(job).and_then(|uid| self.jobs.get(uid));
                if let (Some(given), Some(entry)) = (payload, jobs) {
                    let jobs = &entry.job.definition.task.payload;
                    fields.insert("payload".to_owned(), Image::payload(given, jobs));
                }
                Some(Image::Fields(fields))
            }
            Command::RetryRun { .. } => begun(made, batch),
            Command::CancelRun { run, note, .. } => Some(cancelled(batch.runs.get(run)?, note)),
            Command::BackfillJob { start_time, end_time, .. } => Some(Image::fields([
                ("backfillId", made.to_owned()),
                ("startTime", start_time.to_string()),
                ("endTime", end_time.to_string()),
            ])),
            _ => None,
        }
    }
}

fn begun(made: &str, batch: &Batch) -> Option<Image> {
    let run: &Run = batch.runs.get(&made.parse::<RunId>().ok()?)?;
    Some(Image::fields([
        ("runId", run.id.to_string()),
        ("trigger", run.trigger.to_string()),
        ("notBefore", run.not_before.to_string()),
    ]))
}

/// A run before it was cancelled or after: one that runs goes on until its agent has stopped it.
fn cancelled(run: &Run, note: &str) -> Image {
    let requested = run.cancel_requested_time.map(|time| time.to_string()).unwrap_or_default();
    Image::fields([
        ("runId", run.id.to_string()),
        ("state", run.state.to_string()),
        ("cancelRequestedTime", requested),
        ("note", note.to_owned()),
    ])
}

fn changes_job(command: &Command) -> bool {
    match command {
        Command::CreateJob { .. }
        | Command::UpdateJob { .. }
        | Command::DeleteJob { .. }
        | Command::UndeleteJob { .. }
        | Command::RestoreJobRevision { .. }
        | Command::PauseJob { .. }
        | Command::ResumeJob { .. }
        | Command::EnableJob { .. }
        | Command::DisableJob { .. } => true,
        Command::TriggerJob { .. }
        | Command::RetryRun { .. }
        | Command::BackfillJob { .. }
        | Command::CancelRun { .. }
        | Command::CreateCalendar { .. }
        | Command::UpdateCalendar { .. }
        | Command::DeleteCalendar { .. }
        | Command::PurgeRuns { .. }
        | Command::Status
        | Command::Agents
        | Command::Locks(_)
        | Command::Upcoming { .. }
        | Command::CordonAgent { .. }
        | Command::UncordonAgent { .. }
        | Command::DrainAgent { .. }
        | Command::StepDown { .. } => false,
    }
}

/// The namespace, and what a request is about.
fn names(command: &Command) -> (String, String) {
    match command {
        Command::RetryRun { job, of, .. } => (job.namespace.clone(), format!("runs/{of}")),
        Command::CancelRun { namespace, run, .. } => (namespace.clone(), format!("runs/{run}")),
        Command::CreateCalendar { calendar, .. }
        | Command::UpdateCalendar { calendar, .. }
        | Command::DeleteCalendar { calendar, .. } => {
            (calendar.namespace.clone(), format!("calendars/{}", calendar.calendar_id))
        }
        Command::CordonAgent { agent, .. } | Command::UncordonAgent { agent } | Command::DrainAgent { agent } => {
            (String::new(), format!("agents/{agent}"))
        }
        command => {
            command.job().map_or_else(Default::default, |job| (job.namespace.clone(), format!("jobs/{}", job.job_id)))
        }
    }
}
