//! The payloads of the built-in task types, which the server checks itself, with no agent there.

mod grpc;
mod http;
mod reference;

use scheduler_core::Violations;
use serde_json::{Map, Value as Json};

type Object = Map<String, Json>;
/// Looks at one key's value.
type Rule = fn(&Json) -> Result<(), Fault>;

/// What is wrong with a value, or with a part of it.
struct Fault {
    /// The way to the part: `[1]`, `.NAME`, or nothing.
    below: String,
    /// Completes a sentence about it.
    description: String,
}

impl<T: Into<String>> From<T> for Fault {
    fn from(description: T) -> Self {
        Self { below: String::new(), description: description.into() }
    }
}

fn below(part: impl Into<String>, description: impl Into<String>) -> Fault {
    Fault { below: part.into(), description: description.into() }
}

/// Their names, in the order in which people should read them.
pub const BUILT_IN: [&str; 4] = ["process", "http", "grpc", "noop"];

const LARGEST_RESPONSE: i64 = 1 << 30;

pub(crate) fn check(task_type: &str, payload: &Object, path: &str, violations: &mut Violations) {
    let Some(rules) = rules(task_type) else { return };
    for (key, value) in payload {
        let field = format!("{path}.{key}");
        match rules.iter().find(|(name, _)| name == key) {
            Some((_, rule)) => {
                if let Err(Fault { below, description }) = rule(value) {
                    violations.add(field + &below, description);
                }
            }
            None => {
                let known: Vec<&str> = rules.iter().map(|(name, _)| *name).collect();
                violations.add(field, format!("is no key of a {task_type} task, which has {}", known.join(", ")));
            }
        }
    }
    for (key, description) in missing(task_type, payload) {
        violations.add(format!("{path}.{key}"), description);
    }
}

/// `None` for the task types of others.
fn rules(task_type: &str) -> Option<&'static [(&'static str, Rule)]> {
    match task_type {
        "process" => Some(&[
            ("command", command),
            ("shell", filled_text),
            ("env", env),
            ("working_dir", filled_text),
            ("stdin", reference::text),
            ("success_exit_codes", |value| integers(value, 0, 255)),
        ]),
        "http" => Some(&[
            ("method", http::method),
            ("url", http::url),
            ("headers", http::headers),
            ("body", reference::anywhere),
            ("success_statuses", |value| integers(value, 100, 599)),
            ("max_response_bytes", |value| integer(value, 0, LARGEST_RESPONSE)),
        ]),
        "grpc" => Some(&[
            ("target", grpc::target),
            ("method", grpc::method),
            ("request", grpc::request),
            ("metadata", grpc::metadata),
        ]),
        "noop" => Some(&[("duration", duration), ("fail", failure), ("result", anything)]),
        _ => None,
    }
}

fn missing(task_type: &str, payload: &Object) -> Vec<(&'static str, &'static str)> {
    let has = |key: &str| payload.contains_key(key);
    let required = |keys: [&'static str; 2]| {
        keys.into_iter().filter(|key| !key.is_empty() && !has(key)).map(|key| (key, "is required")).collect()
    };
    match task_type {
        "process" => match (has("command"), has("shell")) {
            (false, false) => vec![("command", "is required, unless there is a `shell`")],
            (true, true) => vec![("shell", "stands instead of `command`: leave one of them out")],
            _ => Vec::new(),
        },
        "http" => required(["url", ""]),
        "grpc" => required(["target", "method"]),
        _ => Vec::new(),
    }
}

fn anything(_: &Json) -> Result<(), Fault> {
    Ok(())
}

fn filled_text(value: &Json) -> Result<(), Fault> {
    match value.as_str() {
        Some("") | None => Err("must be a string that is not empty".into()),
        Some(_) => Ok(()),
    }
}

/// Whether it fails, or the error code that it fails with.
fn failure(value: &Json) -> Result<(), Fault> {
    match value {
        Json::Bool(_) => Ok(()),
        Json::String(code) if !code.is_empty() => Ok(()),
        _ => Err("must be true, false or an error code".into()),
    }
}

fn integer(value: &Json, least: i64, most: i64) -> Result<(), Fault> {
    match value.as_i64() {
        Some(value) if (least..=most).contains(&value) => Ok(()),
        _ => Err(format!("must be an integer between {least} and {most}").into()),
    }
}

fn integers(value: &Json, least: i64, most: i64) -> Result<(), Fault> {
    let Some(values) = value.as_array().filter(|values| !values.is_empty()) else {
        return Err(format!("must be a list of integers between {least} and {most}, not empty").into());
    };
    for (i, value) in values.iter().enumerate() {
        integer(value, least, most).map_err(|fault| below(format!("[{i}]"), fault.description))?;
    }
    Ok(())
}

fn texts_by_name(value: &Json) -> Result<(), Fault> {
    let Some(object) = value.as_object() else { return Err("must be an object whose values are strings".into()) };
    match object.iter().find(|(_, value)| !value.is_string()) {
        Some((name, _)) => Err(below(format!(".{name}"), "must be a string")),
        None => Ok(()),
    }
}

fn command(value: &Json) -> Result<(), Fault> {
    let Some(words) = value.as_array() else {
        return Err("must be a list of strings: the program and its arguments".into());
    };
    match words.iter().position(|word| !word.is_string()) {
        Some(i) => Err(below(format!("[{i}]"), "must be a string")),
        None if words.first().is_none_or(|program| program == "") => Err("must start with a program".into()),
        None => Ok(()),
    }
}

fn env(value: &Json) -> Result<(), Fault> {
    texts_by_name(value)?;
    if let Some(name) = value.as_object().and_then(|env| env.keys().find(|name| name.is_empty() || name.contains('=')))
    {
        return Err(below(format!(".{name}"), "cannot name an environment variable"));
    }
    reference::anywhere(value)
}

/// As in canonical JSON: seconds with up to nine decimals and an `s`.
fn duration(value: &Json) -> Result<(), Fault> {
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let seconds = value.as_str().and_then(|text| text.strip_suffix('s'));
    let valid = seconds.is_some_and(|seconds| match seconds.split_once('.') {
        Some((whole, fraction)) => digits(whole, 9) && digits(fraction, 9),
        None => digits(seconds, 9),
    });
    if valid { Ok(()) } else { Err("must be a duration in seconds, such as \"1.5s\"".into()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits_schema(task_type: &str, payload: &Json) -> bool {
        let Some(schema) = punctual_proto::payloads::schema(task_type) else { return true };
        let schema: Json = serde_json::from_str(schema).expect("because agents send it");
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{task_type}");
        jsonschema::is_valid(&schema, payload)
    }

    /// The fields that are refused. What is taken fits the schema that clients are shown.
    fn refused(task_type: &str, payload: Json) -> Vec<String> {
        let mut violations = Violations::default();
        let fits = fits_schema(task_type, &payload);
        check(task_type, payload.as_object().expect("because tests write objects"), "task.payload", &mut violations);
        assert!(fits || !violations.0.is_empty(), "the schema of {task_type} refuses {payload}");
        violations.0.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_good_payload_of_each_type_is_taken() {
        let payloads = [
            ("process", json!({"command": ["/bin/true", ""], "env": {"A": "b"}, "working_dir": "/", "stdin": ""})),
            ("process", json!({"shell": "exit 3", "success_exit_codes": [0, 3]})),
            ("noop", json!({"duration": "1.5s", "fail": false, "result": [1]})),
            ("noop", json!({"fail": "EXIT_1"})),
            ("noop", json!({})),
            ("custom", json!({"anything": 1})),
        ];
        for (task_type, payload) in payloads {
            assert_eq!(refused(task_type, payload.clone()), Vec::<String>::new(), "{task_type} {payload}");
        }
    }

    /// The handlers' tests read the same file, so that both sides agree on what can be executed.
    #[test]
    fn what_handlers_refuse_is_refused_with_its_path() {
        let cases: Json = serde_json::from_str(include_str!("builtin/cases.json")).expect("because it is JSON");
        for case in cases.as_array().expect("because it is a list") {
            let expected: Vec<_> =
                case.get("wrong").and_then(Json::as_str).map(|key| format!("task.payload.{key}")).into_iter().collect();
            let task_type = case["type"].as_str().expect("because each case has a type");
            assert_eq!(refused(task_type, case["payload"].clone()), expected, "{case}");
        }
    }

    #[test]
    fn every_built_in_type_has_a_schema_with_the_keys_that_are_checked() {
        for task_type in BUILT_IN {
            let schema = punctual_proto::payloads::schema(task_type).expect(task_type);
            let schema: Json = serde_json::from_str(schema).expect("because agents send it");
            let described = schema["properties"].as_object().expect("because they have keys").keys();
            let checked = rules(task_type).expect(task_type).iter().map(|(name, _)| name);
            assert!(described.eq(checked), "{task_type}");
        }
    }

    #[test]
    fn a_process_has_exactly_one_of_command_and_shell() {
        assert_eq!(refused("process", json!({})), ["task.payload.command"]);
        assert_eq!(refused("process", json!({"command": ["a"], "shell": "a"})), ["task.payload.shell"]);
    }

    #[test]
    fn an_unknown_key_of_a_builtin_type_is_refused() {
        for task_type in ["process", "http", "grpc", "noop"] {
            assert!(
                refused(task_type, json!({"comand": 1})).contains(&"task.payload.comand".to_owned()),
                "{task_type}"
            );
        }
    }

    #[test]
    fn every_key_refuses_what_its_handler_could_not_use() {
        let bad = [
            ("process", "command", json!("ls")),
            ("process", "command", json!([])),
            ("process", "command", json!([""])),
            ("process", "command", json!(["a", 1])),
            ("process", "shell", json!("")),
            ("process", "env", json!({"A": 1})),
            ("process", "env", json!({"A=": "b"})),
            ("process", "working_dir", json!("")),
            ("process", "stdin", json!(1)),
            ("process", "success_exit_codes", json!([256])),
            ("process", "success_exit_codes", json!([])),
            ("noop", "duration", json!("5m")),
            ("noop", "duration", json!(5)),
            ("noop", "duration", json!("-1s")),
            ("noop", "fail", json!(1)),
            ("noop", "fail", json!("")),
        ];
        for (task_type, key, value) in bad {
            let mut payload = json!({"command": ["a"]});
            let object = payload.as_object_mut().expect("because it is an object");
            let own = rules(task_type).expect("because it is built in");
            object.retain(|name, _| own.iter().any(|(own, _)| own == name) && !(key == "shell" && name == "command"));
            object.insert(key.to_owned(), value.clone());
            // Of a map the entry is named, of a list the item.
            let names = value.as_object().into_iter().flat_map(|map| map.keys());
            let part = names.map(|name| format!(".{name}")).next();
            let item = match &value {
                Json::Array(items) if key == "command" => items.iter().position(|item| !item.is_string()),
                Json::Array(items) if !items.is_empty() && key.starts_with("success") => Some(0),
                _ => None,
            };
            let part = part.or(item.map(|i| format!("[{i}]"))).unwrap_or_default();
            let expected = [format!("task.payload.{key}{part}")];
            assert_eq!(refused(task_type, payload), expected, "{task_type} {key} {value}");
        }
    }
}
