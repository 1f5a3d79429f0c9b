//! Requests that cannot be read are their caller's fault, and are told so.
//!
//! tonic calls them INTERNAL, as if the server were broken, and what is too large OUT_OF_RANGE. It has no other sign of
//! them than its words; a test over the whole port sends such requests.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use punctual_proto::v1::ErrorReason;
use tonic::{Code, Status};

use super::super::rest::errors;

const UNREADABLE: &str = "failed to decode Protobuf message";
const TOO_LARGE: &str = "Error, decoded message length too large: ";

pub(super) async fn explain(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    // A refusal without an answer has its status in the headers.
    let explained = Status::from_header_map(response.headers()).as_ref().and_then(explained);
    explained.map_or(response, Status::into_http)
}

fn explained(status: &Status) -> Option<Status> {
    if status.code() == Code::Internal && status.message().starts_with(UNREADABLE) {
        let message = format!("the request cannot be read: {}", status.message());
        return Some(errors::refuse(Code::InvalidArgument, ErrorReason::MalformedRequest, message));
    }
    let size = status.message().strip_prefix(TOO_LARGE).filter(|_| status.code() == Code::OutOfRange)?;
    let message = format!("the request is too large: {size}");
    Some(errors::refuse(Code::ResourceExhausted, ErrorReason::TooLarge, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_refusals_stay_as_they_are() {
        assert!(explained(&Status::internal("a bug")).is_none());
        assert!(explained(&Status::out_of_range("the resume token is too old")).is_none());
        assert!(explained(&Status::invalid_argument(UNREADABLE)).is_none());
    }
}
