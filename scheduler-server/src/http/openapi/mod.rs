//! The OpenAPI 3.1 document of the REST API, made from what the transcoder serves by: the table of bindings, the
//! descriptors, and the comments of the protos.
//!
//! A new method is in the document as soon as it has a binding. What stands outside of the table is in [`by_hand`].
//! The document says what the server does; it decides nothing.

mod comments;
mod facts;
mod schemas;

mod parameters;
mod refusals;

mod examples;

mod by_hand;
mod operations;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost_reflect::ServiceDescriptor;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use super::rest::errors;
use super::rest::routes::{Table, pool};
use comments::Comments;
use schemas::Schemas;

const ABOUT: &str = "Distributed job scheduling. Everything here can be done over gRPC as well, by the same services.\n\n\
Bodies are canonical proto3 JSON: 64-bit integers are strings, durations are seconds (`\"300s\"`), absent fields get \
their defaults. Unknown and duplicate keys are errors; fields that are output only are ignored in requests, so that \
what a GET has answered can be sent back with PUT. Errors have the shape of `Error`, and name each wrong field by its \
path in the body.";

/// As it is sent, and its strong validator.
static DOCUMENT: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| {
    let text = document(&Table::new()).to_string();
    let digest = Sha256::digest(&text);
    let etag: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let etag = HeaderValue::from_str(&format!("\"{etag}\"")).expect("because it is in hexadecimal digits");
    (text.into(), etag)
});

/// The document, or that the client has it already.
pub(super) async fn show(headers: HeaderMap) -> Response {
    let (text, etag) = &*DOCUMENT;
    let mut answer = HeaderMap::from_iter([
        (header::ETAG, etag.clone()),
        // Kept by clients, and asked for again: the next version of the server has another.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = |value: &str| value.split(',').map(str::trim).any(|value| value == "*" || etag == value);
    if known.into_iter().any(is_known) {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (answer, text.clone()).into_response()
}

pub(super) async fn not_allowed() -> Response {
    errors::method_not_allowed("GET")
}

fn document(table: &Table) -> Json {
    let comments = Comments::of(pool());
    let mut schemas = Schemas::of(table, &comments);
    let mut paths = operations::paths(table, &comments, &mut schemas);
    by_hand::add(&mut paths, &mut schemas);
    refusals::add_schemas(&mut schemas);
    let tag = |service: ServiceDescriptor| json!({"name": tag(&service), "description": comments.of_service(&service)});
    let served =
        pool().services().filter(|service| table.routes().any(|route| route.method.parent_service() == service));
    let tags: Vec<Json> = served.map(tag).chain([by_hand::tag()]).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Punctual",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        // Where nobody signs in, nothing is asked for.
        "security": [{}, {"token": []}],
        "components": {
            "schemas": schemas.into_components(),
            "responses": refusals::responses(&comments),
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of TokenService, which begins with `pct_`.",
            }},
        },
    })
}

/// `JobService` is about `Job`s.
fn tag(service: &ServiceDescriptor) -> String {
    service.name().trim_end_matches("Service").to_owned()
}

/// An object of pairs, the absent ones left out.
fn object<const N: usize>(entries: [(&str, Option<Json>); N]) -> Map<String, Json> {
    entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests;
