//! `punctual upcoming` and `punctual namespace list`: what is there, over all jobs.

use prost_types::Timestamp;
use punctual_proto::v1::{ListNamespacesRequest, ListUpcomingFiresRequest};

use crate::client::Server;
use crate::commands::Page;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only fires of this job
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    job: String,
    /// Only fires before this instant: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    before: Option<Timestamp>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Namespaces {
    /// List the namespaces that a job or calendar has named
    List(NamespaceArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NamespaceArgs {
    #[command(flatten)]
    page: Page,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = ListUpcomingFiresRequest {
        namespace: settings.namespace.clone(),
        job_id: args.job,
        before: args.before,
        page_size: args.page.page_size,
        page_token: args.page.page_token,
    };
    let page = server.answer(server.jobs().list_upcoming_fires(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.fires.as_slice() {
        [] => "Nothing will fire. See why: punctual job list\n".to_owned(),
        _ => view::upcoming(page, scene),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}

pub(crate) async fn namespaces(command: Namespaces, settings: &Settings) -> Result<(), Failure> {
    let Namespaces::List(args) = command;
    let server = Server::reach(settings).await?;
    let request = ListNamespacesRequest { page_size: args.page.page_size, page_token: args.page.page_token };
    let page = server.answer(server.jobs().list_namespaces(request).await)?;
    view::show(settings.output, &page, |page, scene| match page.namespaces.as_slice() {
        [] => "No namespaces. One exists once a job names it: punctual job create hello --task noop\n".to_owned(),
        _ => view::namespaces(page, scene),
    })?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}
