//! What two definitions of a job differ in, field by field, as JSON has the fields.

use std::fmt;

use punctual_proto::v1::Job;
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Counts, Definition, Job as Stored, JobKey};
use scheduler_core::time::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::view::json;

/// A field, and what it was and is to be; absent: not set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    field: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), Value::to_string);
        write!(f, "{}: {} → {}", self.field, text(&self.before), text(&self.after))
    }
}

impl Change {
    pub(super) fn json(&self) -> Value {
        json!({ "field": self.field, "before": self.before, "after": self.after })
    }
}

pub(super) fn changes(before: &Definition, after: &Definition, job: &Job) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", &fields(before, job), &fields(after, job), &mut changes);
    changes
}

/// As the server would show it, without what only the server says: both have that in common.
fn fields(definition: &Definition, job: &Job) -> Map<String, Value> {
    let stored = Stored {
        uid: JobUid(Uuid::nil()),
        key: JobKey { namespace: job.namespace.clone(), job_id: job.job_id.clone() },
        definition: definition.clone().into(),
        pause: None,
        revision: 1,
        change_seq: 1,
        effective_from: Timestamp::default(),
        create_time: Timestamp::default(),
        update_time: Timestamp::default(),
        delete_time: None,
        counts: Counts::default(),
    };
    let shown = job_spec::job(&stored, None, Timestamp::default(), &job_spec::any_calendar);
    match json::of(&shown) {
        Value::Object(mut fields) => {
            for derived in ["state", "nextFireTime", "scheduleText", "etag"] {
                fields.remove(derived);
            }
            fields
        }
        _ => Map::new(),
    }
}

/// Lists are one value; what has fields is compared field by field.
fn compare(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, changes: &mut Vec<Change>) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (before.get(name), after.get(name)) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => compare(&field, before, after, changes),
            (before, after) if before != after => {
                changes.push(Change { field, before: before.cloned(), after: after.cloned() });
            }
            _ => {}
        }
    }
}
