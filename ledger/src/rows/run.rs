use scheduler_core::ids::{AgentId, AgentInstance, BackfillId, FencingToken, JobUid, RunId};
use scheduler_core::job::{JobKey, Payload};
use scheduler_core::run::{Attempt, Progress, Run, RunState};

use super::{
    Columns, Values, count, id, json, optional, optional_text, optional_time, put_error, stored_count, stored_json,
    stored_time, task_error, text, time,
};

/// All of a new run, in the order of `enter_runs.sql`.
pub(crate) fn put_entered_run(values: &mut impl Values, run: &Run) {
    values
        .put(run.id.0)
        .put(run.job_uid.0)
        .put(run.job_key.namespace.as_str())
        .put(run.job_key.job_id.as_str())
        .put(run.trigger.as_str())
        .put(run.scheduled_time.as_micros())
        .put(run.occurrence)
        .put(stored_time(run.covers_from))
        .put(run.decided_at.as_micros())
        .put(stored_count(run.coalesced_count))
        .put(stored_time(run.first_scheduled_time))
        .put(run.retry_of.map(|id| id.0))
        .put(run.backfill_id.map(|id| id.0))
        .put(stored_json(&run.labels))
        .put(run.create_time.as_micros())
        .put(run.first_attempt.as_ref().map(|attempt| attempt.agent_id.as_str()));
    put_course(values, run);
}

/// What may change in a run, in the order of `update_runs.sql`.
pub(crate) fn put_updated_run(values: &mut impl Values, run: &Run) {
    values.put(run.id.0);
    put_course(values, run);
}

/// What becomes of a run; the rest is settled when it is entered.
fn put_course(values: &mut impl Values, run: &Run) {
    values
        .put(run.job_revision)
        .put(run.not_before.as_micros())
        .put(run.state.as_str())
        .put(run.reason.map(|reason| reason.as_str()))
        .put(run.reason_message.as_str())
        .put(i64::from(run.attempt))
        .put(i64::from(run.uncounted_attempts))
        .put(stored_time(run.next_attempt_time));
    put_first_attempt(values, run.first_attempt.as_ref());
    values
        .put(run.payload.as_ref().map(|payload| payload.0.clone()))
        .put(stored_time(run.cancel_requested_time))
        .put(stored_time(run.start_time))
        .put(stored_time(run.end_time))
        .put(run.progress.as_ref().map(|progress| progress.percent))
        .put(run.progress.as_ref().map(|progress| progress.message.as_str()))
        .put(run.result.as_deref());
    put_error(values, run.error.as_ref());
    values.put(run.exit_code);
}

fn put_first_attempt(values: &mut impl Values, attempt: Option<&Attempt>) {
    values
        .put(attempt.map(|attempt| attempt.state.as_str()))
        .put(attempt.map(|attempt| attempt.agent_id.as_str()))
        .put(attempt.map(|attempt| attempt.agent_instance.0))
        .put(attempt.map(|attempt| i64::from(attempt.slot)))
        .put(attempt.map(|attempt| attempt.fencing_token.0))
        .put(attempt.map(|attempt| attempt.assign_time.as_micros()))
        .put(attempt.and_then(|attempt| stored_time(attempt.start_time)))
        .put(attempt.and_then(|attempt| stored_time(attempt.end_time)))
        .put(attempt.and_then(|attempt| attempt.reason).map(|reason| reason.as_str()));
    put_error(values, attempt.and_then(|attempt| attempt.error.as_ref()));
    values.put(attempt.and_then(|attempt| attempt.exit_code));
}

pub(crate) fn run_state(row: &impl Columns) -> sqlx::Result<RunState> {
    text(row, "state")
}

pub(crate) fn run(row: &impl Columns) -> sqlx::Result<Run> {
    Ok(Run {
        id: id(row, "id", RunId)?,
        job_uid: id(row, "job_uid", JobUid)?,
        job_key: JobKey { namespace: row.get("namespace")?, job_id: row.get("job_id")? },
        job_revision: row.get("job_revision")?,
        trigger: text(row, "trigger")?,
        scheduled_time: time(row, "scheduled_time")?,
        occurrence: row.get("occurrence")?,
        covers_from: optional_time(row, "covers_from")?,
        decided_at: time(row, "decided_at")?,
        not_before: time(row, "not_before")?,
        state: text(row, "state")?,
        reason: optional_text(row, "reason")?,
        reason_message: row.get("reason_message")?,
        attempt: count(row, "attempt")?,
        uncounted_attempts: count(row, "uncounted_attempts")?,
        next_attempt_time: optional_time(row, "next_attempt_time")?,
        first_attempt: first_attempt(row)?,
        coalesced_count: count(row, "coalesced_count")?,
        first_scheduled_time: optional_time(row, "first_scheduled_time")?,
        retry_of: optional(row, "retry_of", RunId)?,
        backfill_id: optional(row, "backfill_id", BackfillId)?,
        labels: json(row, "labels")?,
        payload: optional(row, "payload", |text: &str| Payload(text.into()))?,
        cancel_requested_time: optional_time(row, "cancel_requested_time")?,
        create_time: time(row, "create_time")?,
        start_time: optional_time(row, "start_time")?,
        end_time: optional_time(row, "end_time")?,
        progress: progress(row)?,
        result: row.get("result")?,
        error: task_error(row, "error_code", "error_message")?,
        exit_code: row.get("exit_code")?,
    })
}

fn first_attempt(row: &impl Columns) -> sqlx::Result<Option<Attempt>> {
    let Some(state) = optional_text(row, "first_state")? else { return Ok(None) };
    Ok(Some(Attempt {
        number: 1,
        state,
        agent_id: AgentId(row.get("first_agent_id")?),
        agent_instance: id(row, "first_agent_instance", AgentInstance)?,
        slot: count(row, "first_slot")?,
        fencing_token: FencingToken(row.get("first_fencing_token")?),
        assign_time: time(row, "first_assign_time")?,
        start_time: optional_time(row, "first_start_time")?,
        end_time: optional_time(row, "first_end_time")?,
        reason: optional_text(row, "first_reason")?,
        error: task_error(row, "first_error_code", "first_error_message")?,
        exit_code: row.get("first_exit_code")?,
    }))
}

fn progress(row: &impl Columns) -> sqlx::Result<Option<Progress>> {
    Ok(match (row.get("progress_percent")?, row.get("progress_message")?) {
        (Some(percent), Some(message)) => Some(Progress { percent, message }),
        _ => None,
    })
}
