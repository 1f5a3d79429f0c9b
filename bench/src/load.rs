//! Jobs made for measuring, and many calls at a time.

use std::time::Duration;

use anyhow::{Context as _, Result};
use punctual_proto::v1;
use tokio::task::JoinSet;

use crate::server::Server;

/// Calls under way at the same time.
pub(crate) const AT_ONCE: usize = 256;

/// Makes `count` jobs whose task does nothing, that fire `every` so often or only when triggered.
pub(crate) async fn create_jobs(server: &Server, count: usize, every: Option<Duration>) -> Result<()> {
    let every = every.map(prost_types::Duration::try_from).transpose().context("a period that protobuf can say")?;
    at_once(count, |n| {
        let mut jobs = server.jobs();
        let job = v1::Job {
            job_id: job_id(n),
            schedule: every.map(|every| v1::Schedule { every: vec![every], ..v1::Schedule::default() }),
            task: Some(v1::Task { r#type: "noop".to_owned(), payload: None }),
            ..v1::Job::default()
        };
        let request = v1::CreateJobRequest { job: Some(job), ..v1::CreateJobRequest::default() };
        async move { jobs.create_job(request).await.map(drop).context("a job is refused") }
    })
    .await
}

pub(crate) fn job_id(n: usize) -> String {
    format!("job-{n}")
}

/// Makes the calls 0 to `count`, in order, up to [`AT_ONCE`] of them at a time.
pub(crate) async fn at_once<F>(count: usize, mut call: impl FnMut(usize) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for n in 0..count {
        if under_way.len() == AT_ONCE
            && let Some(ended) = under_way.join_next().await
        {
            ended??;
        }
        under_way.spawn(call(n));
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}
