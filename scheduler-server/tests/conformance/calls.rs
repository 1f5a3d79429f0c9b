//! The three ways to call a method, down to the bytes, so that wrong ones can be sent, too.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};
use http_body_util::BodyExt;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value as Json;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

use crate::node::Node;

pub(crate) const API: &str = "/api/v1/scheduler";

pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET).expect("because it is built in and whole")
}

pub(crate) fn message(name: &str) -> MessageDescriptor {
    pool().get_message_by_name(&format!("punctual.v1.{name}")).unwrap_or_else(|| panic!("there is no {name}"))
}

pub(crate) fn method(name: &str) -> MethodDescriptor {
    let methods = pool().services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect::<Vec<_>>();
    methods.into_iter().find(|method| method.name() == name).unwrap_or_else(|| panic!("there is no {name}"))
}

/// A message from its canonical JSON.
pub(crate) fn read(descriptor: MessageDescriptor, json: &Json) -> DynamicMessage {
    DynamicMessage::deserialize(descriptor, json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// What a call came to: its code and reason, and the fields that are wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: String,
    /// Of our ErrorInfo; empty where there is none.
    pub(crate) reason: String,
    pub(crate) fields: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Json,
}

impl Answer {
    pub(crate) fn outcome(&self) -> Outcome {
        let error = &self.json["error"];
        let details = error["details"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| {
            let name = format!("type.googleapis.com/google.rpc.{name}");
            details.iter().find(|detail| detail["@type"] == name.as_str()).cloned().unwrap_or_default()
        };
        let violations = of("BadRequest")["fieldViolations"].as_array().cloned().unwrap_or_default();
        let ours = of("ErrorInfo");
        Outcome {
            code: error["status"].as_str().unwrap_or("OK").to_owned(),
            reason: ours["reason"].as_str().filter(|_| ours["domain"] == "punctual").unwrap_or_default().to_owned(),
            fields: violations.iter().map(|field| field["field"].as_str().unwrap_or_default().to_owned()).collect(),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Json {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json
    }
}

impl Node {
    /// Calls from here on bring this token; none without one.
    pub(crate) fn sign_in(&self, token: Option<&str>) {
        *self.bearer.lock().unwrap() = token.map(|token| format!("Bearer {token}"));
    }

    fn bearer(&self) -> Option<String> {
        self.bearer.lock().unwrap().clone()
    }

    pub(crate) async fn rest(&self, verb: &str, path: &str, body: Option<&Json>) -> Answer {
        let text = body.map(Json::to_string).unwrap_or_default();
        self.rest_bytes(verb, path, &[("content-type", "application/json")], text).await
    }

    /// Any bytes, and headers.
    pub(crate) async fn rest_bytes(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(verb).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(bearer) = self.bearer() {
            request = request.header("authorization", bearer);
        }
        let body: Bytes = body.into();
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let is_json = parts.headers.get("content-type").is_some_and(|value| value == "application/json");
        // What is no JSON may be a stream without an end.
        let bytes = if is_json { body.collect().await.unwrap().to_bytes() } else { Bytes::new() };
        let json = if is_json { serde_json::from_slice(&bytes).unwrap() } else { Json::Null };
        Answer { status: parts.status, headers: parts.headers, json }
    }

    pub(crate) async fn grpc(
        &self,
        method: &MethodDescriptor,
        message: &DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        let frame = self.framed("application/grpc", method, &message.encode_to_vec()).await?;
        Ok(DynamicMessage::decode(method.output(), frame).unwrap())
    }

    pub(crate) async fn grpc_web(&self, method: &MethodDescriptor, message: &DynamicMessage) -> Result<Bytes, Status> {
        self.framed("application/grpc-web+proto", method, &message.encode_to_vec()).await
    }

    /// One frame there, the first one back, or the status.
    pub(crate) async fn framed(
        &self,
        content_type: &str,
        method: &MethodDescriptor,
        bytes: &[u8],
    ) -> Result<Bytes, Status> {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        self.framed_to(content_type, &path, bytes).await
    }

    pub(crate) async fn framed_to(&self, content_type: &str, path: &str, bytes: &[u8]) -> Result<Bytes, Status> {
        let mut frame = vec![0];
        frame.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
        frame.extend(bytes);
        // gRPC is HTTP/2, and refused over less.
        let version = if content_type == "application/grpc" { Version::HTTP_2 } else { Version::HTTP_11 };
        let request = Request::post(path).version(version).header("host", "localhost");
        let request = request.header("content-type", content_type);
        let request = match self.bearer() {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        };
        let request = request.header("te", "trailers").body(Body::from(frame)).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, mut body) = answer.into_parts();
        assert_eq!(parts.status, 200, "{path}");
        refused(&parts.headers)?;
        let mut read = Vec::new();
        loop {
            let whole = |read: &[u8]| Some(u32::from_be_bytes(read.get(1..5)?.try_into().ok()?) as usize + 5);
            if let Some(end) = whole(&read).filter(|end| read.len() >= *end) {
                if read[0] & 0x80 != 0 {
                    refused(&text_trailers(&read[5..end]))?;
                }
                return Ok(Bytes::copy_from_slice(&read[5..end]));
            }
            // A stream may have nothing to say: then it has been opened.
            match tokio::time::timeout(Duration::from_secs(1), body.frame()).await {
                Ok(Some(frame)) => match frame.unwrap().into_data() {
                    Ok(data) => read.extend(data),
                    Err(frame) => refused(&frame.into_trailers().unwrap())?,
                },
                Ok(None) | Err(_) => return Ok(Bytes::new()),
            }
        }
    }
}

fn refused(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

/// gRPC-Web has its trailers in the body.
fn text_trailers(bytes: &[u8]) -> HeaderMap {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let named = lines.filter_map(|(name, value)| {
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    });
    named.collect()
}

impl Outcome {
    pub(crate) fn of<T>(answered: &Result<T, Status>) -> Self {
        let Err(status) = answered else {
            return Self { code: "OK".to_owned(), reason: String::new(), fields: Vec::new() };
        };
        let ours = status.get_details_error_info().filter(|info| info.domain == "punctual");
        let bad = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        Self {
            code: code(status.code()),
            reason: ours.map(|info| info.reason).unwrap_or_default(),
            fields: bad.into_iter().map(|violation| violation.field).collect(),
        }
    }
}

/// `NotFound` is NOT_FOUND.
fn code(code: Code) -> String {
    let mut spelled = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !spelled.is_empty() {
            spelled.push('_');
        }
        spelled.push(letter.to_ascii_uppercase());
    }
    spelled
}
