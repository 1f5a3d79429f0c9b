//! The routes that no binding makes.

use serde_json::{Map, Value as Json, json};

use super::super::rest::action;
use super::examples;
use super::refusals::{self, Statuses};
use super::schemas::{Schemas, reference};

const TAG: &str = "Server";

/// Each with its verb, GET but for the action.
pub(super) const PATHS: [(&str, &str); 5] = [
    ("post", action::PATH),
    ("get", "/api/v1/openapi.json"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
];

pub(super) fn tag() -> Json {
    json!({"name": TAG, "description": "The process itself, for machines that watch it."})
}

pub(super) fn add(paths: &mut Map<String, Json>, schemas: &mut Schemas<'_>) {
    let operations = [action_of_a_job(schemas), document(), healthz(), readyz(), metrics()];
    for ((verb, path), operation) in PATHS.into_iter().zip(operations) {
        paths.insert(path.to_owned(), json!({verb: operation}));
    }
}

fn action_of_a_job(schemas: &mut Schemas<'_>) -> Json {
    let verbs: Vec<&str> = action::ACTIONS.iter().map(|(verb, _)| *verb).collect();
    let uses: String =
        action::ACTIONS.iter().map(|(verb, keys)| format!("\n- `{verb}`: `{}`", keys.join("`, `"))).collect();
    schemas.add(
        "Action",
        json!({
            "type": "object",
            "description": format!("What to do with a job. The keys that each has a use for:\n{uses}"),
            "required": ["action"],
            "additionalProperties": false,
            "properties": {
                "action": {"type": "string", "enum": verbs},
                "requestId": {"type": "string", "maxLength": 36},
                "payload": {"type": "object", "additionalProperties": true},
                "note": {"type": "string", "maxLength": 1024},
                "catchUp": {"type": "boolean", "default": false},
            },
        }),
    );
    let mut responses = Statuses { names: true, writes: true, has_body: true }.responses();
    let schema = json!({"oneOf": [reference("Run"), reference("Job")]});
    let done = json!({"description": "The run of a trigger, else the job.", "content": {"application/json": {"schema": schema}}});
    responses.insert("200".to_owned(), done);
    let parameters = json!([
        {"name": "jobId", "in": "path", "required": true, "description": "Id of the job.", "schema": {"type": "string"}},
        {"name": "namespace", "in": "query", "required": false, "description": "Namespace of the job.",
         "schema": {"type": "string", "default": "default"}},
    ]);
    let media = json!({"schema": reference("Action"), "example": examples::of("ActOnJob")});
    json!({
        "operationId": "ActOnJob",
        "tags": ["Job"],
        "summary": "Triggers, pauses, resumes, enables or disables a job",
        "description": "The same as the method of that name, with the verb in the body.",
        "parameters": parameters,
        "requestBody": {"required": true, "content": {"application/json": media}},
        "responses": responses,
    })
}

fn document() -> Json {
    let mut responses = refusals::of(&[403, 421]);
    let header = json!({"ETag": {"description": "Of the document.", "schema": {"type": "string"}}});
    let object = json!({"application/json": {"schema": {"type": "object"}}});
    responses.insert("200".to_owned(), json!({"description": "The document.", "headers": header, "content": object}));
    responses.insert("304".to_owned(), json!({"description": "The client has it: `If-None-Match` is its etag."}));
    operation("GetOpenApi", "Answers this document", responses)
}

fn healthz() -> Json {
    let mut responses = refusals::of(&[403, 421]);
    responses.insert("200".to_owned(), text("It does."));
    operation("GetHealth", "Answers whether the process lives", responses)
}

fn readyz() -> Json {
    let mut responses = refusals::of(&[403, 421]);
    responses.insert("200".to_owned(), text("It is."));
    responses.insert("503".to_owned(), text("It is not; a line says why."));
    operation("GetReadiness", "Answers whether the ledger is reachable and a leader is known", responses)
}

fn metrics() -> Json {
    let mut responses = refusals::of(&[403, 421]);
    let content = json!({"application/openmetrics-text": {"schema": {"type": "string"}}});
    responses.insert("200".to_owned(), json!({"description": "The metrics.", "content": content}));
    operation("GetMetrics", "Answers the metrics in the OpenMetrics text format", responses)
}

fn text(description: &str) -> Json {
    json!({"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}})
}

fn operation(id: &str, summary: &str, responses: Map<String, Json>) -> Json {
    json!({"operationId": id, "tags": [TAG], "summary": summary, "responses": responses})
}
