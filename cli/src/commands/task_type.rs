//! `punctual task-type`.

use punctual_proto::v1::{GetTaskTypeRequest, ListTaskTypesRequest};

use crate::client::Server;
use crate::commands::Page;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the kinds of work that there are, and how many agents offer each
    List(Page),
    /// Show one, with the schema of its payload
    Get {
        /// Its name
        name: String,
    },
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    match command {
        Command::List(page) => {
            let request = ListTaskTypesRequest { page_size: page.page_size, page_token: page.page_token };
            let page = server.answer(server.task_types().list_task_types(request).await)?;
            view::show(settings.output, &page, view::task_types)?;
            Page::more(settings, &page.next_page_token);
            Ok(())
        }
        Command::Get { name } => {
            let found = server.answer(server.task_types().get_task_type(GetTaskTypeRequest { name }).await)?;
            view::show(settings.output, &found, view::task_type)
        }
    }
}
