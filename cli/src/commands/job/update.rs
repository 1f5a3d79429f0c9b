//! `punctual job update`: some fields of a job from flags, or whole jobs from a file.

use std::path::PathBuf;

use prost_types::FieldMask;
use punctual_proto::v1::UpdateJobRequest;

use super::create::warn_of_task_types_not_offered;
use super::fields::Fields;
use crate::client::Server;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::{clock, definition, view};

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
        warn_of_task_types_not_offered(&server, [&updated]).await;
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
        let args = parse("x a --cron @daily --priority -5 --overlap last --retry 3 --clear description").unwrap();
        let (job, paths) = args.fields.given();
        assert_eq!(
            (paths, args.cleared),
            (
                ["schedule.cron", "schedule.dst.overlap", "priority", "retry.max_attempts"].map(str::to_owned).to_vec(),
                vec!["description".to_owned()]
            )
        );
        assert_eq!((job.priority, job.schedule.unwrap().cron), (-5, vec!["@daily".to_owned()]));
        assert_eq!(job.retry.unwrap().max_attempts, Some(3));
        for wrong in ["x", "x a -f b", "x -f b --priority 5", "x -f b --clear retry"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
