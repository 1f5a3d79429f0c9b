//! A job's revisions: what each change left, what it changed, and the way back.

use job_spec::enums;
use job_spec::time::proto_instant;
use ledger::{Page, Revision};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::engine::{Command, Refusal};
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Definition, JobKey};

use super::job::key;
use super::update::MOST_TRIES;
use super::{Call, Error, Service, clean, diff, page};

/// The payload of a revision's task.
const TASK: &str = "task.payload";

impl Service {
    pub async fn list_job_revisions(
        &self,
        request: v1::ListJobRevisionsRequest,
    ) -> Result<v1::ListJobRevisionsResponse, Error> {
        let job = self.stored_job(&key(&request.namespace, &request.job_id)?).await?;
        let size = page::size(&request)?;
        let after = page::after::<i64, _>(&request)?;
        // The one before the last is needed to tell what the last changed.
        let found = self.ledger.revisions(job.uid, &Page { size: size + 1, after }).await?.items;
        let shown: Vec<v1::Job> = found.iter().map(|revision| self.as_of(revision)).collect();
        let revisions: Vec<_> = found
            .iter()
            .zip(&shown)
            .enumerate()
            .take(size as usize)
            .map(|(i, (revision, job))| proto(revision, job, shown.get(i + 1)))
            .collect();
        let more = found.len() > revisions.len();
        let next = revisions.last().filter(|_| more).map(|last| page::token(&request, &i64::from(last.revision)));
        Ok(v1::ListJobRevisionsResponse { revisions, next_page_token: next.unwrap_or_default() })
    }

    pub async fn restore_job_revision(
        &self,
        call: &Call,
        request: v1::RestoreJobRevisionRequest,
    ) -> Result<v1::Job, Error> {
        const METHOD: &str = "RestoreJobRevision";
        let job = key(&request.namespace, &request.job_id)?;
        let note = clean::note(&request.note)?;
        if request.revision < 1 {
            return Err(Error::field("revision", "is the number of a revision, from 1"));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let stored = self.stored_job(&job).await?;
            if stored.delete_time.is_some() {
                return Err(Error::Refused(Refusal::JobDeleted(job)));
            }
            if !request.etag.is_empty() && request.etag != stored.etag() {
                let resource = format!("job {job}");
                return Err(Error::Refused(Refusal::StaleEtag { resource, etag: stored.etag() }));
            }
            let definition = self.definition_of(&job, stored.uid, request.revision).await?;
            // As an update is: a task that stays as it is hinders nothing.
            if stored.definition.task != definition.task {
                let unfit =
                    self.check_payload(call, &definition.task.task_type, &definition.task.payload, TASK).await?;
                unfit.or(()).map_err(|unfit| Error::Invalid(of_revision(&unfit)))?;
            }
            let command = Command::RestoreJobRevision {
                job: job.clone(),
                definition: Box::new(definition),
                etag: Some(stored.etag()),
                note: if note.is_empty() { format!("revision {}", request.revision) } else { note.clone() },
                validate_only: request.validate_only,
            };
            match self.write_job(call, None, command, METHOD).await {
                // It was changed, or deleted and created anew, since it was read.
                Err(Error::Refused(Refusal::StaleEtag { .. })) if request.etag.is_empty() && tries < MOST_TRIES => {}
                outcome => return outcome,
            }
        }
    }

    pub async fn undelete_job(&self, call: &Call, request: v1::UndeleteJobRequest) -> Result<v1::Job, Error> {
        let job = key(&request.namespace, &request.job_id)?;
        self.write_job(call, None, Command::UndeleteJob { job }, "UndeleteJob").await
    }

    async fn definition_of(&self, job: &JobKey, uid: JobUid, revision: i32) -> Result<Definition, Error> {
        let revision = i64::from(revision);
        let found = self.ledger.revisions(uid, &Page { size: 1, after: Some(revision + 1) }).await?.items;
        let found = found.into_iter().find(|found| found.job.revision == revision);
        let found = found.ok_or_else(|| Error::RevisionNotFound { job: job.clone(), revision })?;
        Ok((*found.job.definition).clone())
    }

    /// The job as the change left it. What its schedule came to then is of no use to anybody.
    fn as_of(&self, revision: &Revision) -> v1::Job {
        let shown = job_spec::job(&revision.job, None, self.now(), &|_| None);
        v1::Job { next_fire_time: None, ..shown }
    }
}

/// What is wrong with the task of a revision is wrong with the number that names it.
fn of_revision(unfit: &Violations) -> Violations {
    let mut violations = Violations::default();
    for violation in &unfit.0 {
        violations.add("revision", format!("{} {}", violation.field, violation.description));
    }
    violations
}

fn proto(revision: &Revision, job: &v1::Job, before: Option<&v1::Job>) -> v1::JobRevision {
    v1::JobRevision {
        revision: job.revision,
        job: Some(job.clone()),
        change: enums::proto_change(revision.change).into(),
        author: revision.author.clone(),
        note: revision.note.clone(),
        effective_from: Some(proto_instant(revision.job.effective_from)),
        changes: before.map(|before| diff::changes(before, job)).unwrap_or_default(),
    }
}
