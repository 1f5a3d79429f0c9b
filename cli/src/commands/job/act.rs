//! What operators do with a job, in one call each that answers the job.

use punctual_proto::v1::{
    DeleteJobRequest, DisableJobRequest, EnableJobRequest, Job, PauseJobRequest, ResumeJobRequest,
};

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::view;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    id: String,
    /// Why; kept with the job
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    act: Args,
    /// Make up the fires of the pause, however late they are
    #[arg(long)]
    catch_up: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// Id of the job
    id: String,
    /// Only if the job still has this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Pause,
    Enable,
    Disable,
}

pub(crate) async fn run(verb: Verb, args: Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let mut jobs = server.jobs();
    let (namespace, job_id, note) = (settings.namespace.clone(), args.id, args.note);
    let (answer, done) = match verb {
        Verb::Pause => (jobs.pause_job(PauseJobRequest { namespace, job_id, note }).await, "paused"),
        Verb::Enable => (jobs.enable_job(EnableJobRequest { namespace, job_id, note }).await, "enabled"),
        Verb::Disable => (jobs.disable_job(DisableJobRequest { namespace, job_id, note }).await, "disabled"),
    };
    say(done, &server.answer(answer)?, settings)
}

pub(crate) async fn resume(args: Resume, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let Resume { act: Args { id: job_id, note }, catch_up } = args;
    let request = ResumeJobRequest { namespace: settings.namespace.clone(), job_id, note, catch_up };
    say("resumed", &server.answer(server.jobs().resume_job(request).await)?, settings)
}

pub(crate) async fn delete(args: Delete, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = DeleteJobRequest { namespace: settings.namespace.clone(), job_id: args.id, etag: args.etag };
    let job = server.answer(server.jobs().delete_job(request).await)?;
    say("deleted", &job, settings)?;
    if settings.output == Output::Table {
        anstream::eprintln!("Bring it back within 30 days: punctual job undelete {}", job.job_id);
    }
    Ok(())
}

/// One line: what was done, to which job, and where it stands now, which need not be the same thing (a job that
/// was enabled may still be paused).
pub(super) fn say(done: &str, job: &Job, settings: &Settings) -> Result<(), Failure> {
    view::show(settings.output, job, |job, _| {
        format!("{done} {}/{}, now {}\n", job.namespace, job.job_id, job.state().as_str_name())
    })
}
