//! Updates over REST: which fields a PATCH or a PUT means, and the etag that `If-Match` asks for.
//!
//! An update is told by its shape: a request with an `update_mask` whose body is the resource.

use axum::http::{HeaderMap, Method, header};
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};
use prost_types::FieldMask;

use super::field::FieldPath;
use super::json::Json;
use super::json_in::{self, Reader};
use super::query;
use super::routes::Route;

/// Fills in the mask that the caller left to the method and the body.
pub(super) fn complete_mask(reader: &mut Reader, route: &Route, body: Option<&Json>, message: &mut DynamicMessage) {
    let input = route.method.input();
    let (Some(mask), Some(resource)) = (input.get_field_by_name("update_mask"), route.body_field()) else { return };
    let is_given = message.has_field(&mask);
    if route.verb == Method::PUT {
        if is_given {
            reader
                .at("updateMask", |reader| reader.wrong("PUT replaces the whole resource: leave it out, or use PATCH"));
        }
        message.set_field(&mask, mask_of(&mask, vec!["*".to_owned()]));
    } else if !is_given {
        let kind = resource.kind();
        let descriptor = kind.as_message().expect("because the resource is a message");
        let mut paths = Vec::new();
        if let Some(Json::Object(entries)) = body {
            let changes = entries.iter().filter(|(key, _)| {
                json_in::field(descriptor, key).is_none_or(|field| !names_the_resource(route, resource, &field))
            });
            leaves(descriptor, changes, "", &mut paths);
        }
        message.set_field(&mask, mask_of(&mask, paths));
    }
}

/// What says which resource is meant, and in which state, is no change of it.
fn names_the_resource(route: &Route, resource: &FieldDescriptor, field: &FieldDescriptor) -> bool {
    let in_path = |path: &FieldPath| path.root() == resource && path.leaf() == field;
    matches!(field.name(), "namespace" | "etag") || route.template.variables().any(in_path)
}

/// The paths of the keys that are there, down to what is replaced as a whole.
fn leaves<'j>(
    descriptor: &MessageDescriptor,
    entries: impl Iterator<Item = &'j (String, Json)>,
    above: &str,
    paths: &mut Vec<String>,
) {
    for (key, json) in entries {
        let Some(field) = json_in::field(descriptor, key) else { continue };
        let path = format!("{above}{}", field.name());
        match (json, parts(&field)) {
            (Json::Object(inner), Some(message)) => leaves(&message, inner.iter(), &format!("{path}."), paths),
            _ => paths.push(path),
        }
    }
}

/// The message of a field that is changed part by part: not a list, a map, a payload or a time.
fn parts(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = field.kind();
    let message = kind.as_message().filter(|message| message.package_name() != "google.protobuf")?;
    (!field.is_list() && !field.is_map()).then(|| message.clone())
}

/// Reads `updateMask=displayName,schedule.cron`.
pub(super) fn mask_from_text(reader: &mut Reader, route: &Route, text: &str) -> Option<Value> {
    let mask = route.method.input().get_field_by_name("update_mask")?;
    let kind = route.body_field()?.kind();
    let resource = kind.as_message()?;
    let mut paths = Vec::new();
    for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        match FieldPath::resolve(resource, path) {
            _ if path == "*" => paths.push(path.to_owned()),
            Some((path, None)) => paths.push(path.in_mask()),
            Some((path, Some(key))) => paths.push(format!("{}.{key}", path.in_mask())),
            None => reader.wrong(format!("there is no field {path}")),
        }
    }
    Some(mask_of(&mask, paths))
}

fn mask_of(field: &FieldDescriptor, paths: Vec<String>) -> Value {
    let kind = field.kind();
    let mut mask = DynamicMessage::new(kind.as_message().expect("because a mask is a message").clone());
    mask.transcode_from(&FieldMask { paths }).expect("because the field is a mask");
    Value::Message(mask)
}

/// Puts the etag of `If-Match` where the request has room for one.
pub(super) fn read_if_match(reader: &mut Reader, route: &Route, headers: &HeaderMap, message: &mut DynamicMessage) {
    let Some(given) = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) else { return };
    let given = given.trim();
    let etag = given.strip_prefix("W/").unwrap_or(given).trim_matches('"');
    let in_request = || route.method.input().get_field_by_name("etag").map(FieldPath::of);
    let in_body = || {
        let body = route.body_field()?;
        let etag = body.kind().as_message()?.get_field_by_name("etag")?;
        Some(FieldPath::of(etag).below(body.clone()))
    };
    if etag != "*"
        && let Some(path) = in_request().or_else(in_body)
    {
        let etag = Value::String(etag.to_owned());
        reader.at("etag", |reader| query::assign(reader, &path, etag, message, "If-Match"));
    }
}
