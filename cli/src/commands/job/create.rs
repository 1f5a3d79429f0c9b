//! `punctual job create`: one job from flags, or the jobs of a file one after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use punctual_proto::v1::{CreateJobRequest, GetTaskTypeRequest, Job};
use serde_json::json;

use super::fields::Fields;
use crate::client::Server;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::view::json;
use crate::{clock, definition, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    #[arg(required_unless_present = "file", conflicts_with = "file", requires = "task")]
    id: Option<String>,
    /// A file of jobs, YAML or JSON; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    fields: Fields,
}

impl Args {
    fn job(self) -> Job {
        Job { job_id: self.id.unwrap_or_default(), ..self.fields.given().0 }
    }
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let mut jobs = match &args.file {
        Some(path) => definition::read(path, clock::now().into())?,
        None => vec![definition::checked(args.job(), clock::now().into())?],
    };
    for job in jobs.iter_mut().filter(|job| job.namespace.is_empty()) {
        job.namespace.clone_from(&settings.namespace);
    }
    let server = Server::reach(settings).await?;
    match <[Job; 1]>::try_from(jobs) {
        Ok([job]) => {
            let created = create(&server, job).await?;
            view::show(settings.output, &created, line)
        }
        Err(jobs) => many(&server, jobs, settings).await,
    }
}

/// Creates what can be created: a refused job does not keep the others away.
async fn many(server: &Server, jobs: Vec<Job>, settings: &Settings) -> Result<(), Failure> {
    let all = jobs.len();
    let mut created = Vec::new();
    for job in jobs {
        let name = format!("{}/{}", job.namespace, job.job_id);
        match create(server, job).await {
            Ok(job) if settings.output == Output::Table => {
                view::show(Output::Table, &job, line)?;
                created.push(job);
            }
            Ok(job) => created.push(job),
            Err(refused @ Failure::Refused(_)) => {
                anstream::eprint!("{name}: ");
                refused.write(&mut anstream::stderr())?;
            }
            Err(failure) => return Err(failure),
        }
    }
    if settings.output == Output::Json {
        view::value(&json!({ "jobs": created.iter().map(json::of).collect::<Vec<_>>() }))?;
    }
    match all - created.len() {
        0 => Ok(()),
        failed => Err(Failure::Partly { failed, all }),
    }
}

async fn create(server: &Server, job: Job) -> Result<Job, Failure> {
    let request = CreateJobRequest { job: Some(job), ..CreateJobRequest::default() };
    let job = server.answer(server.jobs().create_job(request).await)?;
    warn_of_task_types_not_offered(server, [&job]).await;
    Ok(job)
}

/// The server accepts a task type that nobody offers, because its agent may come later; a misspelt one would
/// wait for ever.
pub(super) async fn warn_of_task_types_not_offered<'j>(server: &Server, jobs: impl IntoIterator<Item = &'j Job>) {
    let mut needed = BTreeMap::<&str, &str>::new();
    for job in jobs {
        if let Some(task) = &job.task {
            needed.entry(&task.r#type).or_insert(&job.job_id);
        }
    }
    for (name, job_id) in needed {
        let is_built_in = job_spec::BUILT_IN.contains(&name);
        let request = GetTaskTypeRequest { name: name.to_owned() };
        let is_offered = match server.task_types().get_task_type(request).await {
            Ok(answer) => answer.into_inner().agent_count > 0,
            // A built-in one is known, whoever does not answer.
            Err(_) => is_built_in,
        };
        if !is_offered {
            let hint = match is_built_in {
                true => "see who is there: punctual agent list".to_owned(),
                false => format!("built in: {}", job_spec::BUILT_IN.join(", ")),
            };
            anstream::eprintln!(
                "warning: no agent is known to offer the task type `{name}`; runs of {job_id} wait until one does \
                 ({hint})"
            );
        }
    }
}

fn line(job: &Job, scene: &view::Scene) -> String {
    let next = match &job.next_fire_time {
        Some(time) => format!("next fire {}", view::relative(Some(time), scene.now)),
        None => format!("run it: punctual job trigger {}", job.job_id),
    };
    format!("created {}/{} ({}), {next}\n", job.namespace, job.job_id, view::schedule(job))
}
