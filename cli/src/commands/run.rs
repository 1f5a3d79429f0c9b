//! `punctual run`, and the history of a job, which is the same list.

mod act;
pub(crate) mod logs;
mod purge;
mod watch;

use clap::Subcommand;
use prost_types::Timestamp;
use punctual_proto::v1::{GetRunRequest, ListRunsRequest, run};

use crate::client::Server;
use crate::commands::{ALL, Page, labels};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view::Whose;
use crate::{value, view};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List runs, newest first
    List {
        /// Only runs of this job
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        job: String,
        /// Only runs of jobs whose id starts with this
        #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
        query: String,
        #[command(flatten)]
        filter: Filter,
    },
    /// Show one run with its attempts
    Get {
        /// Id of the run
        run_id: String,
    },
    /// Print what a run's task wrote, as it wrote it
    Logs(logs::Args),
    /// Print each state of each run as it comes, over restarts of the server too
    Watch(watch::Args),
    /// End a waiting run, or ask the agent of a running one to end it
    Cancel(act::Cancel),
    /// Run an ended run again, as a new run
    Retry(act::Retry),
    /// Delete ended runs ahead of their jobs' retention
    Purge(purge::Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only runs in this state, or in one of several: A,B
    #[arg(long = "state", value_name = "STATE,…", value_parser = state, value_delimiter = ',')]
    states: Vec<run::State>,
    /// Only runs with this trigger, or with one of several: A,B
    #[arg(long = "trigger", value_name = "TRIGGER,…", value_parser = trigger, value_delimiter = ',')]
    triggers: Vec<run::Trigger>,
    /// Only runs whose current or last attempt is on this agent
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    agent: String,
    /// Only runs that have this label, and each further one
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// Only runs scheduled at this instant or later, or so long ago at most: 2026-01-01T00:00:00Z, 2h, 30d
    #[arg(long = "since", visible_alias = "scheduled-after", value_name = "TIME", value_parser = value::past)]
    scheduled_after: Option<Timestamp>,
    /// Only runs scheduled before this instant, or longer ago
    #[arg(long = "until", visible_alias = "scheduled-before", value_name = "TIME", value_parser = value::past)]
    scheduled_before: Option<Timestamp>,
    /// Only runs of this backfill
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    backfill: String,
    #[command(flatten)]
    page: Page,
}

impl Filter {
    fn is_narrow(&self) -> bool {
        !(self.states.is_empty() && self.triggers.is_empty() && self.agent.is_empty() && self.labels.is_empty())
            || self.scheduled_after.is_some()
            || self.scheduled_before.is_some()
    }
}

fn state(text: &str) -> Result<run::State, String> {
    let all = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED", "MISSED", "EXPIRED"];
    value::name(text, run::State::from_str_name, &all)
}

fn trigger(text: &str) -> Result<run::Trigger, String> {
    value::name(text, run::Trigger::from_str_name, &["SCHEDULE", "MANUAL", "BACKFILL", "RETRY", "AFTER_JOB"])
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    match command {
        Command::List { job, query, filter } => list(job, query, filter, settings).await,
        Command::Get { run_id } => get(run_id, settings).await,
        Command::Logs(args) => logs::run(args, settings).await,
        Command::Watch(args) => watch::run(args, settings).await,
        Command::Cancel(args) => act::cancel(args, settings).await,
        Command::Retry(args) => act::retry(args, settings).await,
        Command::Purge(args) => purge::run(args, settings).await,
    }
}

pub(crate) async fn history(id: String, filter: Filter, settings: &Settings) -> Result<(), Failure> {
    list(id, String::new(), filter, settings).await
}

async fn list(job_id: String, query: String, filter: Filter, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let whose = match (job_id.as_str(), settings.namespace.as_str()) {
        (_, ALL) => Whose::All,
        ("", _) => Whose::Namespace,
        _ => Whose::Job,
    };
    let narrowed = !query.is_empty() || filter.is_narrow();
    let request = ListRunsRequest {
        namespace: settings.namespace.clone(),
        job_id: job_id.clone(),
        states: filter.states.into_iter().map(i32::from).collect(),
        triggers: filter.triggers.into_iter().map(i32::from).collect(),
        agent_id: filter.agent,
        labels: labels(filter.labels),
        query,
        scheduled_after: filter.scheduled_after,
        scheduled_before: filter.scheduled_before,
        backfill_id: filter.backfill,
        page_size: filter.page.page_size,
        page_token: filter.page.page_token,
    };
    let page = server.answer(server.runs().list_runs(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.runs.as_slice() {
        [] if narrowed => "No run is like that. See all of them: punctual run list\n".to_owned(),
        [] if job_id.is_empty() => "No runs. Start one: punctual job trigger ID\n".to_owned(),
        [] => format!("No runs of {job_id}. Start one: punctual job trigger {job_id}\n"),
        _ => view::runs(page, scene, whose),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}

async fn get(run_id: String, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = GetRunRequest { namespace: settings.namespace.clone(), run_id };
    let run = server.answer(server.runs().get_run(request).await)?;
    view::show(settings.output, &run, view::run)
}
