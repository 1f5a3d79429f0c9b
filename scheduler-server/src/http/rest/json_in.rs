//! Reads JSON into messages by their descriptors, strictly, and collects what is wrong with the path of each fault in
//! the caller's own spelling.
//!
//! It is canonical proto3 JSON: both spellings of a field's name, `null` as absence. Stricter than that are keys,
//! which must be known and there once, and enum values, which must be known.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use prost_types::value::Kind as Payload;
use serde::de::IntoDeserializer;
use serde::de::value::Error as LeafError;
use serde_json::Number;
use tonic_types::FieldViolation;

use super::duration;
use super::json::Json;

/// More faults than anyone reads at once; the rest is not listed.
const VIOLATIONS: usize = 50;

/// The largest integer up to which every integer is a double of its own.
const EXACT: u64 = 1 << 53;

/// How deep a payload may be nested. Each of its levels is up to three messages, and protobuf decoders give up at a
/// hundred in each other.
const PAYLOAD_DEPTH: usize = 30;

/// What is wrong, and where the reader stands.
#[derive(Default)]
pub(super) struct Reader {
    path: String,
    /// How many levels of a payload stand above.
    nested: usize,
    violations: Vec<FieldViolation>,
}

impl Reader {
    pub(super) fn violations(self) -> Vec<FieldViolation> {
        self.violations
    }

    /// Notes a fault at the place where the reader stands.
    pub(super) fn wrong(&mut self, description: impl Into<String>) {
        if self.violations.len() < VIOLATIONS {
            self.violations.push(FieldViolation::new(self.path.clone(), description));
        }
    }

    /// Reads what is at a key.
    pub(super) fn at<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let above = self.path.len();
        if above > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        let value = read(self);
        self.path.truncate(above);
        value
    }

    fn at_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let above = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        let value = read(self);
        self.path.truncate(above);
        value
    }

    /// Reads an object into a message; what is wrong is left out of it.
    pub(super) fn message(&mut self, descriptor: &MessageDescriptor, json: &Json) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let Json::Object(entries) = json else {
            self.wrong(format!("must be an object, not {}", json.kind()));
            return message;
        };
        let mut seen = Vec::with_capacity(entries.len());
        for (key, json) in entries {
            self.at(key, |reader| {
                let Some(field) = field(descriptor, key) else {
                    return reader.wrong("there is no such field");
                };
                if seen.contains(&field.number()) {
                    return reader.wrong("is given twice");
                }
                seen.push(field.number());
                if let Some(value) = reader.field(&field, json) {
                    message.set_field(&field, value);
                }
            });
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, json: &Json) -> Option<Value> {
        if *json == Json::Null && !is(&field.kind(), "google.protobuf.Value") {
            return None;
        }
        if field.is_map() {
            self.map(&field.kind(), json).map(Value::Map)
        } else if field.is_list() {
            self.list(&field.kind(), json).map(Value::List)
        } else {
            self.single(&field.kind(), json)
        }
    }

    fn list(&mut self, kind: &Kind, json: &Json) -> Option<Vec<Value>> {
        let Json::List(items) = json else {
            self.wrong(format!("must be a list, not {}", json.kind()));
            return None;
        };
        let read = |(index, item)| self.at_index(index, |reader| reader.single(kind, item));
        Some(items.iter().enumerate().filter_map(read).collect())
    }

    fn map(&mut self, kind: &Kind, json: &Json) -> Option<HashMap<MapKey, Value>> {
        let Json::Object(entries) = json else {
            self.wrong(format!("must be an object, not {}", json.kind()));
            return None;
        };
        let entry = kind.as_message().expect("because a map's kind is its entry");
        let values = entry.map_entry_value_field().kind();
        let mut map = HashMap::with_capacity(entries.len());
        for (key, json) in entries {
            self.at(key, |reader| {
                let value = reader.single(&values, json);
                if let Some(value) = value
                    && map.insert(MapKey::String(key.clone()), value).is_some()
                {
                    reader.wrong("is given twice");
                }
            });
        }
        Some(map)
    }

    /// Reads one value of a kind.
    pub(super) fn single(&mut self, kind: &Kind, json: &Json) -> Option<Value> {
        if let Kind::Message(descriptor) = kind {
            return self.single_message(descriptor, json);
        }
        let value = match kind {
            Kind::Enum(values) => return self.enumerated(values, json),
            Kind::Bool => boolean(json).map(Value::Bool),
            Kind::String => string(json).map(|text| Value::String(text.to_owned())),
            Kind::Bytes => string(json).and_then(bytes).map(|bytes| Value::Bytes(bytes.into())),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => whole(json).map(Value::I32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => whole(json).map(Value::I64),
            Kind::Uint32 | Kind::Fixed32 => whole(json).map(Value::U32),
            Kind::Uint64 | Kind::Fixed64 => whole(json).map(Value::U64),
            Kind::Double => double(json).map(Value::F64),
            Kind::Float => double(json).map(|number| Value::F32(number as f32)),
            Kind::Message(_) => None,
        };
        if value.is_none() {
            self.wrong(format!("must be {}, not {}", expected(kind), shown(json)));
        }
        value
    }

    fn single_message(&mut self, descriptor: &MessageDescriptor, json: &Json) -> Option<Value> {
        let name = descriptor.full_name();
        let payload = match name {
            "google.protobuf.Struct" => match json {
                Json::Object(entries) => transcoded(descriptor, &self.nest(|reader| reader.structure(entries))?),
                _ => {
                    self.wrong(format!("must be an object, not {}", json.kind()));
                    return None;
                }
            },
            "google.protobuf.Value" => transcoded(descriptor, &self.payload(json)),
            "google.protobuf.Timestamp" | "google.protobuf.Duration" => return self.time(descriptor, json),
            _ => self.message(descriptor, json),
        };
        Some(Value::Message(payload))
    }

    fn time(&mut self, descriptor: &MessageDescriptor, json: &Json) -> Option<Value> {
        let leaf = |text: &str| {
            let leaf: serde::de::value::StrDeserializer<'_, LeafError> = text.into_deserializer();
            DynamicMessage::deserialize(descriptor.clone(), leaf).ok()
        };
        let read = string(json).and_then(leaf).map(Value::Message);
        if read.is_none() {
            self.wrong(match (descriptor.name(), json) {
                ("Duration", Json::String(text)) => duration::advice(text),
                ("Duration", Json::Number(seconds)) => duration::advice(&seconds.to_string()),
                ("Duration", _) => duration::advice(""),
                _ => "must be a time such as \"2099-01-01T00:00:00Z\"".to_owned(),
            });
        }
        read
    }

    fn enumerated(&mut self, values: &EnumDescriptor, json: &Json) -> Option<Value> {
        let known = match json {
            Json::String(name) => values.get_value_by_name(name),
            Json::Number(number) => number
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .and_then(|number| values.get_value(number)),
            _ => None,
        };
        if known.is_none() {
            let zero = values.default_value().number();
            let names: Vec<String> =
                values.values().filter(|value| value.number() != zero).map(|value| value.name().to_owned()).collect();
            self.wrong(format!("must be one of {}, not {}", names.join(", "), shown(json)));
        }
        known.map(|value| Value::EnumNumber(value.number()))
    }

    fn structure(&mut self, entries: &[(String, Json)]) -> prost_types::Struct {
        let mut fields = BTreeMap::new();
        for (key, json) in entries {
            self.at(key, |reader| {
                let value = reader.payload(json);
                if fields.insert(key.clone(), value).is_some() {
                    reader.wrong("is given twice");
                }
            });
        }
        prost_types::Struct { fields }
    }

    fn payload(&mut self, json: &Json) -> prost_types::Value {
        let kind = match json {
            Json::Null => Payload::NullValue(0),
            Json::Bool(value) => Payload::BoolValue(*value),
            Json::String(text) => Payload::StringValue(text.clone()),
            Json::Number(number) => Payload::NumberValue(self.exact(number)),
            Json::Object(entries) => match self.nest(|reader| reader.structure(entries)) {
                Some(structure) => Payload::StructValue(structure),
                None => Payload::NullValue(0),
            },
            Json::List(items) => match self.nest(|reader| reader.items(items)) {
                Some(values) => Payload::ListValue(prost_types::ListValue { values }),
                None => Payload::NullValue(0),
            },
        };
        prost_types::Value { kind: Some(kind) }
    }

    fn items(&mut self, items: &[Json]) -> Vec<prost_types::Value> {
        let read = |(index, item)| self.at_index(index, |reader| reader.payload(item));
        items.iter().enumerate().map(read).collect()
    }

    /// Goes one level deeper into a payload, unless it is too deep.
    fn nest<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.nested == PAYLOAD_DEPTH {
            self.wrong(format!("a payload may be nested {PAYLOAD_DEPTH} deep"));
            return None;
        }
        self.nested += 1;
        let value = read(self);
        self.nested -= 1;
        Some(value)
    }

    fn exact(&mut self, number: &Number) -> f64 {
        // What is no i64 and no u64 was either written with a point or an exponent, or is an integer larger still.
        let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs)).map(|size| size > EXACT);
        let double = number.as_f64().unwrap_or(f64::INFINITY);
        if size.unwrap_or(double.abs() > EXACT as f64) {
            self.wrong("integers beyond ±9007199254740992 lose digits in a payload: write it as a string");
        }
        double
    }
}

/// The field of a key, in either spelling.
pub(super) fn field(descriptor: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_json_name(key).or_else(|| descriptor.get_field_by_name(key))
}

fn is(kind: &Kind, message: &str) -> bool {
    kind.as_message().is_some_and(|descriptor| descriptor.full_name() == message)
}

fn transcoded<M: prost::Message>(descriptor: &MessageDescriptor, message: &M) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(descriptor.clone());
    dynamic.transcode_from(message).expect("because the descriptor is that of the message");
    dynamic
}

fn boolean(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(value) => Some(*value),
        _ => None,
    }
}

fn string(json: &Json) -> Option<&str> {
    match json {
        Json::String(text) => Some(text),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// A number, or a string with a number in it.
fn number(json: &Json) -> Option<Number> {
    match json {
        Json::Number(number) => Some(number.clone()),
        Json::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn whole<T: TryFrom<i128>>(json: &Json) -> Option<T> {
    let number = number(json)?;
    let whole = match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(signed), _, _) => i128::from(signed),
        (None, Some(unsigned), _) => i128::from(unsigned),
        (None, None, Some(double)) if double.fract() == 0.0 && double.abs() <= EXACT as f64 => double as i128,
        _ => return None,
    };
    T::try_from(whole).ok()
}

fn double(json: &Json) -> Option<f64> {
    match string(json) {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => number(json)?.as_f64(),
    }
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::String => "a string".to_owned(),
        Kind::Bytes => "a string in base64".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => between(i32::MIN, i32::MAX),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => between(i64::MIN, i64::MAX),
        Kind::Uint32 | Kind::Fixed32 => between(u32::MIN, u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => between(u64::MIN, u64::MAX),
        Kind::Double | Kind::Float => "a number".to_owned(),
        Kind::Enum(_) | Kind::Message(_) => "a value".to_owned(),
    }
}

fn between<T: std::fmt::Display>(least: T, most: T) -> String {
    format!("an integer from {least} to {most}")
}

/// What stands there instead, as far as it is worth repeating.
fn shown(json: &Json) -> String {
    match json {
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::String(text) if text.chars().count() <= 40 => format!("{text:?}"),
        other => other.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests;
