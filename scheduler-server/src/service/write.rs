//! Writes: handed to the leader, answered with the resource.

use prost::Message;
use punctual_proto::v1;
use scheduler_core::calendar::CalendarKey;
use scheduler_core::engine::{Answer, Command, Refusal, Request};
use scheduler_core::ids::{JobUid, RunId};
use scheduler_core::txn::RequestKey;
use uuid::Uuid;

use super::error::{in_calendar, in_job};
use super::{Call, Error, Handed, Service, digest, view};

/// A request that the ledger remembers, so that it can be repeated.
pub(super) struct Numbered {
    key: RequestKey,
    /// The number was made up here.
    is_new: bool,
    digest: String,
}

impl Numbered {
    /// `request` is without its id: a client that gave none gets one made up here, and may repeat the request
    /// with that.
    pub(super) fn new(method: &str, namespace: &str, request_id: Option<String>, request: &impl Message) -> Self {
        let is_new = request_id.is_none();
        let request_id = request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
        let key = RequestKey { namespace: namespace.to_owned(), method: method.to_owned(), request_id };
        Self { key, is_new, digest: digest::text(method, request) }
    }
}

impl Numbered {
    pub(super) fn request_id(&self) -> String {
        self.key.request_id.clone()
    }
}

impl Service {
    /// Hands a write to the leader; `call` knows meanwhile that it is there.
    pub(super) async fn write(
        &self,
        call: &Call,
        numbered: Option<Numbered>,
        command: Command,
    ) -> Result<Answer, Error> {
        let is_new = numbered.as_ref().is_some_and(|numbered| numbered.is_new);
        let (key, digest) = numbered.map(|numbered| (numbered.key, numbered.digest)).unzip();
        let handed = Handed { request_id: key.as_ref().map(|key| key.request_id.clone()) };
        let digest = digest.unwrap_or_default();
        let in_request = match &command {
            Command::CreateJob { .. } | Command::UpdateJob { .. } => in_job,
            Command::CreateCalendar { .. } | Command::UpdateCalendar { .. } => in_calendar,
            // Their fields are the request's own.
            _ => |violations| violations,
        };
        let request = Request { key, is_new, digest, author: call.author(), origin: Some(call.origin()), command };
        call.hand(Some(handed.clone()));
        let answer = self.leader.request(request).await;
        call.hand(None);
        answer.map_err(|refusal| match refusal {
            Refusal::OutcomeUnknown => Error::OutcomeUnknown { request_id: handed.request_id },
            Refusal::Invalid(violations) => Error::Invalid(in_request(violations)),
            other => Error::Refused(other),
        })
    }

    /// A write that answers the job. `request_id` is that under which the answer may be an earlier one.
    pub(super) async fn write_job(
        &self,
        call: &Call,
        numbered: Option<Numbered>,
        command: Command,
        method: &'static str,
    ) -> Result<v1::Job, Error> {
        let request_id = numbered.as_ref().map(|numbered| numbered.key.request_id.clone());
        match self.write(call, numbered, command).await? {
            Answer::Job(job) => Ok(self.written(*job).await),
            Answer::Repeated(uid) => self.repeated_job(&uid, request_id, method).await,
            Answer::Run(_)
            | Answer::Calendar(_)
            | Answer::Backfill(_)
            | Answer::Purged(_)
            | Answer::Status(_)
            | Answer::Agents(_)
            | Answer::Locks(_)
            | Answer::Upcoming(_)
            | Answer::SteppedDown { .. } => Err(Error::Misanswered(method)),
        }
    }

    /// The job that an earlier request of the same number made, as it is now.
    pub(super) async fn repeated_job(
        &self,
        uid: &str,
        request_id: Option<String>,
        method: &'static str,
    ) -> Result<v1::Job, Error> {
        let uid: JobUid = uid.parse().map_err(|_| Error::Misanswered(method))?;
        let job = self.ledger.job_by_uid(uid).await.map_err(|_| Error::OutcomeUnknown { request_id })?;
        Ok(self.written(job.ok_or(Error::Misanswered(method))?).await)
    }

    /// As [`Self::repeated_job`], for a run.
    pub(super) async fn repeated_run(
        &self,
        id: &str,
        request_id: Option<String>,
        namespace: String,
        method: &'static str,
    ) -> Result<v1::Run, Error> {
        let id: RunId = id.parse().map_err(|_| Error::Misanswered(method))?;
        let run = self.ledger.run(id).await.map_err(|_| Error::OutcomeUnknown { request_id })?;
        run.map(|run| view::run(&run)).ok_or(Error::RunNotFound { namespace, run: id })
    }

    /// What a request made that was taken before, for one that would be refused now because the world has changed. The
    /// leader is asked under the request's number, with a creation that it only tries.
    pub(super) async fn made_before(
        &self,
        call: &Call,
        numbered: Option<Numbered>,
        mut creation: Command,
    ) -> Result<Option<String>, Error> {
        let Some(numbered) = numbered.filter(|numbered| !numbered.is_new) else { return Ok(None) };
        if let Command::CreateJob { validate_only, .. } = &mut creation {
            *validate_only = true;
        }
        match self.write(call, Some(numbered), creation).await {
            Ok(Answer::Repeated(resource)) => Ok(Some(resource)),
            // What it would have come to is not of interest.
            Ok(_) | Err(Error::Invalid(_) | Error::Refused(Refusal::JobExists(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A write that answers a calendar.
    pub(super) async fn write_calendar(
        &self,
        call: &Call,
        numbered: Option<Numbered>,
        command: Command,
        key: CalendarKey,
        method: &'static str,
    ) -> Result<v1::Calendar, Error> {
        let request_id = numbered.as_ref().map(|numbered| numbered.key.request_id.clone());
        match self.write(call, numbered, command).await? {
            Answer::Calendar(calendar) => Ok(job_spec::calendar(&calendar)),
            Answer::Repeated(_) => {
                let stored = self.ledger.calendar(&key).await.map_err(|_| Error::OutcomeUnknown { request_id })?;
                stored.map(|stored| job_spec::calendar(&stored)).ok_or(Error::CalendarNotFound(key))
            }
            Answer::Job(_)
            | Answer::Run(_)
            | Answer::Backfill(_)
            | Answer::Purged(_)
            | Answer::Status(_)
            | Answer::Agents(_)
            | Answer::Locks(_)
            | Answer::Upcoming(_)
            | Answer::SteppedDown { .. } => Err(Error::Misanswered(method)),
        }
    }

    /// A write that answers a run.
    pub(super) async fn write_run(
        &self,
        call: &Call,
        numbered: Option<Numbered>,
        command: Command,
        namespace: String,
        method: &'static str,
    ) -> Result<v1::Run, Error> {
        let request_id = numbered.as_ref().map(|numbered| numbered.key.request_id.clone());
        match self.write(call, numbered, command).await? {
            Answer::Run(run) => Ok(job_spec::run(&run, &[], job_spec::RunView::Whole)),
            Answer::Repeated(id) => self.repeated_run(&id, request_id, namespace, method).await,
            Answer::Job(_)
            | Answer::Calendar(_)
            | Answer::Backfill(_)
            | Answer::Purged(_)
            | Answer::Status(_)
            | Answer::Agents(_)
            | Answer::Locks(_)
            | Answer::Upcoming(_)
            | Answer::SteppedDown { .. } => Err(Error::Misanswered(method)),
        }
    }
}
