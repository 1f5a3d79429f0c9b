//! REST from the descriptor set: one transcoder for all methods, calling the services in this process.
//!
//! A request is found in the table of bindings, read strictly into the method's request, called, and its answer
//! written as canonical JSON. No method is named here but in [`logs`] and [`action`], which are shapes of their own.
//! What the fields mean, and whether their values will do, is for the services.

mod field;
pub(super) mod routes;
mod template;

mod duration;
mod json;
mod json_in;
mod json_out;

mod patch;
mod query;
mod request;

mod call;
pub(super) mod errors;
mod spelling;

pub(super) mod action;
mod events;
pub(super) mod logs;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json as JsonBody, Router};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use prost_reflect::DynamicMessage;
use punctual_proto::v1::ErrorReason;
use tonic::{Code, Status};

use call::Call;
use json::Json;
use routes::{Found, Route, Table};

use super::ServedRoute;

/// The largest body. Payloads have a limit of their own, which the services keep.
const BODY_BYTES: usize = 1 << 20;

/// So much of a body that is too large is read and dropped: a client that writes all of it before it reads would find
/// the connection broken instead of the answer.
const DROPPED_BYTES: usize = 64 << 20;

/// Time in which the body must be there.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The routes that a transcoder finds, and those of the one path that it tells by its end.
pub(super) fn served() -> Vec<ServedRoute> {
    let table = Table::new();
    let name = |route: &Route| format!("/{}/{}", route.method.parent_service().full_name(), route.method.name());
    let of_action = |(verb, _): &(&str, _)| {
        let path: Vec<String> = ["api", "v1", "scheduler", "jobs", "any", verb].map(str::to_owned).into();
        match table.find(&Method::POST, &path) {
            Found::Route(route, _) => Some(name(route)),
            Found::Allowed(_) | Found::Nothing => None,
        }
    };
    let methods = action::ACTIONS.iter().filter_map(of_action).collect();
    let action = ServedRoute { verb: "POST".to_owned(), path: action::PATH.to_owned(), methods };
    let bound = table.routes().map(|route| ServedRoute {
        verb: route.verb.to_string(),
        path: route.template.in_json(),
        methods: vec![name(route)],
    });
    bound.chain([action]).collect()
}

pub(super) struct Transcoder {
    table: Table,
    calls: Router,
}

impl Transcoder {
    pub(super) fn new(calls: Router) -> Self {
        Transcoder { table: Table::new(), calls }
    }

    /// Answers a request under `/api`, whatever it is.
    pub(super) async fn answer(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        if is_head {
            parts.method = Method::GET;
        }
        let mut response = match template::segments(parts.uri.path()) {
            Some(path) => self.route(&parts, path, body).await,
            None => errors::response(&not_found(&parts.uri)),
        };
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn route(&self, parts: &Parts, mut path: Vec<String>, body: Body) -> Response {
        if action::is_action(&path) {
            if parts.method != Method::POST {
                return errors::method_not_allowed("POST");
            }
            let (verb, rest) = match read(body).await.and_then(action::split) {
                Ok(split) => split,
                Err(refused) => return errors::response(&refused),
            };
            if let Some(last) = path.last_mut() {
                verb.clone_into(last);
            }
            return match self.table.find(&Method::POST, &path) {
                Found::Route(route, values) => self.transcoded(parts, route, values, Ok(Some(rest))).await,
                Found::Allowed(_) | Found::Nothing => errors::response(&not_found(&parts.uri)),
            };
        }
        match self.table.find(&parts.method, &path) {
            Found::Route(route, values) => self.transcoded(parts, route, values, read(body).await).await,
            Found::Allowed(verbs) => {
                let verbs: Vec<&str> = verbs.into_iter().map(Method::as_str).collect();
                errors::method_not_allowed(&verbs.join(", "))
            }
            Found::Nothing => errors::response(&not_found(&parts.uri)),
        }
    }

    async fn transcoded(
        &self,
        parts: &Parts,
        route: &Arc<Route>,
        values: Vec<String>,
        body: Result<Option<Json>, Status>,
    ) -> Response {
        let answered = match body {
            Ok(body) => self.call(parts, route, values, body).await,
            Err(refused) => Err(refused),
        };
        answered.unwrap_or_else(|refused| errors::response(&refused))
    }

    async fn call(
        &self,
        parts: &Parts,
        route: &Arc<Route>,
        values: Vec<String>,
        body: Option<Json>,
    ) -> Result<Response, Status> {
        let headers = &parts.headers;
        let parameters = parameters(&parts.uri)?;
        let mut message = request::Parts { route, values, parameters, headers, body }.message()?;
        let call = Call::new(&self.calls, route.clone(), parts);
        if route.method.is_server_streaming() {
            events::resume(headers, &mut message);
            return Ok(events::response(call.stream(message).await?));
        }
        if logs::are_text(route, headers) {
            return logs::text(call, message).await;
        }
        Ok(document(&call.unary(message).await?))
    }
}

fn document(answer: &DynamicMessage) -> Response {
    let mut response = (errors::plain_headers(), JsonBody(json_out::message(answer))).into_response();
    let etag = answer.get_field_by_name("etag");
    let quoted = etag.as_ref().and_then(|etag| etag.as_str()).filter(|etag| !etag.is_empty());
    if let Some(etag) = quoted.and_then(|etag| HeaderValue::from_str(&format!("\"{etag}\"")).ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn parameters(uri: &Uri) -> Result<Vec<(String, String)>, Status> {
    match Query::try_from_uri(uri) {
        Ok(Query(parameters)) => Ok(parameters),
        Err(error) => Err(errors::malformed(format!("the URL's parameters cannot be read: {error}"))),
    }
}

/// Reads the body; none when it is empty.
async fn read(body: Body) -> Result<Option<Json>, Status> {
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(collected) => collected?,
        Err(_) => return Err(Status::deadline_exceeded("the body did not come in time")),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    json::parse(&bytes).map(Some).map_err(|error| errors::malformed(format!("the body is not JSON: {error}")))
}

async fn collect(mut body: Body) -> Result<Bytes, Status> {
    let (mut bytes, mut length) = (BytesMut::new(), 0);
    while length <= DROPPED_BYTES
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|error| errors::malformed(format!("the body did not come whole: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= BODY_BYTES {
            bytes.extend_from_slice(&data);
        }
    }
    if length > BODY_BYTES { Err(too_large()) } else { Ok(bytes.freeze()) }
}

fn too_large() -> Status {
    let message = format!("the body is larger than {BODY_BYTES} bytes");
    errors::refuse(Code::ResourceExhausted, ErrorReason::TooLarge, message)
}

fn not_found(uri: &Uri) -> Status {
    let message = format!("no method has the path {}", uri.path());
    errors::refuse(Code::NotFound, ErrorReason::PathNotFound, message)
}

/// What the transcoder would find wrong with a body.
#[cfg(test)]
pub(super) fn wrong_with(route: &Route, body: &str) -> String {
    let body = json::parse(body.as_bytes()).expect("because the test's body is JSON");
    let headers = &axum::http::HeaderMap::new();
    let values = route.template.variables().map(|_| "1".to_owned()).collect();
    let parts = request::Parts { route, values, parameters: Vec::new(), headers, body: Some(body) };
    parts.message().err().map(|status| errors::json(&status).to_string()).unwrap_or_default()
}

/// A message as REST shows it.
#[cfg(test)]
pub(super) fn shown(name: &str, message: &impl prost::Message) -> serde_json::Value {
    let descriptor = routes::pool().get_message_by_name(name).expect("because the test knows the package");
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).expect("because it is the message of that name");
    json_out::message(&dynamic)
}
