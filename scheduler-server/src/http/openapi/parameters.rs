//! What stands in the URL and the headers of a request.

use prost_reflect::FieldDescriptor;
use serde_json::{Value as Json, json};

use super::super::rest::routes::{Body, Route};
use super::facts;
use super::schemas::Schemas;

/// All parameters of a route: path, query, headers.
pub(super) fn of(route: &Route, schemas: &mut Schemas<'_>) -> Vec<Json> {
    let mut parameters: Vec<Json> =
        route.template.variables().map(|path| parameter("path", path.leaf(), schemas)).collect();
    parameters.extend(in_query(route).iter().map(|field| parameter("query", field, schemas)));
    parameters.extend(headers(route));
    parameters
}

fn in_query(route: &Route) -> Vec<FieldDescriptor> {
    let input = route.method.input();
    let in_path = |field: &FieldDescriptor| route.template.variables().any(|path| path.root() == field);
    match &route.body {
        Body::Empty => input.fields().filter(|field| !in_path(field)).collect(),
        // The rest is in the body.
        Body::Whole => input.get_field_by_name("namespace").into_iter().collect(),
        Body::Field(body) => {
            let kind = body.kind();
            let namespace = kind.as_message().and_then(|resource| resource.get_field_by_name("namespace"));
            namespace
                .into_iter()
                .chain(input.fields().filter(|field| field != body && !is_put_mask(route, field)))
                .collect()
        }
    }
}

/// PUT has a mask of its own.
fn is_put_mask(route: &Route, field: &FieldDescriptor) -> bool {
    route.verb == axum::http::Method::PUT && field.name() == "update_mask"
}

fn parameter(place: &str, field: &FieldDescriptor, schemas: &mut Schemas<'_>) -> Json {
    let mut schema = schemas.field(field, true);
    let entries = schema.as_object_mut().expect("because schemas are objects");
    let description = entries.remove("description").unwrap_or_default();
    if field.is_map() {
        // As `labels=key=value`, once for each key.
        *entries = super::object([
            ("type", Some("array".into())),
            ("items", Some(json!({"type": "string", "pattern": "^[^=]+=.*$", "examples": ["team=billing"]}))),
        ]);
    }
    let comment = description.as_str().unwrap_or_default();
    let is_required = place == "path" || facts::is_required(comment);
    json!({
        "name": field.json_name(),
        "in": place,
        "required": is_required,
        "description": comment,
        "schema": schema,
    })
}

fn headers(route: &Route) -> Vec<Json> {
    let mut headers = Vec::new();
    let input = route.method.input();
    let in_body = || route.body_field()?.kind().as_message()?.get_field_by_name("etag");
    // What is created has no etag yet.
    let in_body = || in_body().filter(|_| input.get_field_by_name("update_mask").is_some());
    if input.get_field_by_name("etag").or_else(in_body).is_some() {
        let description =
            "The etag that the resource must still have, in quotes; `*` is no check. A stale one is ABORTED.";
        headers.push(header("If-Match", description));
    }
    if route.method.is_server_streaming() {
        let description =
            "The `id` of the last event that was received, as browsers send it; stronger than `resumeToken`.";
        headers.push(header("Last-Event-ID", description));
    }
    headers
}

fn header(name: &str, description: &str) -> Json {
    // What HTTP can carry, without spaces at the ends.
    let schema = json!({"type": "string", "pattern": "^[!-~]+$"});
    json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema})
}
