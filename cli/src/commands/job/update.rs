//! `punctual job update`: some fields of a job from flags, or whole jobs from a file.

use std::path::PathBuf;

use prost_types::{Duration, FieldMask, Struct};
use punctual_proto::v1::{Job, Schedule, Task, UpdateJobRequest};

use super::create::warn_of_unknown_task_types;
use crate::client::Server;
use crate::commands::labels;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{clock, definition, value, view};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the job
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    id: Option<String>,
    /// A file of jobs, YAML or JSON, each of which replaces the one of its id; `-` is standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    fields: Fields,
    /// Give a field its default, by its path: schedule.cron, retry, description; may be repeated
    #[arg(long = "clear", value_name = "FIELD", conflicts_with = "file")]
    cleared: Vec<String>,
    /// Only if the job still has this etag
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "file")]
    etag: String,
}

#[derive(Debug, clap::Args)]
#[group(id = "fields", multiple = true, conflicts_with = "file")]
struct Fields {
    /// Fire every so often: 90s, 5m, 1h30m; may be repeated
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    every: Vec<Duration>,
    /// Fire as this cron expression says; may be repeated
    #[arg(long, value_name = "EXPRESSION")]
    cron: Vec<String>,
    /// Zone in which cron expressions are read
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Task type
    #[arg(long, value_name = "TYPE")]
    task: Option<String>,
    /// What the task is given, a JSON object
    #[arg(long, value_name = "JSON", value_parser = value::payload)]
    payload: Option<Struct>,
    /// Labels of the job, in place of those it has; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// What the job is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Queue that its runs wait in
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Order of dispatch, higher first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Number of its attempts that may run at a time
    #[arg(long, value_name = "N")]
    max_instances: Option<i32>,
    /// Time limit of each attempt: 90s, 5m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    timeout: Option<Duration>,
}

impl Fields {
    /// The job with the values that are given, and the paths of those.
    fn given(self) -> (Job, Vec<String>) {
        let mut paths = Vec::new();
        let mut given = |is_given: bool, path: &str| paths.extend(is_given.then(|| path.to_owned()));
        given(!self.every.is_empty(), "schedule.every");
        given(!self.cron.is_empty(), "schedule.cron");
        given(self.time_zone.is_some(), "schedule.time_zone");
        given(self.task.is_some(), "task.type");
        given(self.payload.is_some(), "task.payload");
        given(!self.labels.is_empty(), "labels");
        given(self.description.is_some(), "description");
        given(self.queue.is_some(), "queue");
        given(self.priority.is_some(), "priority");
        given(self.max_instances.is_some(), "max_instances");
        given(self.timeout.is_some(), "timeout");
        let schedule =
            Schedule { every: self.every, cron: self.cron, time_zone: self.time_zone, ..Schedule::default() };
        let task = Task { r#type: self.task.unwrap_or_default(), payload: self.payload };
        let job = Job {
            schedule: Some(schedule),
            task: Some(task),
            labels: labels(self.labels),
            description: self.description.unwrap_or_default(),
            queue: self.queue,
            priority: self.priority.unwrap_or_default(),
            max_instances: self.max_instances,
            timeout: self.timeout,
            ..Job::default()
        };
        (job, paths)
    }
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let updates = match (args.file, args.id) {
        (Some(path), _) => {
            let jobs = definition::read(&path, clock::now().into())?;
            jobs.into_iter().map(|job| (job, vec!["*".to_owned()])).collect()
        }
        (None, id) => {
            let (mut job, mut paths) = args.fields.given();
            paths.extend(args.cleared);
            if paths.is_empty() {
                let what = "nothing to update: give a field, as --cron, or clear one with --clear FIELD";
                return Err(Failure::Usage(what.to_owned()));
            }
            (job.job_id, job.etag) = (id.unwrap_or_default(), args.etag);
            vec![(job, paths)]
        }
    };
    let server = Server::reach(settings).await?;
    for (mut job, paths) in updates {
        if job.namespace.is_empty() {
            job.namespace.clone_from(&settings.namespace);
        }
        let update_mask = Some(FieldMask { paths });
        let request = UpdateJobRequest { job: Some(job), update_mask, ..UpdateJobRequest::default() };
        let updated = server.answer(server.jobs().update_job(request).await)?;
        view::show(settings.output, &updated, |job, scene| {
            let next = match &job.next_fire_time {
                Some(time) => format!(", next fire {}", view::relative(Some(time), scene.now)),
                None => String::new(),
            };
            format!("updated {}/{} to revision {}{next}\n", job.namespace, job.job_id, job.revision)
        })?;
        warn_of_unknown_task_types(&server, [&updated]).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_mask_names_what_is_given_and_nothing_else() {
        let parse = |line: &str| <Program as clap::Parser>::try_parse_from(line.split(' ')).map(|program| program.args);
        let args = parse("x a --cron @daily --priority -5 --clear retry").unwrap();
        let (job, paths) = args.fields.given();
        assert_eq!(
            (paths, args.cleared),
            (vec!["schedule.cron".to_owned(), "priority".to_owned()], vec!["retry".to_owned()])
        );
        assert_eq!((job.priority, job.schedule.unwrap().cron), (-5, vec!["@daily".to_owned()]));
        for wrong in ["x", "x a -f b", "x -f b --priority 5", "x -f b --clear retry"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
