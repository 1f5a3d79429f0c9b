//! What is read from the ledger, as it is shown.

use job_spec::RunView;
use ledger::StoredRun;
use punctual_proto::v1;
use scheduler_core::ids::JobUid;
use scheduler_core::job::Job;

use super::{Error, Service};

pub(super) fn run(stored: &StoredRun) -> v1::Run {
    job_spec::run(&stored.run, &stored.later_attempts, RunView::Whole)
}

pub(super) fn listed_run(stored: &StoredRun) -> v1::Run {
    job_spec::run(&stored.run, &stored.later_attempts, RunView::WithoutAttempts)
}

impl Service {
    pub(super) async fn jobs_shown(&self, jobs: &[Job]) -> Result<Vec<v1::Job>, Error> {
        let uids: Vec<JobUid> = jobs.iter().map(|job| job.uid).collect();
        let last_runs = self.ledger.last_runs(&uids).await?;
        let now = self.now();
        Ok(jobs.iter().map(|job| job_spec::job(job, last_runs.get(&job.uid), now)).collect())
    }

    pub(super) async fn job_shown(&self, job: &Job) -> Result<v1::Job, Error> {
        let last_runs = self.ledger.last_runs(&[job.uid]).await?;
        Ok(job_spec::job(job, last_runs.get(&job.uid), self.now()))
    }

    /// A job as a write left it. The write is done: that its last run cannot be read makes no failure of it.
    pub(super) async fn written(&self, job: Job) -> v1::Job {
        match self.job_shown(&job).await {
            Ok(shown) => shown,
            Err(_) => job_spec::job(&job, None, self.now()),
        }
    }
}
