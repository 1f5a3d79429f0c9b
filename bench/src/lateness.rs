//! How late fires are, and how many a server keeps up with.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::clock::{self, Watch};
use crate::disk::Syncs;
use crate::figures::{millis, per_second, share};
use crate::fires::{self, Fires, Span};
use crate::load;
use crate::server::{Server, Workers};

const PERIOD: Duration = Duration::from_secs(1);
/// Jobs fire for the first time a period after they were made; the measurement starts with the second time.
const WARM_UP: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// Jobs of every second whose lateness is measured
    #[arg(long, default_value_t = Size::default().jobs)]
    jobs: usize,
    /// Jobs of every second whose runs are counted
    #[arg(long, default_value_t = Size::default().many_jobs)]
    many_jobs: usize,
    /// Seconds for which each is measured
    #[arg(long, default_value_t = Size::default().seconds)]
    seconds: u32,
    #[command(flatten)]
    workers: Workers,
}

impl Default for Size {
    fn default() -> Self {
        Self { jobs: 100, many_jobs: 5_000, seconds: 20, workers: Workers::default() }
    }
}

/// What one measurement has found.
struct Measured {
    fires: Fires,
    length: Duration,
    /// Transactions that the ledger was asked for meanwhile.
    transactions: u64,
    syncs: Syncs,
}

pub(crate) async fn run(size: &Size) -> Result<()> {
    let length = Duration::from_secs(size.seconds.into());
    println!("\nlateness: {} jobs of every second for {} s, no-op tasks", size.jobs, size.seconds);
    let few = measure(size.jobs, length, size.workers).await?;
    few.tell_fires(size.jobs);
    few.tell_lateness();
    few.tell_commits();
    println!("\nruns per second: {} jobs of every second for {} s, no-op tasks", size.many_jobs, size.seconds);
    let many = measure(size.many_jobs, length, size.workers).await?;
    many.tell_fires(size.many_jobs);
    many.tell_lateness();
    many.tell_commits();
    Ok(())
}

async fn measure(jobs: usize, length: Duration, workers: Workers) -> Result<Measured> {
    let server = Server::start(workers).await?;
    let syncs = Syncs::measure(server.folder())?;
    let creating = Watch::start();
    load::create_jobs(&server, jobs, Some(PERIOD)).await?;
    println!("  created in {:.2} s; {} slots", creating.elapsed().as_secs_f64(), server.slots());
    tokio::time::sleep(WARM_UP).await;
    let span = Span { start: clock::wall(), length };
    let before = server.transactions().await?;
    tokio::time::sleep(length).await;
    let transactions = server.transactions().await? - before;
    let fires = fires::of(&server, span).await?;
    server.stop().await?;
    Ok(Measured { fires, length, transactions, syncs })
}

impl Measured {
    fn tell_fires(&self, jobs: usize) {
        let due = jobs as u64 * self.length.as_secs();
        let Fires { succeeded, coalesced, skipped, missed, failed, .. } = self.fires;
        let rate = per_second(succeeded, self.length);
        println!("  {due} fires due: {succeeded} runs succeeded, {coalesced} fires coalesced into them");
        println!("  rows of fires that did not run: {skipped} SKIPPED, {missed} MISSED; runs that failed: {failed}");
        println!("  {rate:.0} runs/s, {} of the fires due", share(rate, per_second(due, self.length)));
    }

    fn tell_lateness(&self) {
        println!("  entered in the ledger (createTime - scheduledTime): {}", self.fires.entry.text());
        println!("  started by the agent (startTime - scheduledTime):   {}", self.fires.start.text());
        let Some(median) = self.fires.start.percentile(50) else { return };
        let sync = i64::try_from(self.syncs.period().as_micros()).unwrap_or(i64::MAX).max(1);
        let tenths = median * 10 / sync;
        println!(
            "  limit: a start waits for one sync of the disk, {}; the median start is {}.{} of them late",
            millis(sync),
            tenths / 10,
            tenths % 10
        );
    }

    fn tell_commits(&self) {
        let commits = per_second(self.transactions, self.length);
        let syncs = self.syncs.per_second;
        println!(
            "  limit: {syncs:.0} syncs/s of one writer on this disk; {commits:.0} commits/s, {}",
            share(commits, syncs)
        );
    }
}
