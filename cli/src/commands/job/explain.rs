//! `punctual job explain`.

use prost_types::Timestamp;
use punctual_proto::v1::ExplainFireRequest;

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    id: String,
    /// The instant, or how long ago it was: 2026-01-01T00:00:00Z, 10m, 2h; of a time between two, both are named
    #[arg(value_parser = value::past)]
    time: Timestamp,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = ExplainFireRequest { namespace: settings.namespace.clone(), job_id: args.id, time: Some(args.time) };
    let answer = server.answer(server.jobs().explain_fire(request).await)?;
    view::show(settings.output, &answer, view::explanation)
}
