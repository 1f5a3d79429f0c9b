//! A job's revisions: what was changed by whom, and the way back.

use punctual_proto::v1::{ListJobRevisionsRequest, RestoreJobRevisionRequest, UndeleteJobRequest};

use super::act::say;
use crate::client::Server;
use crate::commands::Page;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    id: String,
    /// Show what this revision changed of the one before, field by field
    #[arg(long, value_name = "N")]
    diff: Option<i32>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// Id of the job
    id: String,
    /// Number of the revision whose definition the job gets
    revision: i32,
    /// Why; kept with the new revision
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    /// Only if the job still has this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Undelete {
    /// Id of the job
    id: String,
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = ListJobRevisionsRequest {
        namespace: settings.namespace.clone(),
        job_id: args.id.clone(),
        page_size: args.page.page_size,
        page_token: args.page.page_token.clone(),
    };
    if let Some(number) = args.diff {
        return diff(&server, request, number, settings).await;
    }
    let page = server.answer(server.jobs().list_job_revisions(request).await)?;
    view::show(settings.output, &page, view::revisions)?;
    Page::more(settings, &page.next_page_token);
    Ok(())
}

/// Revisions come newest first, so that the one asked for may be on a later page.
async fn diff(
    server: &Server,
    mut request: ListJobRevisionsRequest,
    number: i32,
    settings: &Settings,
) -> Result<(), Failure> {
    let id = request.job_id.clone();
    let missing = format!("{id} has no revision {number}. See all: punctual job revisions {id}");
    loop {
        let page = server.answer(server.jobs().list_job_revisions(request.clone()).await)?;
        if let Some(revision) = page.revisions.iter().find(|revision| revision.revision == number) {
            return view::show(settings.output, revision, view::revision);
        }
        if page.next_page_token.is_empty() || page.revisions.iter().any(|revision| revision.revision < number) {
            return Err(Failure::Missing(missing));
        }
        request.page_token = page.next_page_token;
    }
}

pub(crate) async fn restore(args: Restore, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = RestoreJobRevisionRequest {
        namespace: settings.namespace.clone(),
        job_id: args.id,
        revision: args.revision,
        note: args.note,
        etag: args.etag,
        validate_only: false,
    };
    let job = server.answer(server.jobs().restore_job_revision(request).await)?;
    say(&format!("restored revision {} as revision {} of", args.revision, job.revision), &job, settings)
}

pub(crate) async fn undelete(args: Undelete, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = UndeleteJobRequest { namespace: settings.namespace.clone(), job_id: args.id };
    say("undeleted", &server.answer(server.jobs().undelete_job(request).await)?, settings)
}
