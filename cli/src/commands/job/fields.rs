//! The flags that say what a job is: of a new one all that it has, of one that there is what changes. What they leave out
//! a file can say.

use prost_types::{Duration, Struct, Timestamp};
use punctual_proto::v1::schedule::{Dst, dst};
use punctual_proto::v1::{Job, RetryPolicy, Schedule, Task, job};

use crate::commands::labels;
use crate::value;

#[derive(Debug, clap::Args)]
#[group(id = "fields", multiple = true, conflicts_with = "file")]
pub(super) struct Fields {
    /// Fire every so often: 90s, 5m, 1h30m; may be repeated
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    every: Vec<Duration>,
    /// Fire as this cron expression says, in quotes: "0 2 * * *"; may be repeated
    #[arg(long, value_name = "EXPRESSION")]
    cron: Vec<String>,
    /// Fire once at this instant: 2026-01-01T00:00:00Z; may be repeated
    #[arg(long, value_name = "TIME", value_parser = value::instant)]
    at: Vec<Timestamp>,
    /// Zone in which cron expressions are read [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// For a time that the clocks skip: next-valid or skip [default: next-valid]
    #[arg(long, value_name = "POLICY", value_parser = value::gap)]
    gap: Option<dst::Gap>,
    /// For a time that the clocks repeat: first, last or both [default: first]
    #[arg(long, value_name = "POLICY", value_parser = value::overlap)]
    overlap: Option<dst::Overlap>,
    /// Do not fire on the days of this calendar; may be repeated
    #[arg(long = "exclude-calendar", value_name = "ID")]
    exclude_calendars: Vec<String>,
    /// Task type: process, http, grpc, noop, or one that an agent brings along
    #[arg(long, value_name = "TYPE")]
    task: Option<String>,
    /// What the task is given, a JSON object: {"command": ["date"]}
    #[arg(long, value_name = "JSON", value_parser = value::payload)]
    payload: Option<Struct>,
    /// Labels of the job, all of them; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = value::label)]
    labels: Vec<(String, String)>,
    /// What the job is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Queue that its runs wait in [default: default]
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Order of dispatch, higher first [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Number of its attempts that may run at a time [default: 1]
    #[arg(long, value_name = "N")]
    max_instances: Option<i32>,
    /// For a fire while so many run: skip, queue or cancel-running [default: skip]
    #[arg(long, value_name = "POLICY", value_parser = value::overlap_policy)]
    overlap_policy: Option<job::OverlapPolicy>,
    /// How late a fire may be entered: 90s, 5m, 1h30m [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    misfire_grace_time: Option<Duration>,
    /// Attempts of a run that fails, the first included [default: 1]
    #[arg(long, visible_alias = "retry", value_name = "N")]
    max_attempts: Option<i32>,
    /// Time limit of each attempt: 90s, 5m, 1h30m [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    timeout: Option<Duration>,
}

impl Fields {
    /// The job with the values that are given, and the paths of those.
    pub(super) fn given(self) -> (Job, Vec<String>) {
        let mut paths = Vec::new();
        let mut given = |is_given: bool, path: &str| paths.extend(is_given.then(|| path.to_owned()));
        given(!self.every.is_empty(), "schedule.every");
        given(!self.cron.is_empty(), "schedule.cron");
        given(!self.at.is_empty(), "schedule.at");
        given(self.time_zone.is_some(), "schedule.time_zone");
        given(self.gap.is_some(), "schedule.dst.gap");
        given(self.overlap.is_some(), "schedule.dst.overlap");
        given(!self.exclude_calendars.is_empty(), "schedule.exclude_calendars");
        given(self.task.is_some(), "task.type");
        given(self.payload.is_some(), "task.payload");
        given(!self.labels.is_empty(), "labels");
        given(self.description.is_some(), "description");
        given(self.queue.is_some(), "queue");
        given(self.priority.is_some(), "priority");
        given(self.max_instances.is_some(), "max_instances");
        given(self.overlap_policy.is_some(), "overlap_policy");
        given(self.misfire_grace_time.is_some(), "misfire_grace_time");
        given(self.max_attempts.is_some(), "retry.max_attempts");
        given(self.timeout.is_some(), "timeout");
        let dst = (self.gap.is_some() || self.overlap.is_some()).then(|| Dst {
            gap: self.gap.unwrap_or_default().into(),
            overlap: self.overlap.unwrap_or_default().into(),
        });
        let schedule = Schedule {
            every: self.every,
            cron: self.cron,
            at: self.at,
            time_zone: self.time_zone,
            dst,
            exclude_calendars: self.exclude_calendars,
            ..Schedule::default()
        };
        let task = Task { r#type: self.task.unwrap_or_default(), payload: self.payload };
        let job = Job {
            schedule: (schedule != Schedule::default()).then_some(schedule),
            task: (task != Task::default()).then_some(task),
            labels: labels(self.labels),
            description: self.description.unwrap_or_default(),
            queue: self.queue,
            priority: self.priority.unwrap_or_default(),
            max_instances: self.max_instances,
            overlap_policy: self.overlap_policy.unwrap_or_default().into(),
            misfire_grace_time: self.misfire_grace_time,
            retry: self.max_attempts.map(|most| RetryPolicy { max_attempts: Some(most), ..RetryPolicy::default() }),
            timeout: self.timeout,
            ..Job::default()
        };
        (job, paths)
    }
}
