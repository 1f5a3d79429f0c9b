//! How an `http` task fails.

use http::StatusCode;
use hyper_util::client::legacy;

use super::request::Request;
use crate::handler::outgoing::chain;
use crate::session::Failure;

/// No answer: nobody was reached, or the connection broke before there was one.
pub(super) fn unanswered(request: &Request, error: &legacy::Error) -> Failure {
    let (code, what) = if error.is_connect() {
        ("HTTP_CONNECT", "could not be reached")
    } else {
        ("HTTP_BROKEN_OFF", "did not answer")
    };
    Failure::new(code, format!("{} {what}: {}", request.shown, chain(error)))
}

/// The connection broke within the answer.
pub(super) fn broken_off(error: &hyper::Error, read: u64) -> Failure {
    Failure::new("HTTP_BROKEN_OFF", format!("the answer broke off after {read} bytes: {}", chain(error)))
}

/// An answer that the payload does not call a success. What the server has brought about, or may not want again soon, is
/// worth another attempt; what it finds wrong with the request stays wrong.
pub(super) fn status(request: &Request, status: StatusCode) -> Failure {
    let waits = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    let reason = status.canonical_reason().unwrap_or("no known status");
    Failure {
        code: format!("HTTP_{}", status.as_u16()),
        message: format!("{} {} answered {} {reason}", request.method, request.shown, status.as_u16()),
        retryable: status.is_server_error() || waits.contains(&status),
    }
}

pub(super) fn too_many_redirects(request: &Request, most: usize) -> Failure {
    let message = format!("more than {most} redirects, the last of them to {}", request.shown);
    Failure::permanent("HTTP_REDIRECT", message)
}
