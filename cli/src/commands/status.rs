//! How the cluster is doing.

use punctual_proto::v1::GetStatusRequest;

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

pub(crate) async fn run(settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let status = server.answer(server.scheduler().get_status(GetStatusRequest {}).await)?;
    view::show(settings.output, &status, view::status)
}
