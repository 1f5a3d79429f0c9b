//! The `executor-agent` program.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use executor_agent::settings::{Flags, LogFormat, Settings};
use tracing::info;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // First: this may be the supervisor of a task.
    executor_agent::init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // The whole chain of causes on one line.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let settings = Flags::parse().resolve()?;
    log_to_stderr(settings.log_format);
    tokio::runtime::Runtime::new()?.block_on(work(settings))
}

async fn work(settings: Settings) -> Result<()> {
    let agent = settings.agent.build()?;
    let task_types = agent.task_types().join(",");
    info!(id = %settings.id, instance = %agent.instance(), %task_types, "this agent offers the task types {task_types}");
    Ok(agent.run().await?)
}

fn log_to_stderr(format: Option<LogFormat>) {
    let is_terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format.unwrap_or(if is_terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => builder.with_ansi(is_terminal).init(),
        LogFormat::Json => builder.json().init(),
    }
}
