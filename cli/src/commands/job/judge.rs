//! `punctual job validate` and `punctual job check`: is a file right, is a job well?

use std::path::PathBuf;

use punctual_proto::v1::{GetJobRequest, Job, run};

use crate::client::Server;
use crate::failure::Failure;
use crate::settings::{Output, Settings};
use crate::view::relative;
use crate::{clock, definition, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Validate {
    /// A file of jobs, YAML or JSON; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Id of the job
    id: String,
}

/// Without a server: what it would refuse for the state that it is in is not found here.
pub(crate) fn validate(args: &Validate, settings: &Settings) -> Result<(), Failure> {
    let jobs = definition::read(&args.file, clock::now().into())?;
    match settings.output {
        Output::Json => view::value(&serde_json::json!({ "valid": jobs.len() })),
        Output::Table => view::text(&format!("{} of {0} jobs are valid\n", jobs.len())),
    }
}

pub(crate) async fn check(args: Check, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let request = GetJobRequest { namespace: settings.namespace.clone(), job_id: args.id };
    let job = server.answer(server.jobs().get_job(request).await)?;
    let line = line(&job);
    if !is_well(&job) {
        if settings.output == Output::Json {
            view::show(Output::Json, &job, view::job)?;
        }
        return Err(Failure::Unhealthy(line));
    }
    view::show(settings.output, &job, |_, _| format!("{line}\n"))
}

fn is_well(job: &Job) -> bool {
    let bad = [run::State::Failed, run::State::TimedOut, run::State::Missed, run::State::Expired];
    job.last_run.as_ref().is_none_or(|last| !bad.contains(&last.state()))
}

fn line(job: &Job) -> String {
    let now = clock::now();
    let mut parts = vec![format!("{}/{} is {}", job.namespace, job.job_id, job.state().as_str_name())];
    parts.push(match &job.last_run {
        None => "has not run".to_owned(),
        Some(last) => {
            let when = relative(last.end_time.as_ref().or(last.scheduled_time.as_ref()), now);
            let reason = match last.reason() {
                run::Reason::Unspecified => String::new(),
                reason => format!(" ({})", reason.as_str_name()),
            };
            format!("last run {} {when}{reason}: punctual run get {}", last.state().as_str_name(), last.run_id)
        }
    });
    if job.next_fire_time.is_some() {
        parts.push(format!("next fire {}", relative(job.next_fire_time.as_ref(), now)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use punctual_proto::v1::RunSummary;

    use super::*;

    fn after(state: run::State) -> Job {
        let last = RunSummary { state: state.into(), run_id: "r".to_owned(), ..RunSummary::default() };
        Job { job_id: "a".to_owned(), last_run: Some(last), ..Job::default() }
    }

    #[test]
    fn a_job_is_well_unless_its_last_run_failed_or_was_missed() {
        use run::State::{Cancelled, Expired, Failed, Missed, Pending, Running, Skipped, Succeeded, TimedOut};
        assert!([Pending, Running, Succeeded, Cancelled, Skipped].into_iter().all(|state| is_well(&after(state))));
        assert!(![Failed, TimedOut, Missed, Expired].into_iter().any(|state| is_well(&after(state))));
        assert!(is_well(&Job::default()));
        assert!(line(&after(Failed)).contains("last run FAILED"), "{}", line(&after(Failed)));
    }
}
