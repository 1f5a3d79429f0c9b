use scheduler_core::ids::{AgentId, AgentInstance, FencingToken, RunId};
use scheduler_core::run::Attempt;

use super::{Columns, Values, count, id, optional_text, optional_time, put_error, stored_time, task_error, text, time};

pub(crate) fn put_attempt(values: &mut impl Values, run: RunId, attempt: &Attempt) {
    values
        .put(run.0)
        .put(i64::from(attempt.number))
        .put(attempt.state.as_str())
        .put(attempt.agent_id.as_str())
        .put(attempt.agent_instance.0)
        .put(i64::from(attempt.slot))
        .put(attempt.fencing_token.0)
        .put(attempt.assign_time.as_micros())
        .put(stored_time(attempt.start_time))
        .put(stored_time(attempt.end_time))
        .put(attempt.reason.map(|reason| reason.as_str()));
    put_error(values, attempt.error.as_ref());
    values.put(attempt.exit_code);
}

pub(crate) fn attempt(row: &impl Columns) -> sqlx::Result<(RunId, Attempt)> {
    let attempt = Attempt {
        number: count(row, "number")?,
        state: text(row, "state")?,
        agent_id: AgentId(row.get("agent_id")?),
        agent_instance: id(row, "agent_instance", AgentInstance)?,
        slot: count(row, "slot")?,
        fencing_token: FencingToken(row.get("fencing_token")?),
        assign_time: time(row, "assign_time")?,
        start_time: optional_time(row, "start_time")?,
        end_time: optional_time(row, "end_time")?,
        reason: optional_text(row, "reason")?,
        error: task_error(row, "error_code", "error_message")?,
        exit_code: row.get("exit_code")?,
    };
    Ok((id(row, "run_id", RunId)?, attempt))
}
