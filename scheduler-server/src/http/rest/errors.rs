//! Statuses as REST shows them.
//!
//! Refusals of the port itself are gRPC statuses too, made here, so that there is one way from a status to JSON. The
//! statuses of the services name fields as gRPC clients wrote them; [`super::spelling`] turns the names round first.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use punctual_proto::v1::ErrorReason;
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt, pb};

/// The domain of our reasons.
const DOMAIN: &str = "punctual";

/// The messages that details may be; others are left out.
static DETAILS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::global();
    pool.decode_file_descriptor_set(pb::FILE_DESCRIPTOR_SET).expect("because the set is built in and whole");
    pool
});

/// A refusal of the port itself.
pub(in crate::http) fn refuse(code: Code, reason: ErrorReason, message: impl Into<String>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str_name(), DOMAIN, []);
    Status::with_error_details(code, message, details)
}

/// A refusal that holds for a while.
pub(in crate::http) fn refuse_for_now(
    code: Code,
    reason: ErrorReason,
    message: impl Into<String>,
    wait: Duration,
) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str_name(), DOMAIN, []);
    details.set_retry_info(Some(wait));
    Status::with_error_details(code, message, details)
}

/// A refusal for fields, named as the caller spelled them.
pub(in crate::http) fn invalid_fields(violations: Vec<FieldViolation>) -> Status {
    let message = match &violations[..] {
        [one] => format!("{}: {}", one.field, one.description),
        many => format!("{} fields are wrong", many.len()),
    };
    let mut details = ErrorDetails::new();
    details.set_error_info(ErrorReason::InvalidFields.as_str_name(), DOMAIN, []);
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

pub(super) fn malformed(message: impl Into<String>) -> Status {
    refuse(Code::InvalidArgument, ErrorReason::MalformedRequest, message)
}

/// The HTTP status: that of the code, but for the few reasons that HTTP has a word of its own for.
pub(in crate::http) fn http_status(status: &Status) -> StatusCode {
    let reason = status.get_details_error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason);
    match reason.as_deref().and_then(ErrorReason::from_str_name) {
        Some(ErrorReason::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(ErrorReason::HostNotAllowed) => StatusCode::MISDIRECTED_REQUEST,
        Some(ErrorReason::ContentTypeUnsupported) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => http_status_of(status.code()),
    }
}

fn http_status_of(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).expect("because 499 is in the range of statuses"),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// The name of a code in JSON.
pub(in crate::http) fn name(code: Code) -> &'static str {
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

pub(in crate::http) fn response(status: &Status) -> Response {
    let mut response = respond(http_status(status), status);
    let headers = response.headers_mut();
    if let Some(wait) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        // HTTP counts in whole seconds.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status.code() == Code::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A path that is known, but not with this method.
pub(in crate::http) fn method_not_allowed(allow: &str) -> Response {
    let message = format!("this path takes {allow}");
    let status = refuse(Code::Unimplemented, ErrorReason::NotImplemented, message);
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, &status);
    let allow = HeaderValue::from_str(allow).expect("because the names of methods are ASCII");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

fn respond(http: StatusCode, status: &Status) -> Response {
    (http, plain_headers(), Json(shown(http, status))).into_response()
}

/// What goes with every answer of the API: it is not a page, and it is as old as it is read.
pub(super) fn plain_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ])
}

pub(in crate::http) fn json(status: &Status) -> Value {
    shown(http_status(status), status)
}

fn shown(http: StatusCode, status: &Status) -> Value {
    let details = pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    let details: Vec<Value> = details.iter().filter_map(detail).collect();
    json!({"error": {
        "code": http.as_u16(),
        "status": name(status.code()),
        "message": status.message(),
        "details": details,
    }})
}

fn detail(any: &prost_types::Any) -> Option<Value> {
    let name = any.type_url.rsplit('/').next()?;
    let message = DETAILS.get_message_by_name(name)?;
    let message = DynamicMessage::decode(message, &any.value[..]).ok()?;
    let shown = message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).ok()?;
    let Value::Object(fields) = shown else { return None };
    let mut typed = serde_json::Map::from_iter([("@type".to_owned(), Value::from(any.type_url.clone()))]);
    typed.extend(fields);
    Some(Value::Object(typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_http_status_of_google_rpc() {
        let statuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
        for (number, http) in (0..).zip(statuses) {
            let code = Code::from_i32(number);
            assert_eq!(http_status(&Status::new(code, "")).as_u16(), http, "{code:?}");
        }
    }

    #[test]
    fn a_few_reasons_have_an_http_status_of_their_own() {
        let cases = [
            (Code::ResourceExhausted, ErrorReason::TooLarge, 413),
            (Code::ResourceExhausted, ErrorReason::TooMany, 429),
            (Code::FailedPrecondition, ErrorReason::HostNotAllowed, 421),
            (Code::InvalidArgument, ErrorReason::ContentTypeUnsupported, 415),
            (Code::PermissionDenied, ErrorReason::OriginNotAllowed, 403),
        ];
        for (code, reason, http) in cases {
            assert_eq!(http_status(&refuse(code, reason, "")).as_u16(), http, "{reason:?}");
        }
    }

    #[test]
    fn an_error_has_the_shape_of_the_contract() {
        let status = invalid_fields(vec![FieldViolation::new("schedule.cron[0]", "61 is above 59")]);
        let expected = json!({"error": {
            "code": 400,
            "status": "INVALID_ARGUMENT",
            "message": "schedule.cron[0]: 61 is above 59",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_FIELDS", "domain": "punctual"},
                {"@type": "type.googleapis.com/google.rpc.BadRequest",
                 "fieldViolations": [{"field": "schedule.cron[0]", "description": "61 is above 59"}]},
            ],
        }});
        assert_eq!(json(&status), expected);
    }

    #[test]
    fn details_of_unknown_types_are_left_out() {
        let unknown = prost_types::Any { type_url: "type.googleapis.com/x.Y".to_owned(), value: vec![1, 2, 3] };
        let details = pb::Status { code: 5, message: String::new(), details: vec![unknown] }.encode_to_vec();
        let status = Status::with_details(Code::NotFound, "gone", details.into());
        assert_eq!(json(&status)["error"]["details"], json!([]));
    }
}
