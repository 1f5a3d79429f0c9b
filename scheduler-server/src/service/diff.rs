//! What a revision of a job changed, field by field, as JSON has the fields.

use job_spec::payload;
use prost_reflect::SerializeOptions;
use punctual_proto::v1;
use serde_json::{Map, Value as Json};

use super::mask;

/// What only the server says: no change of the job.
const DERIVED: [&str; 11] = [
    "uid",
    "state",
    "nextFireTime",
    "scheduleText",
    "lastRun",
    "etag",
    "revision",
    "createTime",
    "updateTime",
    "deleteTime",
    "expireTime",
];

/// Lists are one value; what has fields is compared field by field.
pub(super) fn changes(before: &v1::Job, after: &v1::Job) -> Vec<v1::FieldChange> {
    let mut changes = Vec::new();
    compare("", &fields(before), &fields(after), &mut changes);
    changes
}

pub(super) fn fields(job: &v1::Job) -> Map<String, Json> {
    let options = SerializeOptions::new().skip_default_fields(false);
    let written = mask::dynamic(job).serialize_with_options(serde_json::value::Serializer, &options);
    let Ok(Json::Object(mut fields)) = written else { return Map::new() };
    fields.retain(|name, _| !DERIVED.contains(&name.as_str()));
    fields
}

fn compare(path: &str, before: &Map<String, Json>, after: &Map<String, Json>, changes: &mut Vec<v1::FieldChange>) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (before.get(name), after.get(name)) {
            (Some(Json::Object(before)), Some(Json::Object(after))) => compare(&field, before, after, changes),
            (before, after) if before != after => {
                let value = |json: Option<&Json>| json.map(|json| payload::proto_result(&json.to_string()));
                changes.push(v1::FieldChange { field, before: value(before), after: value(after) });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_named_down_to_the_field_that_changed() {
        let payload = |text: &str| Some(payload::proto(&scheduler_core::job::Payload(text.into())));
        let job = |priority, payload| v1::Job {
            priority,
            revision: priority,
            task: Some(v1::Task { r#type: "process".to_owned(), payload }),
            ..v1::Job::default()
        };
        let before = job(1, payload(r#"{"command":["a"],"env":{"A":"b","C":"d"}}"#));
        let pause = v1::Pause { note: "why".to_owned(), ..v1::Pause::default() };
        let after = v1::Job { pause: Some(pause), ..job(2, payload(r#"{"command":["a","x"],"env":{"A":"c"}}"#)) };
        let changes = changes(&before, &after);
        let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["pause", "priority", "task.payload.command", "task.payload.env.A", "task.payload.env.C"]);
        let has = |at: usize| (changes[at].before.is_some(), changes[at].after.is_some());
        assert_eq!((has(0), has(1), has(4)), ((false, true), (true, true), (true, false)));
        assert_eq!(changes[3].after, Some(payload::proto_result("\"c\"")));
        assert_eq!(super::changes(&before, &before), []);
    }
}
