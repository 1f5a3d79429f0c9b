//! `punctual step-down`.

use punctual_proto::v1::StepDownRequest;

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only if this node leads
    #[arg(long, value_name = "NODE", default_value = "", hide_default_value = true)]
    node: String,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = StepDownRequest { node_id: args.node };
    let answer = server.answer(server.scheduler().step_down(request).await)?;
    view::show(settings.output, &answer, |answer, _| {
        format!("{} has stepped down, epoch {} is over\n", answer.node_id, answer.epoch)
    })
}
