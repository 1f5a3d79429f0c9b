//! UpdateJob: reads the job, applies the mask, and hands the whole definition to the leader under the etag that
//! was read.

use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::engine::{Command, Refusal};
use scheduler_core::job::{Job, JobKey};

use super::error::in_job;
use super::job::check_size;
use super::mask::Mask;
use super::{Call, Error, Service};

const METHOD: &str = "UpdateJob";
/// How often a client without an etag may be overtaken by other changes.
pub(super) const MOST_TRIES: usize = 8;

impl Service {
    pub async fn update_job(&self, call: &Call, request: v1::UpdateJobRequest) -> Result<v1::Job, Error> {
        let job = request.job.as_ref().ok_or_else(|| Error::field("job", "is required"))?;
        check_size("job.task.payload", job.task.as_ref().and_then(|task| task.payload.as_ref()))?;
        let mut violations = Violations::default();
        let key = job_spec::job_key(&job.namespace, &job.job_id, "job.", &mut violations);
        let mask = Mask::read(request.update_mask.as_ref(), job, &mut violations);
        violations.or(()).map_err(Error::Invalid)?;

        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = match self.ledger.job(&key).await? {
                Some(stored) if stored.delete_time.is_none() => {
                    Box::pin(self.update_stored(call, &key, &stored, &mask, &request)).await
                }
                _ if request.allow_missing && job.etag.is_empty() => {
                    Box::pin(self.create_missing(call, job, &request)).await
                }
                Some(_) => Err(Error::Refused(Refusal::JobDeleted(key.clone()))),
                None => Err(Error::JobNotFound(key.clone())),
            };
            match outcome {
                // It was changed, created or deleted since it was read.
                Err(Error::Refused(Refusal::StaleEtag { .. } | Refusal::JobExists(_)))
                    if job.etag.is_empty() && tries < MOST_TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn update_stored(
        &self,
        call: &Call,
        key: &JobKey,
        stored: &Job,
        mask: &Mask,
        request: &v1::UpdateJobRequest,
    ) -> Result<v1::Job, Error> {
        let given = request.job.clone().unwrap_or_default();
        if !given.etag.is_empty() && given.etag != stored.etag() {
            return Err(Error::Refused(Refusal::StaleEtag { resource: format!("job {key}"), etag: stored.etag() }));
        }
        let shown = self.job_shown(stored).await?;
        let merged = mask.apply(&shown, &given);
        let (_, definition) = job_spec::definition(&merged, &self.rules(stored.create_time))
            .map_err(|violations| Error::Invalid(in_job(violations)))?;
        if *stored.definition == definition {
            return Ok(shown);
        }
        // A task that stays as it was hinders no other change.
        if stored.definition.task != definition.task {
            self.check_task(call, &definition.task).await?.or(()).map_err(Error::Invalid)?;
        }
        let command = Command::UpdateJob {
            job: key.clone(),
            definition: Box::new(definition),
            etag: Some(stored.etag()),
            validate_only: request.validate_only,
        };
        self.write_job(call, None, command, METHOD).await
    }

    async fn create_missing(
        &self,
        call: &Call,
        job: &v1::Job,
        request: &v1::UpdateJobRequest,
    ) -> Result<v1::Job, Error> {
        let (job, definition) = job_spec::definition(job, &self.rules(self.now()))
            .map_err(|violations| Error::Invalid(in_job(violations)))?;
        self.check_task(call, &definition.task).await?.or(()).map_err(Error::Invalid)?;
        let validate_only = request.validate_only;
        let command = Command::CreateJob { job, definition: Box::new(definition), validate_only };
        self.write_job(call, None, command, METHOD).await
    }
}
