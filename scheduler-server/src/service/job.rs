//! Jobs: create, read, list, and what operators do with them.

use std::sync::Arc;

use job_spec::payload;
use prost::Message;
use punctual_proto::v1;
use scheduler_core::engine::{Command, Refusal};
use scheduler_core::job::{Definition, Job, JobKey, Payload};
use scheduler_core::{Violation, Violations};

use super::error::in_job;
use super::write::Numbered;
use super::{Call, Error, Service, clean, lists};

/// JSON is at most this much longer than protobuf: a control character is six bytes there and one here.
const LONGEST_ESCAPE: usize = 6;

impl Service {
    pub async fn create_job(&self, call: &Call, request: v1::CreateJobRequest) -> Result<v1::Job, Error> {
        const METHOD: &str = "CreateJob";
        let job = request.job.as_ref().ok_or_else(|| Error::field("job", "is required"))?;
        check_size("job.task.payload", job.task.as_ref().and_then(|task| task.payload.as_ref()))?;
        let mut violations = Violations::default();
        let request_id = clean::request_id(&request.request_id, &mut violations);
        let (job, definition) = match job_spec::definition(job, &self.rules(self.now())) {
            Ok(read) if violations.0.is_empty() => read,
            Ok(_) => return Err(Error::Invalid(violations)),
            Err(found) => {
                violations.0.extend(in_job(found).0);
                return Err(Error::Invalid(violations));
            }
        };
        let validate_only = request.validate_only;
        let numbered = (!validate_only).then(|| {
            let request = v1::CreateJobRequest { request_id: String::new(), ..request };
            Numbered::new(METHOD, &job.namespace, request_id, &request)
        });
        let unfit = self.check_task(call, &definition.task).await?;
        let command = Command::CreateJob { job, definition: Box::new(definition), validate_only };
        if !unfit.0.is_empty() {
            let request_id = numbered.as_ref().map(Numbered::request_id);
            return match self.made_before(call, numbered, command).await? {
                Some(uid) => self.repeated_job(&uid, request_id, METHOD).await,
                None => Err(Error::Invalid(unfit)),
            };
        }
        self.write_job(call, numbered, command, METHOD).await
    }

    pub async fn get_job(&self, request: v1::GetJobRequest) -> Result<v1::Job, Error> {
        let job = self.stored_job(&key(&request.namespace, &request.job_id)?).await?;
        self.job_shown(&job).await
    }

    pub async fn delete_job(&self, call: &Call, request: v1::DeleteJobRequest) -> Result<v1::Job, Error> {
        let job = key(&request.namespace, &request.job_id)?;
        let etag = Some(request.etag).filter(|etag| !etag.is_empty());
        self.write_job(call, None, Command::DeleteJob { job, etag }, "DeleteJob").await
    }

    pub async fn pause_job(&self, call: &Call, request: v1::PauseJobRequest) -> Result<v1::Job, Error> {
        let job = key(&request.namespace, &request.job_id)?;
        let note = clean::note(&request.note)?;
        self.write_job(call, None, Command::PauseJob { job, note }, "PauseJob").await
    }

    pub async fn resume_job(&self, call: &Call, request: v1::ResumeJobRequest) -> Result<v1::Job, Error> {
        let job = key(&request.namespace, &request.job_id)?;
        let note = clean::note(&request.note)?;
        let command = Command::ResumeJob { job, catch_up: request.catch_up, note };
        self.write_job(call, None, command, "ResumeJob").await
    }

    pub async fn enable_job(&self, call: &Call, request: v1::EnableJobRequest) -> Result<v1::Job, Error> {
        let job = key(&request.namespace, &request.job_id)?;
        let note = clean::note(&request.note)?;
        self.write_job(call, None, Command::EnableJob { job, note }, "EnableJob").await
    }

    pub async fn disable_job(&self, call: &Call, request: v1::DisableJobRequest) -> Result<v1::Job, Error> {
        let job = key(&request.namespace, &request.job_id)?;
        let note = clean::note(&request.note)?;
        self.write_job(call, None, Command::DisableJob { job, note }, "DisableJob").await
    }

    pub async fn trigger_job(&self, call: &Call, request: v1::TriggerJobRequest) -> Result<v1::Run, Error> {
        const METHOD: &str = "TriggerJob";
        let mut violations = Violations::default();
        let job = job_spec::job_key(&request.namespace, &request.job_id, "", &mut violations);
        let request_id = clean::request_id(&request.request_id, &mut violations);
        let labels = job_spec::labels("labels", &request.labels, &mut violations);
        let not_before = lists::instant("not_before", request.not_before.as_ref(), &mut violations);
        if !violations.0.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let merged = self.triggered_payload(&job, request.payload.as_ref()).await?;
        let request = v1::TriggerJobRequest { request_id: String::new(), ..request };
        let numbered = Numbered::new(METHOD, &job.namespace, request_id, &request);
        let namespace = job.namespace.clone();
        if let Some((stored, payload)) = &merged {
            let unfit = self.check_payload(call, &stored.task.task_type, payload, "payload").await?;
            if !unfit.0.is_empty() {
                let request_id = Some(numbered.request_id());
                let definition = Box::new((**stored).clone());
                let dry_run = Command::CreateJob { job, definition, validate_only: true };
                return match self.made_before(call, Some(numbered), dry_run).await? {
                    Some(run) => self.repeated_run(&run, request_id, namespace, METHOD).await,
                    None => Err(Error::Invalid(unfit)),
                };
            }
        }
        let payload = merged.map(|(_, payload)| payload);
        let command = Command::TriggerJob { job, payload, labels, not_before };
        self.write_run(call, Some(numbered), command, namespace, METHOD).await
    }

    /// The job and its payload with the trigger's laid over it; without one, the run takes the job's as it is then.
    async fn triggered_payload(
        &self,
        key: &JobKey,
        over: Option<&prost_types::Struct>,
    ) -> Result<Option<(Arc<Definition>, Payload)>, Error> {
        let Some(over) = over.filter(|over| !over.fields.is_empty()) else { return Ok(None) };
        check_size("payload", Some(over))?;
        let job = self.stored_job(key).await?;
        if job.delete_time.is_some() {
            return Err(Error::Refused(Refusal::JobDeleted(key.clone())));
        }
        let task = &job.definition.task;
        let mut violations = Violations::default();
        let merged = payload::merged(&task.task_type, &task.payload, over, "payload", &mut violations);
        violations.or(Some((Arc::clone(&job.definition), merged))).map_err(Error::Invalid)
    }

    pub(super) async fn stored_job(&self, key: &JobKey) -> Result<Job, Error> {
        self.ledger.job(key).await?.ok_or_else(|| Error::JobNotFound(key.clone()))
    }
}

/// The name of a job in a request.
pub(super) fn key(namespace: &str, job_id: &str) -> Result<JobKey, Error> {
    let mut violations = Violations::default();
    let key = job_spec::job_key(namespace, job_id, "", &mut violations);
    violations.or(key).map_err(Error::Invalid)
}

/// A payload above the limit has a status of its own.
pub(super) fn check_size(field: &str, payload: Option<&prost_types::Struct>) -> Result<(), Error> {
    let Some(payload) = payload.filter(|payload| payload.encoded_len() > payload::MAX_BYTES / LONGEST_ESCAPE) else {
        return Ok(());
    };
    let bytes = payload::json_bytes(payload);
    if bytes > payload::MAX_BYTES {
        let description = format!("{bytes} bytes of JSON are above {}, the most", payload::MAX_BYTES);
        return Err(Error::TooLarge(Violation { field: field.to_owned(), description }));
    }
    Ok(())
}
