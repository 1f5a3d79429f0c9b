//! Server streams as server-sent events: one event a message, its id the message's `resume_token`, so that browsers
//! go on where they were.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use tonic::Status;

use super::{errors, json_out};

/// Proxies close what is silent for longer.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

const TOKEN: &str = "resume_token";

/// `Last-Event-ID` is what a browser sends when it comes back: newer than the token in its URL.
pub(super) fn resume(headers: &HeaderMap, message: &mut DynamicMessage) {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    if let (Some(id), Some(token)) = (last, message.descriptor().get_field_by_name(TOKEN)) {
        message.set_field(&token, Value::String(id.to_owned()));
    }
}

pub(super) fn response<S>(messages: S) -> Response
where
    S: Stream<Item = Result<DynamicMessage, Status>> + Send + 'static,
{
    let events = messages.map(|message| {
        Ok::<_, Infallible>(match message {
            Ok(message) => event(&message),
            Err(status) => Event::default().event("error").data(errors::json(&status).to_string()),
        })
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_EVERY));
    (errors::plain_headers(), stream).into_response()
}

fn event(message: &DynamicMessage) -> Event {
    let event = Event::default().data(json_out::message(message).to_string());
    let token = message.get_field_by_name(TOKEN);
    match token.as_ref().and_then(|token| token.as_str()) {
        Some(token) if !token.is_empty() && !token.contains(['\n', '\r', '\0']) => event.id(token),
        _ => event,
    }
}
