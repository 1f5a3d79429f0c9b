//! What the comment of a field says in a form that programs can use: defaults and limits.
//!
//! The comments are written for people, in set phrases; a test holds the defaults of a job against those that jobs
//! really get.

use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value as Json, json};

/// What ids look like, where a comment says so.
const ID: &str = "^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$";

pub(super) fn is_required(comment: &str) -> bool {
    comment.contains("Required")
}

pub(super) fn is_output_only(comment: &str) -> bool {
    comment.starts_with("Output only.")
}

/// The keywords of JSON Schema for what the comment says about the values.
pub(super) fn keywords(field: &FieldDescriptor, comment: &str) -> Map<String, Json> {
    let mut keywords = Map::new();
    let kind = field.kind();
    if field.is_list() || field.is_map() {
        return keywords;
    }
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Double => {
            if let Some((least, most)) = range(comment) {
                keywords.insert("minimum".to_owned(), least.into());
                keywords.insert("maximum".to_owned(), most.into());
            } else if let Some(least) = after(comment, "at least ").and_then(number) {
                keywords.insert("minimum".to_owned(), least.into());
            }
        }
        Kind::String => {
            if comment.contains("same pattern") || comment.contains("matches `[a-z0-9]") {
                keywords.insert("pattern".to_owned(), ID.into());
            }
            if let Some(longest) = longest(comment) {
                keywords.insert("maxLength".to_owned(), longest.into());
            }
        }
        _ => {}
    }
    if let Some(default) = default(&kind, comment) {
        keywords.insert("default".to_owned(), default);
    }
    keywords
}

/// `Default: 60 s.`, as JSON has it.
fn default(kind: &Kind, comment: &str) -> Option<Json> {
    let stated = after(comment, "Default: ")?.split(['.', ';']).next()?.trim();
    match kind {
        Kind::Bool => stated.parse::<bool>().ok().map(Json::from),
        Kind::Int32 | Kind::Int64 => number(stated).map(Json::from),
        Kind::Double => number(stated).map(Json::from),
        Kind::String => stated.strip_prefix('`')?.strip_suffix('`').map(Json::from),
        Kind::Enum(values) => values.get_value_by_name(stated).map(|value| value.name().into()),
        Kind::Message(message) if message.full_name() == "google.protobuf.Duration" => seconds(stated),
        _ => None,
    }
}

fn seconds(stated: &str) -> Option<Json> {
    if stated == "zero" {
        return Some(json!("0s"));
    }
    let (amount, unit) = stated.split_once(' ')?;
    let length = match unit {
        "s" => 1,
        "h" => 3_600,
        "days" => 86_400,
        _ => return None,
    };
    Some(format!("{}s", number(amount)? * length).into())
}

/// `−1,000 to 1,000`.
fn range(comment: &str) -> Option<(i64, i64)> {
    let words: Vec<&str> = comment.split(' ').collect();
    words.windows(3).find_map(|window| match window {
        [least, "to", most] => Some((number(least)?, number(most)?)),
        _ => None,
    })
}

/// `at most 36 ASCII characters`.
fn longest(comment: &str) -> Option<i64> {
    let said = after(comment, "at most ").or_else(|| after(comment, "At most "))?;
    let (amount, rest) = said.split_once(' ')?;
    (rest.starts_with("characters") || rest.starts_with("ASCII characters")).then(|| number(amount)).flatten()
}

fn after<'c>(comment: &'c str, phrase: &str) -> Option<&'c str> {
    comment.split_once(phrase).map(|(_, rest)| rest)
}

/// The whole number that a text starts with: `1,000`, `−5;`.
fn number(text: &str) -> Option<i64> {
    let word = text.split(' ').next()?.trim_end_matches([',', ';', '.', ')']);
    word.replace('−', "-").replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::rest::routes::pool;
    use super::*;

    fn said(field: &str, comment: &str) -> Json {
        let job = pool().get_message_by_name("punctual.v1.Job").unwrap();
        Json::Object(keywords(&job.get_field_by_name(field).unwrap(), comment))
    }

    #[test]
    fn set_phrases_become_keywords() {
        let cases = [
            (
                "priority",
                "Higher first; −1,000 to 1,000. Default: 0.",
                json!({"minimum": -1000, "maximum": 1000, "default": 0}),
            ),
            ("queue", "A queue. Default: `default`.", json!({"default": "default"})),
            ("timeout", "A limit. Default: 1 h.", json!({"default": "3600s"})),
            ("kill_grace", "A time. Default: none, it waits.", json!({})),
            ("coalesce", "Whether. Default: true.", json!({"default": true})),
            ("overlap_policy", "What. Default: SKIP.", json!({"default": "SKIP"})),
            ("description", "What it is for; at most 8,192 characters. Default: empty.", json!({"maxLength": 8192})),
            ("job_id", "Unique; same pattern. Required.", json!({"pattern": ID})),
            ("labels", "Labels. Default: none.", json!({})),
        ];
        for (field, comment, expected) in cases {
            assert_eq!(said(field, comment), expected, "{comment}");
        }
    }
}
