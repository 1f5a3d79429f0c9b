//! The audit: who changed what, from where, and how it was before and after.
//!
//! An event is a row of the transaction that makes the change, so that neither is there without the other. What it keeps
//! of a resource is masked before it leaves this module: names of a payload's fields stay, their values never do.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::Token;
use crate::agent::Cordon;
use crate::calendar::Calendar;
use crate::ids::{AuditEventId, TokenId};
use crate::job::{Job, Payload};
use crate::time::Timestamp;

/// What stands for a value of a payload.
pub const MASK: &str = "***";
/// The same, of a value that the change gave another, or that it brought.
pub const CHANGED_MASK: &str = "*** (changed)";

/// Who asks for something, and from where.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Empty where nobody signs in.
    pub principal: String,
    /// With which it was asked for.
    pub token: Option<TokenId>,
    /// Of the caller; empty when it is not known.
    pub address: String,
    /// `JobService/UpdateJob`
    pub method: String,
}

/// One change, or a refused attempt at one.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Ascending in time.
    pub id: AuditEventId,
    pub time: Timestamp,
    pub origin: Origin,
    /// Empty for what has none.
    pub namespace: String,
    /// `jobs/nightly-report`
    pub resource: String,
    /// Empty when the client gave none.
    pub request_id: String,
    /// Why it was refused; empty for what was done.
    pub refusal: String,
    pub before: Option<Image>,
    pub after: Option<Image>,
}

/// A resource as the audit keeps it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    Job(Box<Job>),
    Calendar(Box<Calendar>),
    Cordon(Cordon),
    Token(Box<Token>),
    /// What is no resource of its own, as it is shown.
    Fields(Map<String, Value>),
}

impl Image {
    /// A job before and after a change, without the values of its payload.
    pub fn jobs(before: Option<&Job>, after: Option<&Job>) -> (Option<Self>, Option<Self>) {
        let payload = |job: Option<&Job>| job.and_then(|job| serde_json::from_str(&job.definition.task.payload.0).ok());
        let (had, has): (Option<Value>, Option<Value>) = (payload(before), payload(after));
        let image = |job: Option<&Job>, masked: Option<Value>| {
            let mut job = job?.clone();
            let mut definition = (*job.definition).clone();
            // A payload that cannot be read is not shown at all.
            definition.task.payload = Payload(object(masked).to_string().into());
            job.definition = definition.into();
            Some(Self::Job(Box::new(job)))
        };
        let masked_before = had.as_ref().map(|had| masked(had, Some(had)));
        // Of a new job everything is new, and marking all of it would say nothing.
        let masked_after = has.as_ref().map(|has| masked(has, if before.is_none() { Some(has) } else { had.as_ref() }));
        (image(before, masked_before), image(after, masked_after))
    }

    /// What a payload that goes over a job's is, without its values.
    pub fn payload(given: &Payload, jobs: &Payload) -> Value {
        let read = |payload: &Payload| serde_json::from_str::<Value>(&payload.0).ok();
        object(read(given).map(|given| masked(&given, read(jobs).as_ref())))
    }

    pub fn calendar(calendar: &Calendar) -> Self {
        Self::Calendar(Box::new(calendar.clone()))
    }

    /// Texts, those that are empty left out.
    pub fn fields<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Self::Fields(given.map(|(name, text)| (name.to_owned(), Value::String(text))).collect())
    }
}

/// A payload is an object; what is none could not be masked by its fields.
fn object(value: Option<Value>) -> Value {
    value.filter(Value::is_object).unwrap_or_else(|| Value::Object(Map::new()))
}

/// The shape of a value, with masks for all that is no object or list; `had` is what was in its place before.
fn masked(value: &Value, had: Option<&Value>) -> Value {
    match value {
        Value::Object(fields) => {
            let masked = |(name, value): (&String, &Value)| {
                (name.clone(), masked(value, had.and_then(|had| had.as_object()).and_then(|had| had.get(name))))
            };
            Value::Object(fields.iter().map(masked).collect())
        }
        Value::Array(items) => {
            let had = had.and_then(|had| had.as_array());
            let masked = |(at, value): (usize, &Value)| masked(value, had.and_then(|had| had.get(at)));
            Value::Array(items.iter().enumerate().map(masked).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Value::from(if had == Some(value) { MASK } else { CHANGED_MASK })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_of_a_payload_is_in_a_masked_one_and_changes_show() {
        let before = json!({"command": ["deploy", "--key", "hunter2"], "env": {"A": "s3cret", "GONE": true}, "n": 7});
        let after = json!({"command": ["deploy", "--key", "hunter3"], "env": {"A": "s3cret", "NEW": null}, "n": 7.5});
        let shown = masked(&after, Some(&before));
        let expected = json!({
            "command": ["***", "***", "*** (changed)"],
            "env": {"A": "***", "NEW": "*** (changed)"},
            "n": "*** (changed)",
        });
        assert_eq!(shown, expected);
        assert_eq!(masked(&after, Some(&after))["env"], json!({"A": "***", "NEW": "***"}));
    }

    #[test]
    fn a_payload_that_cannot_be_read_is_not_shown() {
        for unreadable in [None, Some(json!("text")), Some(json!([1]))] {
            assert_eq!(object(unreadable), json!({}));
        }
    }
}
