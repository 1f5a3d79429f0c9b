//! `punctual job trigger`.

use prost_types::{Struct, Timestamp};
use punctual_proto::v1::TriggerJobRequest;

use crate::client::Server;
use crate::commands::labels;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    id: String,
    /// A JSON object, merged over the payload of the job for this run
    #[arg(long, value_name = "JSON", value_parser = value::payload)]
    payload: Option<Struct>,
    /// A label of this run; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// Do not start before this instant: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    not_before: Option<Timestamp>,
    /// Makes the call safe to repeat for 24 h: with the same id it enters no second run
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = TriggerJobRequest {
        namespace: settings.namespace.clone(),
        job_id: args.id,
        payload: args.payload,
        labels: labels(args.labels),
        not_before: args.not_before,
        request_id: args.request_id,
    };
    let run = server.answer(server.jobs().trigger_job(request).await)?;
    view::show(settings.output, &run, |run, _| format!("{}\n", run.run_id))
}
