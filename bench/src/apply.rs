//! How long `punctual job apply` takes for many jobs of one file: when all are new, when none has changed, and when some
//! have.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::clock::Watch;
use crate::figures::per_second;
use crate::load;
use crate::server::{Server, Workers, beside_us};

/// One job in so many is changed.
const CHANGED: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct Size {
    /// Jobs in the file
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
    println!("\napply: a YAML file of {jobs} jobs, given to `punctual job apply`");
    let server = Server::start(Workers::default()).await?;
    let path = server.folder().join("jobs.yaml");
    for (what, priority) in [("all are new", 0), ("none has changed", 0), ("one in a hundred has changed", 1)] {
        std::fs::write(&path, file(jobs, priority))?;
        let watch = Watch::start();
        let said = apply(&server, &path)?;
        let took = watch.elapsed();
        println!("  {what}: {:.1} s, {:.0} jobs/s; {said}", took.as_secs_f64(), per_second(jobs as u64, took));
    }
    server.stop().await
}

fn file(jobs: usize, priority: usize) -> String {
    let mut text = String::new();
    for n in 0..jobs {
        let priority = if n.is_multiple_of(CHANGED) { priority } else { 0 };
        let (id, team) = (load::job_id(n), n % 100);
        writeln!(
            text,
            "- jobId: {id}\n  schedule: {{cron: [\"H H 1 1 *\"], timeZone: Europe/Paris}}\n  priority: {priority}\n  \
             labels: {{team: team-{team}}}\n  task: {{type: process, payload: {{command: [/bin/true, \"{n}\"]}}}}"
        )
        .expect("because a string takes all");
    }
    text
}

/// The last line of what it says: the counts.
fn apply(server: &Server, path: &Path) -> Result<String> {
    let mut command = Command::new(beside_us("punctual")?);
    command.args(["job", "apply", "--server", &server.url(), "--file"]).arg(path);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start punctual")?;
    ensure!(output.status.success(), "punctual job apply ended with {}", output.status);
    let said = String::from_utf8(output.stdout).context("punctual said what is no text")?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}
