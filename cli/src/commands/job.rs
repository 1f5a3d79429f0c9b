//! `punctual job`.

mod act;
mod apply;
mod backfill;
mod create;
mod explain;
mod fields;
mod judge;
mod list;
mod preview;
mod revisions;
mod trigger;
mod update;

use clap::Subcommand;
use punctual_proto::v1::GetJobRequest;

use crate::client::Server;
use crate::commands::run;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::view;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a job from flags, or the jobs of a file
    Create(create::Args),
    /// Make the server have what a file says, and say what that changes
    Apply(apply::Args),
    /// Change fields of a job, or replace the jobs of a file
    Update(update::Args),
    /// Check a file of jobs without a server
    Validate(judge::Validate),
    /// Say how a job is doing; the exit code is 1 if its last run failed or was missed
    Check(judge::Check),
    /// Show one job
    Get {
        /// Id of the job
        id: String,
    },
    /// List jobs
    List(list::Args),
    /// Run a job now, or later once
    Trigger(trigger::Args),
    /// List the runs of a job, newest first
    History {
        /// Id of the job
        id: String,
        #[command(flatten)]
        filter: run::Filter,
    },
    /// List the next fires of a job, or of a schedule before a job has it
    Preview(preview::Args),
    /// Say what became of one instant of a job, and why
    Explain(explain::Args),
    /// Run a job for the instants of a past span
    Backfill(backfill::Args),
    /// Stop a job's schedule; triggers still work
    Pause(act::Args),
    /// Start a paused job's schedule again
    Resume(act::Resume),
    /// Let a disabled job run again
    Enable(act::Args),
    /// Let nothing of a job run, triggers included
    Disable(act::Args),
    /// Delete a job and cancel what waits
    Delete(act::Delete),
    /// Bring the job of that id that was deleted last back, with its history
    Undelete(revisions::Undelete),
    /// List a job's revisions, or what one of them changed
    Revisions(revisions::Args),
    /// Give a job the definition of an earlier revision, as a new revision
    Restore(revisions::Restore),
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    match command {
        Command::Create(args) => create::run(args, settings).await,
        Command::Apply(args) => apply::run(args, settings).await,
        Command::Update(args) => update::run(args, settings).await,
        Command::Validate(args) => judge::validate(&args, settings),
        Command::Check(args) => judge::check(args, settings).await,
        Command::Get { id } => get(id, settings).await,
        Command::List(args) => list::run(args, settings).await,
        Command::Trigger(args) => trigger::run(args, settings).await,
        Command::History { id, filter } => run::history(id, filter, settings).await,
        Command::Preview(args) => preview::run(args, settings).await,
        Command::Explain(args) => explain::run(args, settings).await,
        Command::Backfill(args) => backfill::run(args, settings).await,
        Command::Pause(args) => act::run(act::Verb::Pause, args, settings).await,
        Command::Resume(args) => act::resume(args, settings).await,
        Command::Enable(args) => act::run(act::Verb::Enable, args, settings).await,
        Command::Disable(args) => act::run(act::Verb::Disable, args, settings).await,
        Command::Delete(args) => act::delete(args, settings).await,
        Command::Undelete(args) => revisions::undelete(args, settings).await,
        Command::Revisions(args) => revisions::run(args, settings).await,
        Command::Restore(args) => revisions::restore(args, settings).await,
    }
}

async fn get(id: String, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = GetJobRequest { namespace: settings.namespace.clone(), job_id: id };
    let job = server.answer(server.jobs().get_job(request).await)?;
    view::show(settings.output, &job, view::job)
}
