//! The answers to requests that are refused: one schema, and a response for each HTTP status with the reasons it has.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use punctual_proto::v1::ErrorReason;
use serde_json::{Map, Value as Json, json};
use tonic::Code;

use super::super::rest::errors;
use super::super::rest::routes::pool;
use super::comments::{self, Comments};
use super::schemas::{Schemas, reference};

/// What any request may get: the port's own refusals, and those of a server in trouble.
const ANY: [u16; 9] = [400, 401, 403, 421, 429, 500, 501, 503, 504];

/// The statuses of a request.
pub(super) struct Statuses {
    /// It names something that need not be there.
    pub(super) names: bool,
    pub(super) writes: bool,
    pub(super) has_body: bool,
}

impl Statuses {
    /// The entries of an operation's `responses`.
    pub(super) fn responses(&self) -> Map<String, Json> {
        let named = self.names.then_some(404);
        let written = self.writes.then_some(409);
        let body = [413, 415].into_iter().filter(|_| self.has_body);
        let mut statuses: Vec<u16> = ANY.into_iter().chain(named).chain(written).chain(body).collect();
        statuses.sort_unstable();
        of(&statuses)
    }
}

/// References to the responses of these statuses.
pub(super) fn of(statuses: &[u16]) -> Map<String, Json> {
    let reference = |status: &u16| json!({"$ref": format!("#/components/responses/{}", name(*status))});
    statuses.iter().map(|status| (status.to_string(), reference(status))).collect()
}

/// `NotFound`.
fn name(status: u16) -> String {
    let status = StatusCode::from_u16(status).expect("because it is one of those above");
    status.canonical_reason().unwrap_or_default().replace([' ', '-'], "")
}

pub(super) fn responses(comments: &Comments) -> Map<String, Json> {
    let mut reasons: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let described = pool().get_enum_by_name("punctual.v1.ErrorReason").expect("because the package has it");
    for value in comments::values(comments, &described) {
        let comment = comments.of_value(&value);
        let Some((code, meaning)) = code_of(comment) else { continue };
        let reason = ErrorReason::from_str_name(value.name()).expect("because both are made of one proto");
        let status = errors::http_status(&errors::refuse(code, reason, "")).as_u16();
        reasons.entry(status).or_default().push(format!("\n- `{}`: {meaning}", value.name()));
    }
    let all = ANY.into_iter().chain([404, 409, 413, 415]);
    let response = |status: u16| {
        let reasons: String = reasons.remove(&status).unwrap_or_default().concat();
        let text = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let description = if reasons.is_empty() { format!("{text}.") } else { format!("{text}. Reasons:\n{reasons}") };
        let media = super::object([("schema", Some(reference("Error"))), ("example", example(status))]);
        let content = json!({"application/json": media});
        (name(status), json!({"description": description, "content": content}))
    };
    all.map(response).collect()
}

/// `NOT_FOUND: no such job` is the code, and what it means.
fn code_of(comment: &str) -> Option<(Code, &str)> {
    let (code, meaning) = comment.split_once(": ")?;
    // Some say their HTTP status as well: `INVALID_ARGUMENT (REST: 415): …`.
    let (code, meaning) = match code.split_once(" (REST") {
        Some((code, _)) => (code, meaning.split_once("): ").map_or(meaning, |(_, meaning)| meaning)),
        None => (code, meaning),
    };
    let code = (0..=16).map(Code::from_i32).find(|known| errors::name(*known) == code)?;
    Some((code, meaning))
}

fn example(status: u16) -> Option<Json> {
    let refused = match status {
        400 => {
            let violation = tonic_types::FieldViolation::new("schedule.cron[0]", "minute 61 is above 59");
            errors::invalid_fields(vec![violation])
        }
        404 => errors::refuse(Code::NotFound, ErrorReason::JobNotFound, "there is no job default/nightly-report"),
        409 => {
            let message = "job default/nightly-report was changed since: read it again";
            errors::refuse(Code::Aborted, ErrorReason::EtagMismatch, message)
        }
        503 => errors::refuse(Code::Unavailable, ErrorReason::NoLeader, "no leader is known"),
        _ => return None,
    };
    Some(errors::json(&refused))
}

pub(super) fn add_schemas(schemas: &mut Schemas<'_>) {
    let codes: Vec<&str> = (1..=16).map(|code| errors::name(Code::from_i32(code))).collect();
    let reasons: Vec<&str> = {
        let described = pool().get_enum_by_name("punctual.v1.ErrorReason").expect("because the package has it");
        let numbers = described.values().map(|value| value.number()).filter(|number| *number != 0);
        numbers.filter_map(|number| ErrorReason::try_from(number).ok()).map(|reason| reason.as_str_name()).collect()
    };
    schemas.add(
        "Error",
        json!({
            "type": "object",
            "description": "Why a request was refused: a google.rpc.Status, with the HTTP status as its code.",
            "required": ["error"],
            "additionalProperties": false,
            "properties": {"error": {
                "type": "object",
                "required": ["code", "status", "message", "details"],
                "additionalProperties": false,
                "properties": {
                    "code": {"type": "integer", "description": "The HTTP status.", "minimum": 400, "maximum": 599},
                    "status": {"type": "string", "description": "The code of google.rpc.", "enum": codes},
                    "message": {"type": "string", "description": "What is wrong, for people."},
                    "details": {
                        "type": "array",
                        "items": {"oneOf": [reference("ErrorInfo"), reference("BadRequest"), reference("RetryInfo")]},
                    },
                },
            }},
        }),
    );
    schemas.add(
        "ErrorInfo",
        json!({
            "type": "object",
            "description": "What a program may branch on when the status alone does not tell.",
            "required": ["@type", "reason", "domain"],
            "additionalProperties": false,
            "properties": {
                "@type": {"const": "type.googleapis.com/google.rpc.ErrorInfo"},
                "reason": {"type": "string", "enum": reasons},
                "domain": {"const": "punctual"},
                "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }),
    );
    schemas.add(
        "RetryInfo",
        json!({
            "type": "object",
            "description": "When to try again; the header Retry-After says it in whole seconds.",
            "required": ["@type", "retryDelay"],
            "additionalProperties": false,
            "properties": {
                "@type": {"const": "type.googleapis.com/google.rpc.RetryInfo"},
                "retryDelay": {"type": "string", "description": "A duration: `0.100s`."},
            },
        }),
    );
    schemas.add(
        "BadRequest",
        json!({
            "type": "object",
            "description": "The fields that are wrong.",
            "required": ["@type", "fieldViolations"],
            "additionalProperties": false,
            "properties": {
                "@type": {"const": "type.googleapis.com/google.rpc.BadRequest"},
                "fieldViolations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "field": {"type": "string", "description": "Its path in the request: `schedule.cron[0]`."},
                            "description": {"type": "string", "description": "What is wrong with it."},
                        },
                    },
                },
            },
        }),
    );
}
