//! `punctual lock`.

use punctual_proto::v1::ListLocksRequest;

use crate::client::Server;
use crate::commands::Page;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the slots of jobs that are held, and by which attempts
    List(List),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only slots of this job
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    job: String,
    /// Only slots that this agent holds
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    agent: String,
    #[command(flatten)]
    page: Page,
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let Command::List(args) = command;
    let server = Server::reach(settings).await?;
    let request = ListLocksRequest {
        namespace: settings.namespace.clone(),
        job_id: args.job,
        agent_id: args.agent,
        page_size: args.page.page_size,
        page_token: args.page.page_token,
    };
    let page = server.answer(server.scheduler().list_locks(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.locks.as_slice() {
        [] => "No slot is held: nothing runs.\n".to_owned(),
        _ => view::locks(page, scene),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}
