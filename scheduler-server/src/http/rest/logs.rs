//! `GET …/runs/{run_id}/logs` as text: the bytes as the task wrote them, all pages in one answer.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream::try_unfold;
use prost_reflect::{DynamicMessage, Value};
use punctual_proto::v1::GetRunLogsResponse;
use tonic::Status;
use tonic_types::FieldViolation;

use super::call::Call;
use super::errors;
use super::routes::Route;

const METHOD: &str = "punctual.v1.RunService.GetRunLogs";
const PAGE_SIZE: i32 = 1_000;

/// Whether the answer is text for those who do not ask for JSON.
pub(in crate::http) fn may_be_text(route: &Route) -> bool {
    route.method.full_name() == METHOD
}

/// Whether this caller gets text.
pub(super) fn are_text(route: &Route, headers: &HeaderMap) -> bool {
    may_be_text(route) && !prefers_json(headers)
}

fn prefers_json(headers: &HeaderMap) -> bool {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let names = |media_type: &str| {
        let named = |item: &str| item.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type);
        accept.iter().flat_map(|value| value.split(',')).any(named)
    };
    names("application/json") && !names("text/plain")
}

/// The first page is read before the answer begins, so that a refusal is one.
pub(super) async fn text(call: Call, mut message: DynamicMessage) -> Result<Response, Status> {
    refuse_pages(&message)?;
    message.set_field_by_name("page_size", Value::I32(PAGE_SIZE));
    let first = page(&call.unary(message.clone()).await?)?;
    let rest = try_unfold(Some(first), move |page| {
        let (call, mut message) = (call.clone(), message.clone());
        async move {
            let Some(page) = page else { return Ok(None) };
            let next = if page.next_page_token.is_empty() {
                None
            } else {
                message.set_field_by_name("page_token", Value::String(page.next_page_token));
                Some(self::page(&call.unary(message).await?)?)
            };
            let written: Vec<u8> = page.chunks.into_iter().flat_map(|chunk| chunk.data).collect();
            Ok::<_, Status>(Some((Bytes::from(written), next)))
        }
    });
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok((errors::plain_headers(), [content_type], Body::from_stream(rest)).into_response())
}

fn refuse_pages(message: &DynamicMessage) -> Result<(), Status> {
    let given = [("page_size", "pageSize"), ("page_token", "pageToken")];
    let given = given.into_iter().filter(|(name, _)| message.has_field_by_name(name));
    let violations: Vec<FieldViolation> =
        given.map(|(_, shown)| FieldViolation::new(shown, "text has no pages: ask for JSON with Accept")).collect();
    if violations.is_empty() { Ok(()) } else { Err(errors::invalid_fields(violations)) }
}

fn page(answer: &DynamicMessage) -> Result<GetRunLogsResponse, Status> {
    answer.transcode_to().map_err(|error| Status::internal(format!("a page of logs cannot be decoded: {error}")))
}
