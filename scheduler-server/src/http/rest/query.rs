//! Reads the parameters of a URL into the request: names in either spelling, dots to go deeper, repeated fields
//! repeated, maps as `labels=key=value` or `labels.key=value`, values in their JSON text.

use prost_reflect::{DynamicMessage, Kind, MapKey, Value};

use super::field::FieldPath;
use super::json::Json;
use super::json_in::Reader;
use super::patch;
use super::routes::Route;

pub(super) fn read(reader: &mut Reader, route: &Route, parameters: &[(String, String)], message: &mut DynamicMessage) {
    let mut single = Vec::new();
    for (name, text) in parameters {
        reader.at(name, |reader| {
            let Some((path, key)) = parameter(route, name) else {
                return reader.wrong("there is no such parameter");
            };
            if path.leaf().is_map() {
                entry(reader, &path, key, text, message);
            } else if path.leaf().is_list() {
                if let Some(value) = value(reader, route, &path, text) {
                    let list = path.get_mut(message).as_list_mut().expect("because the field is a list");
                    list.push(value);
                }
            } else if single.contains(&path.in_mask()) {
                reader.wrong("is given twice");
            } else {
                single.push(path.in_mask());
                if let Some(value) = value(reader, route, &path, text) {
                    assign(reader, &path, value, message, "the URL");
                }
            }
        });
    }
}

/// Sets a field that another part of the request may have set already, to the same.
pub(super) fn assign(reader: &mut Reader, path: &FieldPath, value: Value, message: &mut DynamicMessage, said_by: &str) {
    match path.get(message) {
        Some(other) if other != value => reader.wrong(format!("{said_by} says otherwise")),
        Some(_) => {}
        None => *path.get_mut(message) = value,
    }
}

/// What is in the body is no parameter. Its namespace is one: every method takes `?namespace=`.
fn parameter<'n>(route: &Route, name: &'n str) -> Option<(FieldPath, Option<&'n str>)> {
    let found = FieldPath::resolve(&route.method.input(), name);
    let Some(body) = route.body_field() else { return found };
    match found {
        Some((path, key)) if path.root() != body => Some((path, key)),
        None if name == "namespace" => {
            let (path, key) = FieldPath::resolve(body.kind().as_message()?, name)?;
            Some((path.below(body.clone()), key))
        }
        _ => None,
    }
}

fn value(reader: &mut Reader, route: &Route, path: &FieldPath, text: &str) -> Option<Value> {
    let kind = path.leaf().kind();
    match kind.as_message().map(|message| message.full_name()) {
        None | Some("google.protobuf.Timestamp" | "google.protobuf.Duration") => {
            reader.single(&kind, &json(&kind, text))
        }
        Some("google.protobuf.FieldMask") => patch::mask_from_text(reader, route, text),
        Some(_) => {
            reader.wrong("cannot be given in the URL");
            None
        }
    }
}

fn entry(reader: &mut Reader, path: &FieldPath, key: Option<&str>, text: &str, message: &mut DynamicMessage) {
    let pair = key.map(|key| (key, text)).or_else(|| text.split_once('='));
    let Some((key, text)) = pair.filter(|(key, _)| !key.is_empty()) else {
        return reader.wrong("must be key=value");
    };
    let kind = path.leaf().kind();
    let values = kind.as_message().expect("because a map's kind is its entry").map_entry_value_field().kind();
    let Some(value) = reader.single(&values, &json(&values, text)) else { return };
    let map = path.get_mut(message).as_map_mut().expect("because the field is a map");
    if map.insert(MapKey::String(key.to_owned()), value).is_some() {
        reader.wrong(format!("the key {key:?} is given twice"));
    }
}

/// A parameter's text as the JSON that it stands for; JSON takes numbers in strings, too.
pub(super) fn json(kind: &Kind, text: &str) -> Json {
    match (kind, text) {
        (Kind::Bool, "true") => Json::Bool(true),
        (Kind::Bool, "false") => Json::Bool(false),
        _ => Json::String(text.to_owned()),
    }
}
