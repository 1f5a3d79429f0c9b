//! Writes messages as canonical proto3 JSON, zeros and empty lists too; fields with presence that are absent are left
//! out.
//!
//! Own code beside prost-reflect's for two things it does otherwise: maps come sorted, so that equal answers are equal
//! bytes, and whole numbers come as integers.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, SerializeOptions, Value};
use serde_json::{Map, Number, Value as Json};

pub(super) fn message(message: &DynamicMessage) -> Json {
    let descriptor = message.descriptor();
    if descriptor.package_name() == "google.protobuf" {
        return well_known(message);
    }
    let mut object = Map::new();
    for field in descriptor.fields() {
        if !field.supports_presence() || message.has_field(&field) {
            object.insert(field.json_name().to_owned(), self::field(&field, &message.get_field(&field)));
        }
    }
    Json::Object(object)
}

fn well_known(message: &DynamicMessage) -> Json {
    let written = message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new());
    // The one way to fail is a value out of its range: a time beyond the year 9999, or a payload's NaN.
    integers(written.unwrap_or(Json::Null))
}

fn field(field: &FieldDescriptor, value: &Value) -> Json {
    match value {
        Value::List(items) => items.iter().map(|item| single(&field.kind(), item)).collect(),
        Value::Map(entries) => {
            let entry = field.kind();
            let values = entry.as_message().expect("because a map's kind is its entry").map_entry_value_field().kind();
            let sorted: BTreeMap<String, &Value> = entries.iter().map(|(k, value)| (key(k), value)).collect();
            Json::Object(sorted.into_iter().map(|(key, value)| (key, single(&values, value))).collect())
        }
        value => single(&field.kind(), value),
    }
}

fn key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn single(kind: &Kind, value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I32(number) => (*number).into(),
        Value::U32(number) => (*number).into(),
        Value::I64(number) => number.to_string().into(),
        Value::U64(number) => number.to_string().into(),
        Value::F32(number) => double(f64::from(*number)),
        Value::F64(number) => double(*number),
        Value::String(text) => text.clone().into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Message(inner) => message(inner),
        Value::EnumNumber(number) => match kind.as_enum().and_then(|values| values.get_value(*number)) {
            Some(known) => known.name().into(),
            None => (*number).into(),
        },
        Value::List(_) | Value::Map(_) => unreachable!("because lists and maps do not stand in lists or maps"),
    }
}

fn double(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(finite) => Json::Number(integer(&finite).unwrap_or(finite)),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

/// Turns the whole numbers of a payload into integers.
fn integers(json: Json) -> Json {
    match json {
        Json::Number(number) => Json::Number(integer(&number).unwrap_or(number)),
        Json::Array(items) => items.into_iter().map(integers).collect(),
        Json::Object(entries) => entries.into_iter().map(|(key, value)| (key, integers(value))).collect(),
        other => other,
    }
}

/// The same number as an integer, if it is one that doubles hold exactly.
fn integer(number: &Number) -> Option<Number> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    let double = number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() <= EXACT)?;
    Some(Number::from(double as i64))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::value::Kind as Payload;
    use punctual_proto::v1;
    use serde_json::json;

    use super::super::routes::pool;
    use super::*;

    fn shown<M: Message>(name: &str, message: &M) -> Json {
        let descriptor = pool().get_message_by_name(name).unwrap();
        super::message(&DynamicMessage::decode(descriptor, &message.encode_to_vec()[..]).unwrap())
    }

    #[test]
    fn zeros_and_empty_lists_are_printed_and_what_is_absent_is_not() {
        let expected = json!({"cron": [], "every": [], "at": [], "excludeCalendars": []});
        assert_eq!(shown("punctual.v1.Schedule", &v1::Schedule::default()), expected);
        let progress = v1::Progress { percent: 0.0, message: String::new() };
        assert_eq!(shown("punctual.v1.Progress", &progress).to_string(), r#"{"percent":0,"message":""}"#);
    }

    #[test]
    fn scalars_are_printed_as_proto3_json_says() {
        let labels = ["c", "a", "b"].map(|key| (key.to_owned(), "x".to_owned())).into();
        let run = v1::Run {
            labels,
            fencing_token: i64::MAX,
            state: v1::run::State::Succeeded.into(),
            trigger: 77,
            exit_code: Some(0),
            scheduled_time: Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }),
            ..Default::default()
        };
        let shown = shown("punctual.v1.Run", &run);
        assert_eq!(shown["labels"].to_string(), r#"{"a":"x","b":"x","c":"x"}"#);
        assert_eq!(shown["fencingToken"], json!("9223372036854775807"));
        assert_eq!(shown["state"], json!("SUCCEEDED"));
        assert_eq!(shown["trigger"], json!(77));
        assert_eq!(shown["exitCode"], json!(0));
        assert_eq!(shown["scheduledTime"], json!("1970-01-01T00:00:01.500Z"));
        assert_eq!(shown["attempts"], json!([]));
        assert!(shown.get("slot").is_none() && shown.get("endTime").is_none(), "{shown}");
    }

    #[test]
    fn whole_numbers_of_payloads_are_integers() {
        let number = |number| prost_types::Value { kind: Some(Payload::NumberValue(number)) };
        let list = prost_types::ListValue { values: vec![number(3.0), number(0.5), number(-9007199254740992.0)] };
        let fields = [("list".to_owned(), prost_types::Value { kind: Some(Payload::ListValue(list)) })].into();
        let task = v1::Task { r#type: "noop".to_owned(), payload: Some(prost_types::Struct { fields }) };
        let expected = r#"{"type":"noop","payload":{"list":[3,0.5,-9007199254740992]}}"#;
        assert_eq!(shown("punctual.v1.Task", &task).to_string(), expected);
    }
}
