//! Jobs to test with: the least that is valid, and what the test says beyond that.

use serde_json::{Value, json};

/// A job with a task, and `more` fields over it.
pub fn job(job_id: &str, task: Value, more: Value) -> Value {
    let mut job = json!({ "jobId": job_id, "task": task });
    let (Value::Object(fields), Value::Object(more)) = (&mut job, more) else { panic!("fields of a job") };
    fields.extend(more);
    job
}

/// A task that does nothing.
pub fn noop() -> Value {
    json!({ "type": "noop" })
}

/// A process task: a script for `sh`.
pub fn shell(script: &str) -> Value {
    json!({ "type": "process", "payload": { "command": ["sh", "-c", script] } })
}
