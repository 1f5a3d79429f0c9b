use ledger::Unreadable;
use scheduler_core::calendar::CalendarKey;
use scheduler_core::engine::Refusal;
use scheduler_core::ids::{AgentId, RunId, TokenId};
use scheduler_core::job::JobKey;
use scheduler_core::{Violation, Violations};

/// Why a call was not answered with what it asked for. Paths of violations start at the request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(Violations),
    #[error("the page token is not one of ours, or belongs to other arguments")]
    PageToken,
    #[error("{0}")]
    TooLarge(Violation),
    #[error("there is no job {0}")]
    JobNotFound(JobKey),
    #[error("job {job} has no revision {revision}")]
    RevisionNotFound { job: JobKey, revision: i64 },
    #[error("there is no run {run} in namespace {namespace}")]
    RunNotFound { namespace: String, run: RunId },
    #[error("no agent {0} is known to the leader")]
    AgentNotFound(AgentId),
    #[error("no agent that the leader knows offers the task type {0}")]
    TaskTypeNotFound(String),
    #[error("no leader is known that could tell")]
    NoLeader,
    #[error("the resume token is too old: list again")]
    ResumeTokenExpired,
    #[error("there is no token {0}")]
    TokenNotFound(TokenId),
    #[error("the token has expired or was revoked")]
    SignedOut,
    #[error("this server is stopping")]
    Stopping,
    #[error("there is no calendar {0}")]
    CalendarNotFound(CalendarKey),
    #[error("run {0} has ended")]
    RunEnded(RunId),
    #[error("run {0} has not ended")]
    RunNotEnded(RunId),
    #[error(transparent)]
    Refused(Refusal),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The write was given up: it was done, or not.
    #[error("the write was given up before it was answered: it was done, or not")]
    OutcomeUnknown { request_id: Option<String> },
    #[error("the deadline has passed")]
    DeadlineExceeded,
    /// A bug: the leader answered something else than what was asked.
    #[error("the leader's answer does not fit the request {0}")]
    Misanswered(&'static str),
}

impl Error {
    /// One field that is wrong.
    pub(crate) fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        Self::Invalid(violations)
    }
}

/// Violations of a job's definition, as fields of a request that has the job under `job`.
pub(super) fn in_job(violations: Violations) -> Violations {
    under("job", violations)
}

/// As [`in_job`].
pub(super) fn in_calendar(violations: Violations) -> Violations {
    under("calendar", violations)
}

fn under(field: &str, mut violations: Violations) -> Violations {
    for violation in &mut violations.0 {
        violation.field = format!("{field}.{}", violation.field);
    }
    violations
}
