//! Jobs as text.

use anstyle::Style;
use punctual_proto::v1::{Job, ListJobsResponse, RunSummary, Schedule, job, run};

use super::table::{Cell, Fit, Table, facts};
use super::when::{absolute, duration, relative};
use super::{BAD, GOOD, ODD, PLAIN, Scene, run as run_view};

/// The page as a table; with `all`, each with its namespace.
pub(crate) fn jobs(page: &ListJobsResponse, scene: &Scene, all: bool) -> String {
    let mut columns = vec![("JOB", Fit::Whole), ("STATE", Fit::Whole), ("SCHEDULE", Fit::Cut)];
    columns.extend([("TASK", Fit::Drop(0)), ("NEXT FIRE", Fit::Drop(2)), ("LAST RUN", Fit::Drop(1))]);
    if all {
        columns.insert(0, ("NAMESPACE", Fit::Whole));
    }
    let mut table = Table::new(columns);
    for job in &page.jobs {
        let mut row: Vec<Cell> = vec![
            job.job_id.as_str().into(),
            state(job),
            schedule(job).into(),
            job.task.as_ref().map_or("-", |task| &task.r#type).into(),
            relative(job.next_fire_time.as_ref(), scene.now).into(),
            last_run(job.last_run.as_ref(), scene),
        ];
        if all {
            row.insert(0, job.namespace.as_str().into());
        }
        table.row(row);
    }
    table.render(scene.width)
}

/// One job, a line for each thing worth knowing.
pub(crate) fn job(job: &Job, scene: &Scene) -> String {
    let time = |time: &Option<_>| Cell::from(absolute(time.as_ref(), scene.now));
    let span = |span: &Option<_>| Cell::from(span.as_ref().map(duration).unwrap_or_default());
    let task = job.task.as_ref();
    let payload = task.and_then(|task| task.payload.as_ref()).map(super::json::of);
    let attempts = job.retry.as_ref().and_then(|retry| retry.max_attempts);
    facts(&[
        ("job", job.job_id.as_str().into()),
        ("namespace", job.namespace.as_str().into()),
        ("name", job.display_name.as_str().into()),
        ("description", job.description.as_str().into()),
        ("labels", labels(&job.labels).into()),
        ("state", state(job)),
        ("paused", pause(job, scene).into()),
        ("schedule", schedule(job).into()),
        ("next fire", time(&job.next_fire_time)),
        ("last run", last_run(job.last_run.as_ref(), scene)),
        ("task", task.map_or("", |task| &task.r#type).into()),
        ("payload", payload.map(|payload| payload.to_string()).unwrap_or_default().into()),
        ("queue", job.queue().into()),
        ("agents", labels(&job.agent_selector).into()),
        ("priority", job.priority.to_string().into()),
        ("max instances", job.max_instances.map(|max| max.to_string()).unwrap_or_default().into()),
        ("overlap policy", policy(job).into()),
        ("misfire grace", span(&job.misfire_grace_time)),
        ("max attempts", attempts.map(|attempts| attempts.to_string()).unwrap_or_default().into()),
        ("timeout", span(&job.timeout)),
        ("start deadline", span(&job.start_deadline)),
        ("revision", job.revision.to_string().into()),
        ("created", time(&job.create_time)),
        ("changed", time(&job.update_time)),
        ("deleted", time(&job.delete_time)),
        ("uid", job.uid.as_str().into()),
        ("etag", job.etag.as_str().into()),
    ])
}

/// The schedule in the server's words, else in the words of its fields.
pub(crate) fn schedule(job: &Job) -> String {
    match &job.schedule {
        _ if !job.schedule_text.is_empty() => job.schedule_text.clone(),
        Some(schedule) => fields(schedule),
        None => "when triggered".to_owned(),
    }
}

fn fields(schedule: &Schedule) -> String {
    let mut parts = schedule.cron.clone();
    parts.extend(schedule.every.iter().map(|every| format!("every {}", duration(every))));
    parts.extend(schedule.at.iter().map(|at| format!("at {at}")));
    parts.extend(schedule.after_completion.iter().map(|delay| format!("{} after completion", duration(delay))));
    if parts.is_empty() { "when triggered".to_owned() } else { parts.join(", ") }
}

fn state(job: &Job) -> Cell {
    let style = match job.state() {
        job::State::Active => GOOD,
        job::State::Paused => ODD,
        job::State::Disabled | job::State::Deleted => BAD,
        job::State::Completed | job::State::Unspecified => PLAIN,
    };
    Cell::styled(job.state().as_str_name(), style)
}

fn policy(job: &Job) -> &'static str {
    match job.overlap_policy() {
        job::OverlapPolicy::Unspecified => "",
        policy => policy.as_str_name(),
    }
}

fn pause(job: &Job, scene: &Scene) -> String {
    let Some(pause) = &job.pause else { return String::new() };
    let note = if pause.note.is_empty() { String::new() } else { format!(": {}", pause.note) };
    format!("{} by {}{note}", relative(pause.time.as_ref(), scene.now), pause.author)
}

fn last_run(run: Option<&RunSummary>, scene: &Scene) -> Cell {
    let Some(run) = run else { return "-".into() };
    let time = run.end_time.as_ref().or(run.start_time.as_ref()).or(run.scheduled_time.as_ref());
    Cell::styled(format!("{} {}", run.state().as_str_name(), relative(time, scene.now)), run_style(run.state()))
}

fn run_style(state: run::State) -> Style {
    run_view::style(state)
}

pub(super) fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};
    use punctual_proto::v1::Task;

    use super::*;

    fn scene() -> Scene {
        Scene { now: chrono::DateTime::from_timestamp(1_000, 0).unwrap(), width: None }
    }

    fn example() -> Job {
        Job {
            namespace: "default".to_owned(),
            job_id: "beat".to_owned(),
            schedule: Some(Schedule { every: vec![Duration { seconds: 90, nanos: 0 }], ..Schedule::default() }),
            task: Some(Task { r#type: "noop".to_owned(), payload: None }),
            state: job::State::Active.into(),
            next_fire_time: Some(Timestamp { seconds: 1_005, nanos: 0 }),
            ..Job::default()
        }
    }

    #[test]
    fn a_page_of_jobs_says_what_happens_next() {
        let page = ListJobsResponse { jobs: vec![example()], ..ListJobsResponse::default() };
        let text = anstream::adapter::strip_str(&jobs(&page, &scene(), false)).to_string();
        let expected = "JOB   STATE   SCHEDULE      TASK  NEXT FIRE  LAST RUN\n\
                        beat  ACTIVE  every 1m 30s  noop  in 5 s     -\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn one_job_shows_what_is_set() {
        let text = anstream::adapter::strip_str(&job(&example(), &scene())).to_string();
        assert!(text.contains("next fire:  1970-01-01T00:16:45Z (in 5 s)\n"), "{text}");
        assert!(!text.contains("description"), "{text}");
    }

    #[test]
    fn a_job_without_fires_says_how_it_runs() {
        assert_eq!(schedule(&Job::default()), "when triggered");
        assert_eq!(schedule(&Job { schedule: Some(Schedule::default()), ..Job::default() }), "when triggered");
    }
}
