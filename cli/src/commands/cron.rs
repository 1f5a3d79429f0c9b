//! `punctual cron`: expressions and their fires, worked out here, without a server.

mod batch;
mod next;

use clap::Subcommand;
use scheduler_core::Violations;
use scheduler_core::schedule::{Compiled, Context, Schedule};
use scheduler_core::time::Timestamp;
use serde_json::json;

use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::{clock, preview, view};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say in words when an expression fires, or what is wrong with it
    Validate(Args),
    /// List the next fires of an expression, or of many
    Next(next::Args),
}

/// An expression and what it is read under.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The expression, in quotes: "0 2 * * MON-FRI"
    #[arg(value_name = "EXPR", required = true, num_args = 1..)]
    expression: Vec<String>,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, clap::Args)]
struct Terms {
    /// Zone in which the expression is read [default: UTC]
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,
    /// Id of the job from which H is hashed; its namespace is --namespace
    #[arg(long, value_name = "ID")]
    job: Option<String>,
}

pub(crate) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    match command {
        Command::Validate(args) => validate(args, settings),
        Command::Next(args) => next::run(args, settings),
    }
}

fn validate(args: Args, settings: &Settings) -> Result<(), Failure> {
    let hash_key = args.terms.hash_key(settings)?;
    let schedule = Schedule {
        cron: vec![quoted("validate", args.expression)?],
        time_zone: args.terms.time_zone,
        ..Schedule::default()
    };
    let description = compile(schedule, hash_key.as_deref(), clock::now().into())?.describe();
    match settings.output {
        Output::Json => view::value(&json!({ "description": description })),
        Output::Table => view::text(&format!("{description}\n")),
    }
}

impl Terms {
    fn hash_key(&self, settings: &Settings) -> Result<Option<String>, Failure> {
        self.job.as_ref().map(|job_id| preview::hash_key(&settings.namespace, job_id)).transpose()
    }
}

/// The expression, if it came in one piece. A shell takes one that is not in quotes apart, and puts the names of files in
/// place of its stars.
fn quoted(command: &str, mut pieces: Vec<String>) -> Result<String, Failure> {
    match (pieces.pop(), pieces.is_empty()) {
        (Some(expression), true) => Ok(expression),
        _ => Err(Failure::Usage(format!(
            "write the expression in quotes, so that the shell leaves it alone: punctual cron {command} \"0 2 * * *\""
        ))),
    }
}

/// Of a schedule that is one expression.
fn compile(schedule: Schedule, hash_key: Option<&str>, after: Timestamp) -> Result<Compiled, Failure> {
    let context = Context { hash_key, ..Context::preview(after) };
    Compiled::new(&schedule, &context).map_err(|violations| Failure::Expression {
        text: schedule.cron.into_iter().next().unwrap_or_default(),
        faults: faults(violations),
    })
}

/// What is wrong, without the paths of an API that nobody has called.
fn faults(violations: Violations) -> Vec<String> {
    let texts = violations.0.into_iter().map(|violation| match violation.field.as_str() {
        "schedule.time_zone" => format!("time zone: {}", violation.description),
        _ => violation.description,
    });
    texts.collect()
}
