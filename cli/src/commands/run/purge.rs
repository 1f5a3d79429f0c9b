//! `punctual run purge`: one call after the other, and how far it is in between.

use prost_types::Timestamp;
use punctual_proto::v1::{PurgeRunsRequest, PurgeRunsResponse, run};

use super::state;
use crate::client::Server;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::{value, view};

/// Runs a call: some seconds' worth.
const RUNS: i32 = 5_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs that ended before this instant, or so long ago: 2026-01-01T00:00:00Z, 30d
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    ended_before: Timestamp,
    /// Only runs of this job
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    job: String,
    /// Only runs in this state, or in one of several: A,B
    #[arg(long = "state", value_name = "STATE,…", value_parser = state, value_delimiter = ',')]
    states: Vec<run::State>,
    /// Count them and delete nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = PurgeRunsRequest {
        namespace: settings.namespace.clone(),
        job_id: args.job,
        states: args.states.into_iter().map(i32::from).collect(),
        ended_before: Some(args.ended_before),
        validate_only: args.dry_run,
        max_runs: if args.dry_run { 0 } else { RUNS },
    };
    let mut purged = PurgeRunsResponse::default();
    loop {
        let part = server.answer(server.runs().purge_runs(request.clone()).await)?;
        purged.runs += part.runs;
        purged.more = part.more;
        if !part.more || args.dry_run {
            break;
        }
        if settings.output == Output::Table {
            anstream::eprintln!("{} runs deleted, going on", purged.runs);
        }
    }
    view::show(settings.output, &purged, |purged, _| match (args.dry_run, purged.more) {
        (true, true) => format!("more than {} runs would be deleted\n", purged.runs),
        (true, false) => format!("{} runs would be deleted\n", purged.runs),
        (false, _) => format!("{} runs deleted; runs of the last hour stay\n", purged.runs),
    })
}
