//! `punctual job preview`: a job's next fires from the server, or those of a schedule that no server has yet.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::{ArgGroup, value_parser};
use job_spec::Rules;
use job_spec::time::proto_instant;
use prost_types::{Duration, Timestamp as ProtoTimestamp};
use punctual_proto::v1::schedule::{Dst, dst};
use punctual_proto::v1::{GetJobRequest, PreviewScheduleRequest, Schedule};
use scheduler_core::time::Timestamp;
use serde_json::{Value, json};

use crate::client::Server;
use crate::failure::Failure;
use crate::preview::{self, Preview};
use crate::settings::{Output, Settings};
use crate::view::json;
use crate::{definition, value, view};

/// The most fires that a server shows too.
const MOST: i64 = 1_000;

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("schedule").multiple(true)))]
pub(crate) struct Args {
    /// Id of the job; beside flags of a schedule, what H is hashed from
    #[arg(required_unless_present_any = ["file", "schedule"])]
    id: Option<String>,
    /// A file of jobs, YAML or JSON; `-` is standard input. A server is asked only for schedules that name calendars
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["id", "schedule"])]
    file: Option<PathBuf>,
    /// Fire every so often: 90s, 5m, 1h30m; may be repeated. No server is asked
    #[arg(long, value_name = "DURATION", value_parser = value::duration, group = "schedule")]
    every: Vec<Duration>,
    /// Fire as this cron expression says; may be repeated. No server is asked
    #[arg(long, value_name = "EXPRESSION", group = "schedule")]
    cron: Vec<String>,
    /// Fire once at this instant; may be repeated. No server is asked
    #[arg(long, value_name = "TIME", value_parser = value::instant, group = "schedule")]
    at: Vec<ProtoTimestamp>,
    /// Zone in which cron expressions are read [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    time_zone: Option<String>,
    /// For a time that the clocks skip: next-valid or skip [default: next-valid]
    #[arg(long, value_name = "POLICY", value_parser = value::gap, requires = "cron")]
    gap: Option<dst::Gap>,
    /// For a time that the clocks repeat: first, last or both [default: first]
    #[arg(long, value_name = "POLICY", value_parser = value::overlap, requires = "cron")]
    overlap: Option<dst::Overlap>,
    /// Fires after this instant, itself left out: 2026-01-01T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    after: Option<ProtoTimestamp>,
    /// Number of fires
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(1..=MOST))]
    count: u16,
}

impl Args {
    fn schedule(&self) -> Schedule {
        Schedule {
            every: self.every.clone(),
            cron: self.cron.clone(),
            at: self.at.clone(),
            time_zone: self.time_zone.clone(),
            dst: Some(Dst {
                gap: self.gap.unwrap_or_default().into(),
                overlap: self.overlap.unwrap_or_default().into(),
            }),
            ..Schedule::default()
        }
    }

    /// The id stands alone: the schedule is the stored one.
    fn is_of_a_stored_job(&self) -> bool {
        self.every.is_empty() && self.cron.is_empty() && self.at.is_empty()
    }
}

pub(crate) async fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    match (&args.file, &args.id) {
        (Some(path), _) => of_file(path, &args, settings).await,
        (None, Some(id)) if args.is_of_a_stored_job() => stored(id, &args, settings).await,
        (None, id) => of_flags(id.as_deref(), &args, settings),
    }
}

/// As the server says. The job itself is asked for its zone, on whose clocks people read the fires.
async fn stored(id: &str, args: &Args, settings: &Settings) -> Result<(), Failure> {
    let server = Server::reach(settings).await?;
    let (namespace, job_id) = (settings.namespace.clone(), id.to_owned());
    let zone = match settings.output {
        Output::Json => None,
        Output::Table => {
            let request = GetJobRequest { namespace: namespace.clone(), job_id: job_id.clone() };
            zone(&server.answer(server.jobs().get_job(request).await)?.schedule.unwrap_or_default())
        }
    };
    let count = Some(args.count.into());
    let request = PreviewScheduleRequest { namespace, job_id, schedule: None, after: args.after, count };
    let answer = server.answer(server.jobs().preview_schedule(request).await)?;
    show(&Preview { answer, zone, change_ahead: None }, settings)
}

fn of_flags(id: Option<&str>, args: &Args, settings: &Settings) -> Result<(), Failure> {
    let after = preview::after(args.after)?;
    let hash_key = id.map(|id| preview::hash_key(&settings.namespace, id)).transpose()?;
    show(&evaluate(&args.schedule(), hash_key.as_deref(), after, args.count)?, settings)
}

async fn of_file(path: &Path, args: &Args, settings: &Settings) -> Result<(), Failure> {
    let after = preview::after(args.after)?;
    let mut server = None;
    let mut found = Vec::new();
    for job in definition::read(path, after)? {
        let namespace = if job.namespace.is_empty() { &settings.namespace } else { &job.namespace };
        let hash_key = preview::hash_key(namespace, &job.job_id)?;
        let schedule = job.schedule.unwrap_or_default();
        let preview = if schedule.exclude_calendars.is_empty() {
            evaluate(&schedule, Some(&hash_key), after, args.count)?
        } else {
            let server = match &mut server {
                Some(server) => server,
                none => none.insert(Server::reach(settings).await?),
            };
            with_calendars(server, namespace, &job.job_id, schedule, after, args.count).await?
        };
        found.push((namespace.clone(), job.job_id, preview));
    }
    match (found.as_slice(), settings.output) {
        ([(_, _, preview)], _) => show(preview, settings),
        (found, Output::Json) => {
            let previews: Vec<Value> = found.iter().map(|(namespace, job_id, preview)| {
                json!({ "namespace": namespace, "jobId": job_id, "preview": json::of(&preview.answer) })
            }).collect();
            view::value(&json!({ "previews": previews }))
        }
        (found, Output::Table) => found.iter().enumerate().try_for_each(|(at, (namespace, job_id, preview))| {
            let gap = if at > 0 { "\n" } else { "" };
            let text = format!("{gap}{namespace}/{job_id}: {}", view::preview(preview));
            view::show(Output::Table, &preview.answer, |_, _| text)
        }),
    }
}

/// Only the server knows which days its calendars exclude. The job need not be there.
async fn with_calendars(
    server: &Server,
    namespace: &str,
    job_id: &str,
    schedule: Schedule,
    after: Timestamp,
    count: u16,
) -> Result<Preview, Failure> {
    let zone = zone(&schedule);
    let request = PreviewScheduleRequest {
        namespace: namespace.to_owned(),
        job_id: job_id.to_owned(),
        schedule: Some(schedule),
        after: Some(proto_instant(after)),
        count: Some(count.into()),
    };
    let answer = server.answer(server.jobs().preview_schedule(request).await)?;
    Ok(Preview { answer, zone, change_ahead: None })
}

/// Without a job, `every` counts from `after`.
fn evaluate(schedule: &Schedule, hash_key: Option<&str>, after: Timestamp, count: u16) -> Result<Preview, Failure> {
    let invalid = |violations| Failure::Input { what: "the schedule".to_owned(), violations };
    let (_, compiled) = job_spec::schedule(schedule, hash_key, &Rules::new(after)).map_err(invalid)?;
    Ok(Preview::new(&compiled, after, count.into(), zone(schedule)))
}

fn zone(schedule: &Schedule) -> Option<Tz> {
    preview::zone(schedule.time_zone(), &schedule.cron)
}

fn show(preview: &Preview, settings: &Settings) -> Result<(), Failure> {
    view::show(settings.output, &preview.answer, |_, _| view::preview(preview))
}
