//! Payloads and results: a `google.protobuf.Struct` to the compact JSON text that handlers get, and back.
//!
//! All numbers of a Struct are doubles. Whole ones are written as integers, and those that a double cannot
//! tell from their neighbours are refused, so that what a handler reads is what was sent.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use scheduler_core::Violations;
use scheduler_core::job::Payload;
use serde_json::{Map, Number, Value as Json};

use crate::builtin;
use crate::text::clean;

/// The longest JSON text of a payload.
pub const MAX_BYTES: usize = 256 * 1024;
/// Beyond 2^53 a double skips integers.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;
/// A level of JSON is three of protobuf's, whose decoders go 100 deep.
const MAX_DEPTH: usize = 30;

/// The payload of a job's task. `path` names it in the request: `task.payload`.
pub fn payload(task_type: &str, proto: Option<&Struct>, path: &str, violations: &mut Violations) -> Payload {
    let object = proto.map(|proto| object(proto, path, 1, violations)).unwrap_or_default();
    checked(task_type, object, path, violations)
}

/// A trigger's payload laid over that of the job, key by key at the top level.
pub fn merged(task_type: &str, base: &Payload, over: &Struct, path: &str, violations: &mut Violations) -> Payload {
    let mut object = match serde_json::from_str(&base.0) {
        Ok(Json::Object(object)) => object,
        _ => Map::new(),
    };
    for (key, value) in self::object(over, path, 1, violations) {
        object.insert(key, value);
    }
    checked(task_type, object, path, violations)
}

fn checked(task_type: &str, object: Map<String, Json>, path: &str, violations: &mut Violations) -> Payload {
    if violations.0.is_empty() {
        builtin::check(task_type, &object, path, violations);
    }
    let mut json = Json::Object(object);
    json.sort_all_objects();
    let text = json.to_string();
    if text.len() > MAX_BYTES {
        violations.add(path, format!("{} bytes of JSON are above {MAX_BYTES}, the most", text.len()));
    }
    Payload(text.into())
}

fn object(proto: &Struct, path: &str, depth: usize, violations: &mut Violations) -> Map<String, Json> {
    let mut object = Map::new();
    for (key, value) in &proto.fields {
        let key = clean(key).into_owned();
        let value = json(value, &format!("{path}.{key}"), depth, violations);
        object.insert(key, value);
    }
    object
}

fn json(value: &Value, path: &str, depth: usize, violations: &mut Violations) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Bool(*value),
        Some(Kind::StringValue(value)) => Json::String(clean(value).into_owned()),
        Some(Kind::NumberValue(value)) => number(*value, path, violations),
        Some(Kind::StructValue(_) | Kind::ListValue(_)) if depth == MAX_DEPTH => {
            violations.add(path, format!("is nested more than {MAX_DEPTH} deep"));
            Json::Null
        }
        Some(Kind::StructValue(value)) => Json::Object(object(value, path, depth + 1, violations)),
        Some(Kind::ListValue(list)) => Json::Array(
            list.values
                .iter()
                .enumerate()
                .map(|(i, value)| json(value, &format!("{path}[{i}]"), depth + 1, violations))
                .collect(),
        ),
    }
}

fn number(value: f64, path: &str, violations: &mut Violations) -> Json {
    if !value.is_finite() {
        violations.add(path, "is not a number that JSON has");
        Json::Null
    } else if value.fract() != 0.0 {
        Number::from_f64(value).map_or(Json::Null, Json::Number)
    } else if value.abs() > MAX_INTEGER {
        violations.add(path, "is an integer beyond ±2^53, which JSON cannot carry exactly: send it as a string");
        Json::Null
    } else {
        Json::from(value as i64)
    }
}

/// How long the JSON text of a Struct is.
pub fn json_bytes(proto: &Struct) -> usize {
    Json::Object(object(proto, "", 1, &mut Violations::default())).to_string().len()
}

/// A stored payload as a Struct.
pub fn proto(payload: &Payload) -> Struct {
    match serde_json::from_str(&payload.0) {
        Ok(Json::Object(object)) => proto_object(object),
        // Only a hand-written row is no object; it is shown as empty rather than not at all.
        _ => Struct::default(),
    }
}

/// A task's result. Text that is no JSON is shown as a string.
pub fn proto_result(text: &str) -> Value {
    proto_value(serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned())))
}

fn proto_object(object: Map<String, Json>) -> Struct {
    Struct { fields: object.into_iter().map(|(key, value)| (key, proto_value(value))).collect() }
}

fn proto_value(value: Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Json::String(value) => Kind::StringValue(value),
        Json::Array(values) => Kind::ListValue(ListValue { values: values.into_iter().map(proto_value).collect() }),
        Json::Object(object) => Kind::StructValue(proto_object(object)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: Kind) -> Struct {
        Struct { fields: [("a".to_owned(), Value { kind: Some(value) })].into() }
    }

    fn text(proto: &Struct) -> (String, Violations) {
        let mut violations = Violations::default();
        let payload = payload("custom", Some(proto), "task.payload", &mut violations);
        (payload.0.to_string(), violations)
    }

    #[test]
    fn whole_numbers_are_written_as_integers() {
        for (number, json) in
            [(3.0, "3"), (-0.0, "0"), (1e3, "1000"), (0.5, "0.5"), (9_007_199_254_740_992.0, "9007199254740992")]
        {
            assert_eq!(text(&with(Kind::NumberValue(number))), (format!("{{\"a\":{json}}}"), Violations::default()));
        }
    }

    #[test]
    fn fractions_come_back_to_the_last_bit() {
        let sent = with(Kind::NumberValue(-994_645_713.140_615_5));
        assert_eq!(proto(&Payload(text(&sent).0.into())), sent);
    }

    #[test]
    fn numbers_that_json_cannot_carry_are_refused_with_their_path() {
        for number in [9_007_199_254_740_994.0, -1e300, f64::NAN, f64::INFINITY] {
            let list = ListValue { values: vec![Value { kind: Some(Kind::NumberValue(number)) }] };
            let violations = text(&with(Kind::ListValue(list))).1;
            assert_eq!(violations.0[0].field, "task.payload.a[0]", "{number}");
        }
    }

    #[test]
    fn a_payload_above_the_limit_is_refused() {
        let at_limit = MAX_BYTES - "{\"a\":\"\"}".len();
        assert_eq!(text(&with(Kind::StringValue("x".repeat(at_limit)))).1, Violations::default());
        assert_eq!(text(&with(Kind::StringValue("x".repeat(at_limit + 1)))).1.0[0].field, "task.payload");
    }

    #[test]
    fn nesting_that_decoders_give_up_on_is_refused() {
        let mut nested = with(Kind::BoolValue(true));
        for _ in 1..MAX_DEPTH {
            nested = with(Kind::StructValue(nested));
        }
        assert_eq!(text(&nested).1, Violations::default());
        assert_eq!(text(&with(Kind::StructValue(nested))).1.0.len(), 1);
    }

    #[test]
    fn a_triggers_payload_replaces_keys_at_the_top_level_only() {
        let base = Payload("{\"a\":{\"x\":1},\"z\":2}".into());
        let mut over = with(Kind::StructValue(with(Kind::NullValue(0))));
        over.fields.insert("m".to_owned(), Value { kind: Some(Kind::NumberValue(5.0)) });
        let mut violations = Violations::default();
        let payload = merged("custom", &base, &over, "payload", &mut violations);
        assert_eq!(&*payload.0, "{\"a\":{\"a\":null},\"m\":5,\"z\":2}");
        assert_eq!(violations, Violations::default());
    }

    #[test]
    fn a_nul_in_a_payload_does_not_reach_the_ledger() {
        assert_eq!(text(&with(Kind::StringValue("a\0".to_owned()))).0, "{\"a\":\"a\u{fffd}\"}");
    }
}
