//! A worker of its own: an async and a blocking handler with typed payloads.
//!
//! `cargo run -p executor-agent --example worker -- http://127.0.0.1:7117`, then create jobs whose tasks have the types
//! `shop/import` and `shop/count`. SIGTERM or Ctrl-C drains it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use executor_agent::schemars::JsonSchema;
use executor_agent::{Agent, BlockingContext, Context, Failure};
use serde::{Deserialize, Serialize};

/// Imports rows, one after the other.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// How many there are.
    rows: u32,
    /// How long each takes, in milliseconds.
    #[serde(default)]
    row_ms: u64,
}

#[derive(Serialize)]
struct Imported {
    rows: u32,
    fencing_token: i64,
}

async fn import(context: Context, payload: Import) -> Result<Imported, Failure> {
    context.log_line(format!("importing {} rows, attempt {}", payload.rows, context.attempt())).await;
    for row in 0..payload.rows {
        tokio::select! {
            // To end early is not success. What is said here is not shown for a run that was cancelled or ran too long.
            () = context.cancelled() => return Err(Failure::new("INTERRUPTED", format!("at row {row}"))),
            () = tokio::time::sleep(Duration::from_millis(payload.row_ms)) => {}
        }
        let percent = 100.0 * f64::from(row + 1) / f64::from(payload.rows);
        context.progress(percent, format!("row {}", row + 1)).await;
    }
    // A store that is written to would get the token with each write, and refuse one below the highest that it has seen.
    Ok(Imported { rows: payload.rows, fencing_token: context.fencing_token() })
}

/// Counts the lines of a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    /// A file on the worker's machine.
    path: PathBuf,
}

#[derive(Serialize)]
struct Counted {
    lines: u64,
}

fn count(context: &BlockingContext, payload: Count) -> Result<Counted, Failure> {
    // Not there today may be there tomorrow: another attempt can help. `Failure::permanent` says that none can.
    let unreadable = |error| Failure::new("FILE_UNREADABLE", format!("{}: {error}", payload.path.display()));
    let file = File::open(&payload.path).map_err(unreadable)?;
    let mut lines = 0;
    for line in BufReader::new(file).split(b'\n') {
        line.map_err(unreadable)?;
        lines += 1;
        // A thread cannot be stopped from outside, so the handler looks whether it is to stop.
        if context.is_cancelled() {
            return Err(Failure::new("INTERRUPTED", format!("after {lines} lines")));
        }
    }
    context.log_line(format!("{} has {lines} lines", payload.path.display()));
    Ok(Counted { lines })
}

#[tokio::main]
async fn main() -> Result<()> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:7117".to_owned());
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let agent = Agent::builder("shop-worker")
        .servers([server])
        // None of the built-in ones.
        .task_types([] as [&str; 0])
        .async_handler("shop/import", import)
        .blocking_handler("shop/count", count)
        .build()?;
    // Until a signal has drained it and what it had begun is done.
    agent.run().await?;
    Ok(())
}
