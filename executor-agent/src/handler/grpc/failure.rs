//! How a `grpc` task fails: with its call's status.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::session::Failure;

/// `GRPC_UNAVAILABLE` and so on; `what` was asked for.
pub(super) fn status(what: &str, status: &Status) -> Failure {
    let code = code(status);
    let name = name(code);
    let message = match status.message() {
        "" => format!("{what} ended with {name}"),
        message => format!("{what} ended with {name}: {message}"),
    };
    let retryable = match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => false,
    };
    Failure { code: format!("GRPC_{name}"), message, retryable }
}

/// The server's code. Where it said none, because the connection broke under the call, it went away.
fn code(status: &Status) -> Code {
    let is_ours =
        status.source().is_some() && matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled);
    if is_ours { Code::Unavailable } else { status.code() }
}

/// As the gRPC specification writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
