//! What many jobs cost that have nothing to do now: memory, the answers to what people ask, and a restart.

use anyhow::{Context as _, Result};
use clap::Args;
use punctual_proto::v1;

use crate::clock::Watch;
use crate::figures::{Spread, per_second};
use crate::fires;
use crate::load::{self, AT_ONCE};
use crate::server::{Server, Workers};

/// Calls of each kind, one after the other.
const CALLS: usize = 200;
/// Pages of what will fire.
const PAGES: usize = 20;
/// Runs in the history of one job.
const RUNS: usize = 2_000;

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// Jobs to create
    #[arg(long, default_value_t = Size::default().jobs)]
    jobs: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { jobs: 100_000 }
    }
}

pub(crate) async fn run(size: &Size) -> Result<()> {
    let jobs = size.jobs;
    println!("\ncrowd: {jobs} jobs that fire once a year, created over gRPC with {AT_ONCE} calls under way");
    let mut server = Server::start(Workers::default()).await?;
    println!("  memory before: {}", megabytes(server.resident()?));
    let watch = Watch::start();
    create(&server, jobs).await?;
    println!("  created: {:.0} jobs/s", per_second(jobs as u64, watch.elapsed()));
    println!("  memory: {}", megabytes(server.resident()?));
    load::at_once(RUNS, |_| {
        let mut client = server.jobs();
        let request = v1::TriggerJobRequest { job_id: load::job_id(jobs / 2), ..v1::TriggerJobRequest::default() };
        async move { client.trigger_job(request).await.map(drop).context("a trigger is refused") }
    })
    .await?;
    fires::wait_until_ended(&server, v1::ListRunsRequest::default()).await?;
    ask(&server, jobs).await?;
    let ready = server.kill_and_start().await?;
    println!("  kill -9 and start: leads again after {:.2} s", ready.as_secs_f64());
    println!("  memory after the restart: {}", megabytes(server.resident()?));
    server.stop().await
}

async fn create(server: &Server, jobs: usize) -> Result<()> {
    load::at_once(jobs, |n| {
        let mut client = server.jobs();
        let schedule = v1::Schedule { cron: vec!["H H 1 1 *".to_owned()], ..v1::Schedule::default() };
        let job = v1::Job {
            job_id: load::job_id(n),
            schedule: Some(schedule),
            task: Some(v1::Task { r#type: "noop".to_owned(), payload: None }),
            max_instances: Some(64),
            max_queued: Some(10_000),
            labels: [("team".to_owned(), format!("team-{}", n % 100))].into(),
            ..v1::Job::default()
        };
        let request = v1::CreateJobRequest { job: Some(job), ..v1::CreateJobRequest::default() };
        async move { client.create_job(request).await.map(drop).context("a job is refused") }
    })
    .await
}

/// What people ask of a server, over one connection.
async fn ask(server: &Server, jobs: usize) -> Result<()> {
    let (mut job_client, mut run_client) = (server.jobs(), server.runs());
    let mut timed = Timed::default();
    for n in 0..CALLS {
        let request = v1::GetJobRequest { job_id: load::job_id(n * jobs / CALLS), ..Default::default() };
        timed.call(job_client.get_job(request)).await?;
    }
    timed.tell("GetJob");
    let mut page_token = String::new();
    for _ in 0..CALLS {
        let request = v1::ListJobsRequest { page_token, ..Default::default() };
        page_token = timed.call(job_client.list_jobs(request)).await?.into_inner().next_page_token;
    }
    timed.tell("ListJobs, pages of 50");
    for n in 0..CALLS {
        let labels = [("team".to_owned(), format!("team-{}", n % 100))].into();
        timed.call(job_client.list_jobs(v1::ListJobsRequest { labels, ..Default::default() })).await?;
    }
    timed.tell("ListJobs of a label that a hundredth has");
    let mut page_token = String::new();
    for _ in 0..RUNS / 50 {
        let request = v1::ListRunsRequest { job_id: load::job_id(jobs / 2), page_token, ..Default::default() };
        page_token = timed.call(run_client.list_runs(request)).await?.into_inner().next_page_token;
    }
    timed.tell(&format!("ListRuns of a job with {RUNS}, pages of 50"));
    for _ in 0..CALLS {
        timed.call(server.scheduler().get_status(v1::GetStatusRequest {})).await?;
    }
    timed.tell("GetStatus");
    let mut page_token = String::new();
    for _ in 0..PAGES {
        let request = v1::ListUpcomingFiresRequest { page_token, ..Default::default() };
        page_token = timed.call(job_client.list_upcoming_fires(request)).await?.into_inner().next_page_token;
    }
    timed.tell("ListUpcomingFires, pages of 50");
    Ok(())
}

/// How long calls of one kind took, in microseconds.
#[derive(Default)]
struct Timed(Vec<i64>);

impl Timed {
    async fn call<T>(&mut self, call: impl Future<Output = T>) -> T {
        let watch = Watch::start();
        let answer = call.await;
        self.0.push(i64::try_from(watch.elapsed().as_micros()).unwrap_or(i64::MAX));
        answer
    }

    /// Prints them, and begins anew.
    fn tell(&mut self, what: &str) {
        println!("  {what}: {}", Spread::new(std::mem::take(&mut self.0)).text());
    }
}

fn megabytes((now, most): (u64, u64)) -> String {
    format!("{} MB resident, {} MB at most", now / 1_000_000, most / 1_000_000)
}
