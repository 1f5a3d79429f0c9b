//! The checks that need both the text's values and the message's shape, and that find every fault at once:
//! keys that are no field, one field under two names, durations in words, integers that would be rounded.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use scheduler_core::Violations;
use serde_json::{Map, Number, Value};

/// Whole numbers up to this are exact as a double, which is what `google.protobuf.Struct` holds.
const LARGEST_EXACT: u64 = 1 << 53;

pub(super) fn check(path: &str, value: &Value, shape: &MessageDescriptor, violations: &mut Violations) {
    match (shape.full_name(), value) {
        ("google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue", _) => {
            exact(path, value, violations);
        }
        ("google.protobuf.Duration", Value::String(text)) => duration(path, text, violations),
        (name, _) if name.starts_with("google.protobuf.") => {}
        (_, Value::Object(object)) => fields(path, object, shape, violations),
        // The decoder says what is wrong with anything else.
        _ => {}
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    match (path, key) {
        (path, "") => path.to_owned(),
        ("", key) => key.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// A path in the proto's names as it is written in a file: `maxInstances` for `max_instances`. What stands inside
/// payloads and labels is the user's own and stays as it is.
pub(super) fn as_written(path: &str, shape: &MessageDescriptor) -> String {
    let (segment, rest) = path.split_once('.').unwrap_or((path, ""));
    let name = segment.split('[').next().unwrap_or_default();
    let Some(field) = shape.get_field_by_name(name) else { return path.to_owned() };
    let written = segment.replacen(name, field.json_name(), 1);
    match field.kind() {
        Kind::Message(inner) if !field.is_map() => join(&written, &as_written(rest, &inner)),
        _ => join(&written, rest),
    }
}

fn fields(path: &str, object: &Map<String, Value>, shape: &MessageDescriptor, violations: &mut Violations) {
    let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
    for (key, value) in object {
        let at = join(path, key);
        let Some(field) = shape.get_field_by_json_name(key).or_else(|| shape.get_field_by_name(key)) else {
            violations.add(at, unknown(key, shape));
            continue;
        };
        if let Some(other) = seen.insert(field.number(), key) {
            violations.add(at, format!("is the same field as `{other}`"));
            continue;
        }
        field_value(&at, value, &field, violations);
    }
}

fn field_value(path: &str, value: &Value, field: &FieldDescriptor, violations: &mut Violations) {
    let Kind::Message(shape) = field.kind() else { return };
    match value {
        Value::Array(items) if field.is_list() => {
            for (at, item) in items.iter().enumerate() {
                check(&format!("{path}[{at}]"), item, &shape, violations);
            }
        }
        // The maps of the API hold strings, which have nothing to check.
        _ if field.is_list() || field.is_map() => {}
        value => check(path, value, &shape, violations),
    }
}

fn unknown(key: &str, shape: &MessageDescriptor) -> String {
    let names: Vec<String> = shape.fields().map(|field| field.json_name().to_owned()).collect();
    match names.iter().map(|name| (distance(key, name), name)).min() {
        Some((steps, name)) if steps <= 2 => format!("is not a field; did you mean `{name}`?"),
        _ => format!("is not a field; the fields are {}", names.join(", ")),
    }
}

/// Number of letters to insert, remove or replace to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

fn duration(path: &str, text: &str, violations: &mut Violations) {
    if text.ends_with('s') && text.parse::<prost_types::Duration>().is_ok() {
        return;
    }
    let seconds =
        match humantime::parse_duration(text).ok().and_then(|found| prost_types::Duration::try_from(found).ok()) {
            Some(found) => found.to_string(),
            None => "90s".to_owned(),
        };
    violations.add(path, format!("write \"{seconds}\": durations are in seconds"));
}

fn exact(path: &str, value: &Value, violations: &mut Violations) {
    match value {
        Value::Number(number) if rounded(number) => {
            violations.add(path, format!("{number} is beyond 2^53, more than a JSON number carries; write a string"));
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                exact(&format!("{path}[{at}]"), item, violations);
            }
        }
        Value::Object(object) => object.iter().for_each(|(key, value)| exact(&join(path, key), value, violations)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Integers too long for 64 bits come as doubles, so whole doubles are judged like integers.
fn rounded(number: &Number) -> bool {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => whole.unsigned_abs() > LARGEST_EXACT,
        (None, Some(whole), _) => whole > LARGEST_EXACT,
        (None, None, Some(number)) => number.fract() == 0.0 && number.abs() > LARGEST_EXACT as f64,
        (None, None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_largest_exact_integers_pass_and_the_next_do_not() {
        let check = |value: Value| {
            let mut violations = Violations::default();
            exact("p", &value, &mut violations);
            violations.0.is_empty()
        };
        assert!(check(json!([9_007_199_254_740_992_i64, -9_007_199_254_740_992_i64, 1.5, 2e15])));
        for wrong in [json!(9_007_199_254_740_993_i64), json!(-9_007_199_254_740_993_i64), json!(u64::MAX), json!(1e20)]
        {
            assert!(!check(wrong.clone()), "{wrong}");
        }
    }

    #[test]
    fn paths_are_named_as_in_the_file_but_not_inside_a_payload() {
        let job = crate::view::json::descriptor::<punctual_proto::v1::Job>();
        for (path, written) in [
            ("max_instances", "maxInstances"),
            ("retry.non_retryable_codes[2]", "retry.nonRetryableCodes[2]"),
            ("task.payload.working_dir", "task.payload.working_dir"),
            ("agent_selector.a_b", "agentSelector.a_b"),
            ("", ""),
        ] {
            assert_eq!(as_written(path, &job), written);
        }
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("evry", "every"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
