//! The operations of the table: a binding each.

use axum::http::Method;
use serde_json::{Map, Value as Json, json};

use super::super::rest::logs;
use super::super::rest::routes::{Body, Route, Table};
use super::comments::{Comments, summary};
use super::refusals::Statuses;
use super::schemas::{Schemas, name, reference};
use super::{examples, parameters, tag};

/// The `paths` of the document.
pub(super) fn paths(table: &Table, comments: &Comments, schemas: &mut Schemas<'_>) -> Map<String, Json> {
    let mut paths = Map::new();
    let mut bound = std::collections::BTreeSet::new();
    for route in table.routes() {
        let is_first = bound.insert(route.method.full_name().to_owned());
        let item = paths.entry(route.template.in_json()).or_insert_with(|| json!({}));
        let item = item.as_object_mut().expect("because items are objects");
        item.insert(route.verb.as_str().to_ascii_lowercase(), operation(route, is_first, comments, schemas));
    }
    paths
}

fn operation(route: &Route, is_first: bool, comments: &Comments, schemas: &mut Schemas<'_>) -> Json {
    let id = id(route, is_first);
    let comment = comments.of_method(&route.method);
    let body = body(route, &id, schemas);
    let has_filter = route.method.input().get_field_by_name("job_id").is_some();
    let statuses = Statuses {
        names: route.template.variables().next().is_some() || has_filter,
        writes: route.verb != Method::GET,
        has_body: body.is_some(),
    };
    let mut responses = Map::from_iter([("200".to_owned(), success(route))]);
    responses.extend(statuses.responses());
    Json::Object(super::object([
        ("operationId", Some(id.into())),
        ("tags", Some(json!([tag(route.method.parent_service())]))),
        ("summary", Some(summary(comment).into())),
        ("description", Some(comment.into())),
        ("parameters", Some(parameters::of(route, schemas).into())),
        ("requestBody", body),
        ("responses", Some(Json::Object(responses))),
    ]))
}

/// The method's name for its first binding; others say what is different.
pub(super) fn id(route: &Route, is_first: bool) -> String {
    let method = route.method.name();
    match method.strip_prefix("Update") {
        Some(resource) if route.verb == Method::PUT => format!("Replace{resource}"),
        _ if is_first => method.to_owned(),
        _ => {
            let variables = route.template.variables().map(|path| {
                let (first, rest) = path.leaf().json_name().split_at(1);
                format!("By{}{rest}", first.to_ascii_uppercase())
            });
            format!("{method}{}", variables.collect::<String>())
        }
    }
}

fn body(route: &Route, id: &str, schemas: &Schemas<'_>) -> Option<Json> {
    let (schema, is_required) = match &route.body {
        Body::Empty => return None,
        Body::Whole => {
            let input = route.method.input();
            (reference(&name(input.full_name())), !schemas.required(&input, route).is_empty())
        }
        Body::Field(field) => {
            let kind = field.kind();
            let resource = kind.as_message().expect("because bodies are messages");
            let whole = reference(&name(resource.full_name()));
            let required = schemas.required(resource, route);
            match route.verb == Method::PATCH || required.is_empty() {
                true => (whole, true),
                false => (json!({"allOf": [whole, {"required": required}]}), true),
            }
        }
    };
    let mut media = json!({"schema": schema});
    if let Some(example) = examples::of(id) {
        media["example"] = example.clone();
    }
    Some(json!({"required": is_required, "content": {"application/json": media}}))
}

fn success(route: &Route) -> Json {
    let output = route.method.output();
    let schema = reference(&name(output.full_name()));
    if route.method.is_server_streaming() {
        let description = format!(
            "Server-sent events: the `data` of each is a `{name}` as JSON, its `id` the token to go on from; an event \
             `error` has an `Error`, and ends the stream.",
            name = name(output.full_name()),
        );
        return json!({"description": description, "content": {"text/event-stream": {"schema": {"type": "string"}}}});
    }
    if logs::may_be_text(route) {
        let text = json!({"schema": {"type": "string"}});
        let content = json!({"text/plain": text, "application/json": {"schema": schema}});
        let description = "The bytes as written, all pages in one; JSON if it is asked for with `Accept`.";
        return json!({"description": description, "content": content});
    }
    let mut success = json!({"description": "Done.", "content": {"application/json": {"schema": schema}}});
    if output.get_field_by_name("etag").is_some() {
        let header = json!({"description": "The resource's etag, in quotes.", "schema": {"type": "string"}});
        success["headers"] = json!({"ETag": header});
    }
    success
}
