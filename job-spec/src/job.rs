//! The core's job as `punctual.v1` shows it, with every field filled in.

use std::time::Duration;

use punctual_proto::v1;
use scheduler_core::job::{Definition, Job, JobState, Pause};
use scheduler_core::run::Run;
use scheduler_core::time::Timestamp;

use crate::schedule::Find;
use crate::time::{proto_duration, proto_instant};
use crate::{enums, payload, schedule};

/// How long a deleted job can be brought back.
const EXPIRES_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// A stored job at the instant `now`, with the row that was entered last for it. `find` knows its calendars.
pub fn job(job: &Job, last_run: Option<&Run>, now: Timestamp, find: Find<'_>) -> v1::Job {
    let compiled = schedule::compile(job, find);
    let decided = now.max(job.effective_from);
    let spent = job.fires_left() == Some(0);
    let completed =
        compiled.as_ref().is_some_and(|compiled| compiled.is_exhausted(decided) || (spent && !compiled.is_empty()));
    let state = job.state(completed);
    let next_fire = compiled.as_ref().filter(|_| state == JobState::Active).and_then(|compiled| compiled.next(decided));
    v1::Job {
        namespace: job.key.namespace.clone(),
        job_id: job.key.job_id.clone(),
        uid: job.uid.to_string(),
        state: enums::proto_job_state(state).into(),
        pause: job.pause.as_ref().map(pause),
        next_fire_time: next_fire.map(proto_instant),
        schedule_text: compiled.map(|compiled| compiled.describe()).unwrap_or_default(),
        last_run: last_run.map(summary),
        etag: job.etag(),
        revision: i32::try_from(job.revision).unwrap_or(i32::MAX),
        create_time: Some(proto_instant(job.create_time)),
        update_time: Some(proto_instant(job.update_time)),
        delete_time: job.delete_time.map(proto_instant),
        expire_time: job.delete_time.map(|time| proto_instant(time.saturating_add(EXPIRES_AFTER))),
        ..defined(&job.definition)
    }
}

fn defined(definition: &Definition) -> v1::Job {
    v1::Job {
        display_name: definition.display_name.clone(),
        description: definition.description.clone(),
        labels: definition.labels.to_map(),
        schedule: Some(schedule::proto(&definition.schedule)),
        task: Some(v1::Task {
            r#type: definition.task.task_type.clone(),
            payload: Some(payload::proto(&definition.task.payload)),
        }),
        queue: Some(definition.queue.clone()),
        agent_selector: definition.agent_selector.clone(),
        priority: definition.priority,
        max_instances: Some(count(definition.max_instances)),
        misfire_grace_time: Some(proto_duration(definition.misfire_grace_time)),
        coalesce: Some(definition.coalesce),
        overlap_policy: enums::proto_overlap_policy(definition.overlap_policy).into(),
        max_queued: Some(count(definition.max_queued)),
        retry: Some(v1::RetryPolicy {
            max_attempts: Some(count(definition.retry.max_attempts)),
            initial_backoff: Some(proto_duration(definition.retry.initial_backoff)),
            backoff_multiplier: Some(definition.retry.backoff_multiplier),
            max_backoff: Some(proto_duration(definition.retry.max_backoff)),
            non_retryable_codes: definition.retry.non_retryable_codes.clone(),
        }),
        timeout: Some(proto_duration(definition.timeout)),
        kill_grace: Some(proto_duration(definition.kill_grace)),
        start_deadline: definition.start_deadline.map(proto_duration),
        on_lost: enums::proto_on_lost(definition.on_lost).into(),
        pause_after_failures: count(definition.pause_after_failures),
        delete_after_completion: definition.delete_after_completion,
        retention: Some(v1::Retention {
            max_runs: Some(count(definition.retention.max_runs)),
            max_age: Some(proto_duration(definition.retention.max_age)),
        }),
        enabled: Some(definition.enabled),
        ..v1::Job::default()
    }
}

fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Who halted a job, when and why.
pub fn pause(pause: &Pause) -> v1::Pause {
    v1::Pause { note: pause.note.clone(), author: pause.author.clone(), time: Some(proto_instant(pause.time)) }
}

/// What a job shows of its last run.
pub fn summary(run: &Run) -> v1::RunSummary {
    let first_start = run.first_attempt.as_ref().and_then(|attempt| attempt.start_time);
    v1::RunSummary {
        run_id: run.id.to_string(),
        trigger: enums::proto_trigger(run.trigger).into(),
        state: enums::proto_run_state(run.state).into(),
        reason: run.reason.map(enums::proto_reason).unwrap_or_default().into(),
        scheduled_time: Some(proto_instant(run.scheduled_time)),
        start_time: first_start.or(run.start_time).map(proto_instant),
        end_time: run.end_time.map(proto_instant),
    }
}
