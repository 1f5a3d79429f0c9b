//! `punctual run watch`: a line for each state of each run, as it comes.

use punctual_proto::v1::{WatchRunsRequest, run};

use crate::client::Server;
use crate::commands::follow;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::view;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs of this job
    #[arg(default_value = "", hide_default_value = true)]
    job: String,
    /// Only runs with this trigger, or with one of several: A,B
    #[arg(long = "trigger", value_name = "TRIGGER,…", value_parser = super::trigger, value_delimiter = ',')]
    triggers: Vec<run::Trigger>,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = WatchRunsRequest {
        namespace: settings.namespace.clone(),
        job_id: args.job,
        triggers: args.triggers.into_iter().map(i32::from).collect(),
        resume_token: String::new(),
    };
    if settings.output == Output::Table {
        anstream::eprintln!("Watching; the runs not ended come first. End it with Ctrl-C.");
    }
    follow::runs(&server, settings, request, |run| {
        match settings.output {
            // A line each, so that it can be read as it comes.
            Output::Json => view::text(&format!("{}\n", view::json::of(run)))?,
            Output::Table => view::show(Output::Table, run, view::run_line)?,
        }
        Ok(false)
    })
    .await
}
