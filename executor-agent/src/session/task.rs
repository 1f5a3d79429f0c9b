//! A task as the session hands it out, and its end as it comes back.

use std::time::Duration;

use bytes::Bytes;

use super::ids::AttemptKey;
use crate::time::{Boot, Wall};

/// One attempt's task, with all that its handler needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub key: AttemptKey,
    pub namespace: String,
    pub job_id: String,
    pub task_type: String,
    /// A JSON object.
    pub payload: Bytes,
    pub scheduled_time: Option<Wall>,
    pub fencing_token: i64,
    pub slot: i32,
    /// W3C `traceparent`; empty when there is none.
    pub trace_parent: String,
    /// When it will be asked to end; none when it has no limit of its own.
    pub deadline: Option<Boot>,
    /// From being asked to end to being killed.
    pub kill_grace: Duration,
}

/// How a task ended, as its handler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The result as JSON (empty for none), or what went wrong.
    pub result: Result<Bytes, Failure>,
    /// Exit code of the process, where there was one.
    pub exit_code: Option<i32>,
}

impl Completion {
    /// Success, with a result as JSON text or nothing.
    pub fn success(result: impl Into<Bytes>) -> Self {
        Self { result: Ok(result.into()), exit_code: None }
    }
}

impl From<Failure> for Completion {
    fn from(failure: Failure) -> Self {
        Self { result: Err(failure), exit_code: None }
    }
}

/// What went wrong in a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What retry policies match.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether another attempt may help.
    pub retryable: bool,
}

impl Failure {
    /// A failure that another attempt may get round.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: true }
    }

    /// A failure that every attempt would meet.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false }
    }
}
