//! The one map from what went wrong to what a client is told.

use std::collections::HashMap;

use ledger::Unreadable;
use punctual_proto::v1::ErrorReason;
use scheduler_core::engine::{Away, Refusal};
use scheduler_core::{Violation, Violations};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::service::Error;

const DOMAIN: &str = "punctual";
/// Clients take 16 KiB of headers, where a status travels; what is beyond this is left out.
const MOST_BYTES_OF_VIOLATIONS: usize = 4_096;
const LONGEST_TEXT: usize = 300;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(violations) => invalid(ErrorReason::InvalidFields, &violations),
            Error::PageToken => one(ErrorReason::PageTokenInvalid, "page_token", &Error::PageToken.to_string()),
            Error::TooLarge(violation) => {
                let details = with_violations(ErrorReason::TooLarge, std::slice::from_ref(&violation));
                Self::with_error_details(Code::ResourceExhausted, shortened(&violation.to_string()), details)
            }
            Error::JobNotFound(_) => plain(Code::NotFound, ErrorReason::JobNotFound, &error),
            Error::RevisionNotFound { .. } => plain(Code::NotFound, ErrorReason::JobRevisionNotFound, &error),
            Error::RunNotFound { .. } => plain(Code::NotFound, ErrorReason::RunNotFound, &error),
            Error::AgentNotFound(_) => plain(Code::NotFound, ErrorReason::AgentNotFound, &error),
            Error::TaskTypeNotFound(_) => plain(Code::NotFound, ErrorReason::TaskTypeNotFound, &error),
            Error::NoLeader => plain(Code::Unavailable, ErrorReason::NoLeader, &error),
            Error::ResumeTokenExpired => plain(Code::OutOfRange, ErrorReason::ResumeTokenExpired, &error),
            Error::SignedOut => plain(Code::Unauthenticated, ErrorReason::TokenExpired, &error),
            Error::TokenNotFound(_) => plain(Code::NotFound, ErrorReason::TokenNotFound, &error),
            Error::Stopping => plain(Code::Unavailable, ErrorReason::ShuttingDown, &error),
            Error::CalendarNotFound(_) => plain(Code::NotFound, ErrorReason::CalendarNotFound, &error),
            Error::RunEnded(_) => plain(Code::FailedPrecondition, ErrorReason::RunEnded, &error),
            Error::RunNotEnded(_) => plain(Code::FailedPrecondition, ErrorReason::RunNotEnded, &error),
            Error::Refused(refusal) => refused(refusal),
            Error::Unreadable(Unreadable::Unavailable(_)) => {
                plain(Code::Unavailable, ErrorReason::LedgerUnavailable, &error)
            }
            Error::Unreadable(Unreadable::Corrupt(_)) | Error::Misanswered(_) => bug(&error),
            Error::OutcomeUnknown { ref request_id } => outcome_unknown(request_id.as_deref(), &error),
            Error::DeadlineExceeded => Self::deadline_exceeded(error.to_string()),
        }
    }
}

fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::JobNotFound(_) => plain(Code::NotFound, ErrorReason::JobNotFound, &refusal),
        Refusal::JobExists(_) => plain(Code::AlreadyExists, ErrorReason::JobAlreadyExists, &refusal),
        Refusal::JobDeleted(_) => plain(Code::FailedPrecondition, ErrorReason::JobDeleted, &refusal),
        Refusal::JobDisabled(_) => plain(Code::FailedPrecondition, ErrorReason::JobDisabled, &refusal),
        Refusal::NothingToBackfill(_) => plain(Code::FailedPrecondition, ErrorReason::NothingToBackfill, &refusal),
        Refusal::StaleEtag { .. } => plain(Code::Aborted, ErrorReason::EtagMismatch, &refusal),
        Refusal::RunNotLive(_) => plain(Code::FailedPrecondition, ErrorReason::RunEnded, &refusal),
        Refusal::AgentNotFound(_) => plain(Code::NotFound, ErrorReason::AgentNotFound, &refusal),
        Refusal::AgentAway(_) => plain(Code::FailedPrecondition, ErrorReason::AgentNotConnected, &refusal),
        Refusal::CalendarNotFound(_) => plain(Code::NotFound, ErrorReason::CalendarNotFound, &refusal),
        Refusal::CalendarExists(_) => plain(Code::AlreadyExists, ErrorReason::CalendarAlreadyExists, &refusal),
        Refusal::CalendarInUse { .. } => plain(Code::FailedPrecondition, ErrorReason::CalendarInUse, &refusal),
        Refusal::Invalid(violations) => invalid(ErrorReason::InvalidFields, &violations),
        Refusal::RequestIdReused(_) => {
            one(ErrorReason::RequestIdReused, "request_id", "was used for a request with other content")
        }
        Refusal::Unavailable(Away::Ledger) => plain(Code::Unavailable, ErrorReason::LedgerUnavailable, &refusal),
        Refusal::Unavailable(Away::NoLeader | Away::Stopping | Away::HandsOver) => {
            plain(Code::Unavailable, ErrorReason::NoLeader, &refusal)
        }
        Refusal::Unavailable(Away::Suspended) => plain(Code::Unavailable, ErrorReason::LeaderSuspended, &refusal),
        Refusal::AnotherLeads { .. } => plain(Code::FailedPrecondition, ErrorReason::AnotherLeads, &refusal),
        Refusal::NobodyElseStands => plain(Code::FailedPrecondition, ErrorReason::NobodyElseStands, &refusal),
        Refusal::RefusedByLedger(_) => {
            tracing::error!(error = %refusal, "the ledger refuses what a client asked for");
            plain(Code::Internal, ErrorReason::InternalError, &refusal)
        }
        Refusal::OutcomeUnknown => outcome_unknown(None, &refusal),
    }
}

fn plain(code: Code, reason: ErrorReason, message: &impl ToString) -> Status {
    Status::with_error_details(code, shortened(&message.to_string()), info(reason, []))
}

/// A human must look: it is logged here, once.
fn bug(error: &Error) -> Status {
    tracing::error!(%error, "a call failed for a reason of the server's own");
    let message = "the server failed for a reason of its own, which its log has";
    Status::with_error_details(Code::Internal, message, info(ErrorReason::InternalError, []))
}

fn outcome_unknown(request_id: Option<&str>, message: &impl ToString) -> Status {
    let metadata = request_id.map(|request_id| ("request_id".to_owned(), request_id.to_owned()));
    Status::with_error_details(Code::Unknown, message.to_string(), info(ErrorReason::OutcomeUnknown, metadata))
}

fn one(reason: ErrorReason, field: &str, description: &str) -> Status {
    let mut violations = Violations::default();
    violations.add(field, description);
    invalid(reason, &violations)
}

fn invalid(reason: ErrorReason, violations: &Violations) -> Status {
    let message = match &violations.0[..] {
        [one] => shortened(&one.to_string()),
        many => format!("{} fields are wrong", many.len()),
    };
    Status::with_error_details(Code::InvalidArgument, message, with_violations(reason, &violations.0))
}

fn info(reason: ErrorReason, metadata: impl IntoIterator<Item = (String, String)>) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str_name(), DOMAIN, metadata.into_iter().collect::<HashMap<_, _>>());
    details
}

fn with_violations(reason: ErrorReason, violations: &[Violation]) -> ErrorDetails {
    let mut details = info(reason, []);
    let mut bytes = 0;
    let shown = violations
        .iter()
        .map(|violation| FieldViolation::new(shortened(&violation.field), shortened(&violation.description)));
    let fitting = shown.take_while(|violation| {
        bytes += violation.field.len() + violation.description.len();
        bytes <= MOST_BYTES_OF_VIOLATIONS
    });
    details.set_bad_request(fitting.collect::<Vec<_>>());
    details
}

/// Names and values of users may be of any length.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
