//! A worker whose writes carry their fencing token to a table in Postgres, which refuses a stale one (`fenced.sql`).
//!
//! An attempt whose agent was frozen or cut off is given up after a while, and made again elsewhere under a higher token.
//! The agent stops what it has lost the right to, but what it has on its way nobody can stop: it arrives late, and finds
//! that the next attempt has written.
//!
//! `cargo run -p executor-agent --example fenced -- ID postgres://… http://127.0.0.1:7117`, then create jobs whose tasks
//! have the type `shop/recount`. Tokens ascend for each job and slot: an item belongs to one job of one instance.

use std::time::Duration;

use anyhow::{Context as _, Result};
use executor_agent::schemars::JsonSchema;
use executor_agent::{Agent, Context, Failure};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Executor as _, SqlStr, Statement as _};

const SCHEMA: &str = include_str!("fenced.sql");
const WRITE: &str = "INSERT INTO stock (item, amount, counted_by, fencing_token) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (item) DO UPDATE SET amount = $2, counted_by = $3, fencing_token = $4";
/// What the table says to a stale token.
const STALE: &str = "PF001";

/// Adds to what is there of an item.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recount {
    item: String,
    add: i64,
    /// How long the counting takes, in milliseconds.
    #[serde(default)]
    count_ms: u64,
}

#[derive(Serialize)]
struct Recounted {
    amount: i64,
}

async fn recount(stock: PgPool, id: String, context: Context, payload: Recount) -> Result<Recounted, Failure> {
    let mut stock = stock.acquire().await.map_err(failed)?;
    // Made ready before the work, so that the write is one message.
    let write = stock.prepare(SqlStr::from_static(WRITE)).await.map_err(failed)?;
    let found = sqlx::query_scalar("SELECT amount FROM stock WHERE item = $1").bind(&payload.item);
    let found: Option<i64> = found.fetch_optional(&mut *stock).await.map_err(failed)?;
    context.progress(50.0, "counting").await;
    tokio::time::sleep(Duration::from_millis(payload.count_ms)).await;
    let amount = found.unwrap_or(0) + payload.add;
    let write = write.query().bind(&payload.item).bind(amount).bind(id).bind(context.fencing_token());
    write.execute(&mut *stock).await.map_err(failed)?;
    Ok(Recounted { amount })
}

fn failed(error: sqlx::Error) -> Failure {
    let is_stale = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == STALE);
    if is_stale {
        // Another attempt has the job by now: this one has nothing left to do.
        return Failure::permanent("STALE_TOKEN", error.to_string());
    }
    Failure::new("DATABASE", error.to_string())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let id = args.next().context("call it with a name for this agent, the URL of a database, and those of servers")?;
    let database = args.next().context("the URL of a database is missing")?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let stock = PgPoolOptions::new().max_connections(4).connect(&database).await?;
    sqlx::raw_sql(SCHEMA).execute(&stock).await?;
    let name = id.clone();
    let agent = Agent::builder(id)
        .servers(args)
        // None of the built-in ones.
        .task_types([] as [&str; 0])
        .async_handler("shop/recount", move |context, payload| recount(stock.clone(), name.clone(), context, payload))
        .build()?;
    agent.run().await?;
    Ok(())
}
