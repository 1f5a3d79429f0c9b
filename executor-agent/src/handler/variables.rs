//! What every task is told about its run (rule 28): processes as variables, HTTP and gRPC tasks as headers.

use http::{HeaderMap, HeaderName, HeaderValue};
use prost_types::Timestamp;

use crate::session::Task;

/// W3C's name for a trace's context, which has no prefix of ours.
const TRACE_PARENT: &str = "traceparent";

/// Names as in `PUNCTUAL_JOB_ID`, without that prefix.
pub(super) fn of(task: &Task) -> impl Iterator<Item = (&'static str, String)> {
    let scheduled = task.scheduled_time.map(|time| Timestamp::from(time).to_string());
    let variables = [
        ("NAMESPACE", Some(task.namespace.clone())),
        ("JOB_ID", Some(task.job_id.clone())),
        ("RUN_ID", Some(task.key.run.to_string())),
        ("ATTEMPT", Some(task.key.attempt.to_string())),
        ("SCHEDULED_TIME", scheduled),
        ("FENCING_TOKEN", Some(task.fencing_token.to_string())),
        ("SLOT", Some(task.slot.to_string())),
    ];
    variables.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

/// The trace that the attempt belongs to, if there is one.
pub(super) fn trace_parent(task: &Task) -> Option<&str> {
    Some(task.trace_parent.as_str()).filter(|parent| !parent.is_empty())
}

/// The same as headers: `Punctual-Job-Id`.
pub(super) fn headers(task: &Task) -> HeaderMap {
    let own =
        of(task).map(|(name, value)| (format!("punctual-{}", name.to_ascii_lowercase().replace('_', "-")), value));
    let trace = trace_parent(task).map(|parent| (TRACE_PARENT.to_owned(), parent.to_owned()));
    let pairs = own.chain(trace);
    pairs
        .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)))
        .collect()
}
