//! The core's runs and attempts as `punctual.v1` shows them.

use punctual_proto::v1;
use scheduler_core::run::{Attempt, AttemptState, Progress, Reason, Run, TaskError};
use scheduler_core::time::Timestamp;

use crate::time::proto_instant;
use crate::{enums, payload};

/// How much of a run is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunView {
    /// With its attempts.
    Whole,
    /// As in lists.
    WithoutAttempts,
}

/// A stored run with its second and later attempts, ascending.
pub fn run(run: &Run, later_attempts: &[Attempt], view: RunView) -> v1::Run {
    let latest = later_attempts.last().or(run.first_attempt.as_ref());
    v1::Run {
        namespace: run.job_key.namespace.clone(),
        job_id: run.job_key.job_id.clone(),
        job_uid: run.job_uid.to_string(),
        run_id: run.id.to_string(),
        job_revision: i32::try_from(run.job_revision).unwrap_or(i32::MAX),
        trigger: enums::proto_trigger(run.trigger).into(),
        scheduled_time: Some(proto_instant(run.scheduled_time)),
        not_before: Some(run.not_before).filter(|time| *time != run.scheduled_time).map(proto_instant),
        state: enums::proto_run_state(run.state).into(),
        reason: proto_reason(run.reason),
        reason_message: run.reason_message.clone(),
        attempt: count(run.attempt),
        agent_id: latest.map(|attempt| attempt.agent_id.to_string()).unwrap_or_default(),
        fencing_token: latest.map(|attempt| attempt.fencing_token.0).unwrap_or_default(),
        slot: latest.map(|attempt| count(attempt.slot)),
        progress: run.progress.as_ref().map(progress),
        result: run.result.as_deref().map(payload::proto_result),
        error: run.error.as_ref().map(error),
        exit_code: run.exit_code,
        coalesced_count: i32::try_from(run.coalesced_count).unwrap_or(i32::MAX),
        first_scheduled_time: run.first_scheduled_time.map(proto_instant),
        retry_of: run.retry_of.map(|id| id.to_string()).unwrap_or_default(),
        backfill_id: run.backfill_id.map(|id| id.to_string()).unwrap_or_default(),
        labels: run.labels.clone(),
        cancel_requested_time: run.cancel_requested_time.map(proto_instant),
        create_time: Some(proto_instant(run.create_time)),
        start_time: first_start(run, later_attempts).map(proto_instant),
        end_time: run.end_time.map(proto_instant),
        next_attempt_time: run.next_attempt_time.map(proto_instant),
        attempts: match view {
            RunView::Whole => attempts(run, later_attempts),
            RunView::WithoutAttempts => Vec::new(),
        },
    }
}

/// A run starts with the first of its attempts that started.
fn first_start(run: &Run, later_attempts: &[Attempt]) -> Option<Timestamp> {
    let starts = run.first_attempt.iter().chain(later_attempts).filter_map(|attempt| attempt.start_time);
    starts.min().or(run.start_time)
}

fn attempts(run: &Run, later: &[Attempt]) -> Vec<v1::Attempt> {
    let latest = run.attempt;
    let shown = |attempt: &Attempt| v1::Attempt {
        number: count(attempt.number),
        state: enums::proto_attempt_state(attempt.state).into(),
        reason: proto_reason(attempt.reason),
        reason_message: words(attempt),
        agent_id: attempt.agent_id.to_string(),
        agent_instance: attempt.agent_instance.to_string(),
        slot: count(attempt.slot),
        fencing_token: attempt.fencing_token.0,
        // The ledger has the revision of the latest hand-out only.
        job_revision: if attempt.number == latest { i32::try_from(run.job_revision).unwrap_or(i32::MAX) } else { 0 },
        create_time: Some(proto_instant(attempt.assign_time)),
        start_time: attempt.start_time.map(proto_instant),
        end_time: attempt.end_time.map(proto_instant),
        error: attempt.error.as_ref().map(error),
        exit_code: attempt.exit_code,
        late_outcome: String::new(),
        not_started: attempt.state == AttemptState::Lost && attempt.reason.is_some_and(never_started),
    };
    run.first_attempt.iter().chain(later).map(shown).collect()
}

/// Reasons of attempts that ended before they began.
fn never_started(reason: Reason) -> bool {
    matches!(reason, Reason::NotStarted | Reason::LockNotTaken | Reason::RefusedByAgent | Reason::Revoked)
}

fn words(attempt: &Attempt) -> String {
    match (&attempt.reason, &attempt.error) {
        (None, _) => String::new(),
        (Some(_), Some(error)) if error.message.is_empty() => error.code.clone(),
        (Some(_), Some(error)) => format!("{}: {}", error.code, error.message),
        (Some(reason), None) => match reason {
            Reason::AgentLost => format!("agent {} was not heard of any more", attempt.agent_id),
            Reason::RightToRunEnded => format!("agent {} stopped it: its right to run ended", attempt.agent_id),
            Reason::NotStarted => format!("agent {} never started it", attempt.agent_id),
            Reason::RefusedByAgent => format!("agent {} refused it", attempt.agent_id),
            Reason::Timeout => "it ran into its timeout".to_owned(),
            other => other.as_str().to_lowercase().replace('_', " "),
        },
    }
}

fn proto_reason(reason: Option<Reason>) -> i32 {
    reason.map(enums::proto_reason).unwrap_or_default().into()
}

fn progress(progress: &Progress) -> v1::Progress {
    v1::Progress { percent: progress.percent, message: progress.message.clone() }
}

fn error(error: &TaskError) -> v1::TaskError {
    v1::TaskError { code: error.code.clone(), message: error.message.clone() }
}

fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
