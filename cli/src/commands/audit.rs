//! `punctual audit`.

use punctual_proto::v1::{ListAuditEventsRequest, ListAuditEventsResponse};

use crate::client::Server;
use crate::commands::Page;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{value, view};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List who changed what, newest first
    List(List),
    /// Print all events as JSON, one a line, newest first
    Export(Filter),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only events of this principal
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    principal: String,
    /// Only events of resources that start with this, as jobs/nightly
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    query: String,
    /// Only events at or after this instant, or since so long ago: 2h, 30d
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    after: Option<prost_types::Timestamp>,
    /// Only events before this instant, or up to so long ago
    #[arg(long, value_name = "TIME", value_parser = value::past)]
    before: Option<prost_types::Timestamp>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    page: Page,
}

/// Events that an export asks for at a time.
const EXPORT_PAGE: i32 = 1_000;

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    match command {
        Command::List(List { filter, page }) => {
            let request = request(filter, page.page_size, page.page_token, settings);
            let page = read(request, &server).await?;
            view::show(settings.output, &page, |page, scene| match page.events.as_slice() {
                [] => "Nothing was changed.\n".to_owned(),
                _ => view::audit_events(page, scene),
            })?;
            Page::more(settings, &page.next_page_token);
            Ok(())
        }
        Command::Export(filter) => {
            let mut request = request(filter, EXPORT_PAGE, String::new(), settings);
            loop {
                let page = read(request.clone(), &server).await?;
                for event in &page.events {
                    view::text(&format!("{}\n", view::json::of(event)))?;
                }
                if page.next_page_token.is_empty() {
                    return Ok(());
                }
                request.page_token = page.next_page_token;
            }
        }
    }
}

fn request(filter: Filter, page_size: i32, page_token: String, settings: &Settings) -> ListAuditEventsRequest {
    ListAuditEventsRequest {
        namespace: settings.namespace.clone(),
        principal: filter.principal,
        query: filter.query,
        after: filter.after,
        before: filter.before,
        page_size,
        page_token,
    }
}

async fn read(request: ListAuditEventsRequest, server: &Server) -> Result<ListAuditEventsResponse, Failure> {
    server.answer(server.audit().list_audit_events(request).await)
}
