//! `punctual-bench`: measures a server of its own and prints the figures beside what the machine can do at all.
//!
//! Every benchmark starts its own `scheduler-server dev` in a temporary folder, or a cluster, talks to it as any client does,
//! and takes its figures from the ledger afterwards: what is counted is what is recorded. It judges nothing: there is no
//! figure at which it fails.

mod apply;
mod crowd;
mod failover;
mod lateness;
mod saturation;

mod fires;
mod load;
mod server;

mod disk;
mod figures;
mod machine;

mod clock;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures Punctual on this machine; without a name, all benchmarks run
#[derive(Debug, Parser)]
#[command(name = "punctual-bench", version)]
struct Program {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// How late fires start: 100 jobs of every second; and runs per second of 5,000 such jobs
    Lateness(lateness::Size),
    /// How many runs per second are fully recorded when runs are triggered as fast as possible
    Saturation(saturation::Size),
    /// What 100,000 jobs cost: memory, answers, a restart
    Crowd(crowd::Size),
    /// How long `punctual job apply` takes for 100,000 jobs of one file
    Apply(apply::Size),
    /// What the loss of a cluster's leader costs: kills, freezes and stops under load
    Failover(failover::Size),
}

impl Benchmark {
    fn all() -> Vec<Self> {
        vec![
            Self::Lateness(lateness::Size::default()),
            Self::Saturation(saturation::Size::default()),
            Self::Crowd(crowd::Size::default()),
            Self::Apply(apply::Size::default()),
            Self::Failover(failover::Size::default()),
        ]
    }

    async fn run(&self) -> Result<()> {
        match self {
            Self::Lateness(size) => lateness::run(size).await,
            Self::Saturation(size) => saturation::run(size).await,
            Self::Crowd(size) => crowd::run(size).await,
            Self::Apply(size) => apply::run(size).await,
            // It waits as tests do, by blocking.
            Self::Failover(size) => tokio::task::block_in_place(|| failover::run(size)),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let chosen = Program::parse().benchmark.map_or_else(Benchmark::all, |benchmark| vec![benchmark]);
    machine::describe();
    for benchmark in chosen {
        benchmark.run().await?;
    }
    Ok(())
}
