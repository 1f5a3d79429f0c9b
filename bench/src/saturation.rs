//! How many runs a second go all the way: triggered, entered, handed out, run, reported, recorded.

use anyhow::{Context as _, Result};
use clap::Args;
use punctual_proto::v1;

use crate::clock::Watch;
use crate::disk::Syncs;
use crate::figures::{per_second, share};
use crate::fires;
use crate::load::{self, AT_ONCE};
use crate::server::{Server, Workers};

/// Runs are spread over this many jobs, because the writes of one job wait for each other.
const JOBS: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// Runs to trigger
    #[arg(long, default_value_t = Size::default().runs)]
    runs: usize,
    #[command(flatten)]
    workers: Workers,
}

impl Default for Size {
    fn default() -> Self {
        Self { runs: 20_000, workers: Workers::default() }
    }
}

pub(crate) async fn run(size: &Size) -> Result<()> {
    let runs = size.runs;
    println!("\nsaturation: {runs} no-op runs of {JOBS} jobs, triggered over gRPC with {AT_ONCE} calls under way");
    let server = Server::start(size.workers).await?;
    println!("  {} slots", server.slots());
    let syncs = Syncs::measure(server.folder())?;
    load::create_jobs(&server, JOBS, None).await?;
    let before = server.transactions().await?;
    let watch = Watch::start();
    load::at_once(runs, |n| {
        let mut jobs = server.jobs();
        let request = v1::TriggerJobRequest { job_id: load::job_id(n % JOBS), ..v1::TriggerJobRequest::default() };
        async move { jobs.trigger_job(request).await.map(drop).context("a trigger is refused") }
    })
    .await?;
    let acknowledged = watch.elapsed();
    fires::wait_until_ended(&server, v1::ListRunsRequest::default()).await?;
    let recorded = watch.elapsed();
    let transactions = server.transactions().await? - before;
    server.stop().await?;

    let (count, commits) = (runs as u64, per_second(transactions, recorded));
    println!("  acknowledged: {:.0} triggers/s", per_second(count, acknowledged));
    println!(
        "  recorded to their end: {:.0} runs/s, {:.2} s in all",
        per_second(count, recorded),
        recorded.as_secs_f64()
    );
    println!(
        "  limit: {:.0} syncs/s of one writer on this disk; {commits:.0} commits/s, {}; {:.1} runs a commit",
        syncs.per_second,
        share(commits, syncs.per_second),
        per_second(count, recorded) / commits
    );
    Ok(())
}
