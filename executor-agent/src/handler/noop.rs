//! `noop`: does nothing, for a while if asked to. For canaries and load tests.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, Handler, payload};
use crate::session::{Completion, Failure, Task};

/// See the module.
#[derive(Debug, Default)]
pub struct Noop;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Payload {
    /// How long it takes, as protobuf's JSON writes a duration: `"1.5s"`.
    duration: Option<String>,
    /// Whether it fails, or the error code that it fails with.
    fail: Option<Fail>,
    /// What it returns.
    result: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Fail {
    Whether(bool),
    Code(String),
}

impl Payload {
    fn parse(task: &Task) -> Result<(Duration, Completion), Failure> {
        let payload: Self = payload::read(&task.payload)?;
        let duration = match &payload.duration {
            None => Duration::ZERO,
            Some(text) => text
                .parse::<prost_types::Duration>()
                .ok()
                .and_then(|duration| Duration::try_from(duration).ok())
                .ok_or_else(|| payload::invalid(format!("duration {text:?} is not like \"1.5s\"")))?,
        };
        let code = match payload.fail {
            None | Some(Fail::Whether(false)) => None,
            Some(Fail::Whether(true)) => Some("NOOP_FAILED".to_owned()),
            Some(Fail::Code(code)) => Some(code),
        };
        let completion = match code {
            Some(code) => Failure::new(code, "the payload says that it fails").into(),
            None => Completion::success(payload.result.map_or_else(Vec::new, |result| result.to_string().into_bytes())),
        };
        Ok((duration, completion))
    }
}

#[async_trait]
impl Handler for Noop {
    fn payload_schema(&self) -> Option<String> {
        punctual_proto::payloads::schema("noop").map(str::to_owned)
    }

    fn immediate(&self, task: &Task) -> Option<Completion> {
        match Payload::parse(task) {
            Ok((Duration::ZERO, completion)) => Some(completion),
            Ok(_) => None,
            Err(failure) => Some(failure.into()),
        }
    }

    async fn execute(&self, context: Context) -> Completion {
        let (duration, completion) = match Payload::parse(context.task()) {
            Ok(parsed) => parsed,
            Err(failure) => return failure.into(),
        };
        tokio::select! {
            biased;
            () = context.cancelled() => Failure::new("CANCELLED", "ended early").into(),
            () = tokio::time::sleep(duration) => completion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::AttemptKey;

    fn task(payload: &'static str) -> Task {
        Task {
            key: AttemptKey { run: uuid::Uuid::nil(), attempt: 1 },
            namespace: String::new(),
            job_id: String::new(),
            task_type: "noop".to_owned(),
            payload: payload.into(),
            scheduled_time: None,
            fencing_token: 1,
            slot: 0,
            trace_parent: String::new(),
            deadline: None,
            kill_grace: Duration::ZERO,
        }
    }

    #[test]
    fn a_no_op_without_duration_costs_no_task() {
        assert_eq!(Noop.immediate(&task("{}")), Some(Completion::success("")));
        assert_eq!(Noop.immediate(&task(r#"{"result":{"a":1}}"#)), Some(Completion::success(r#"{"a":1}"#)));
        assert_eq!(Noop.immediate(&task(r#"{"duration":"0.5s"}"#)), None);
    }

    #[test]
    fn a_payload_that_makes_no_sense_fails_for_good() {
        for payload in [r#"{"duration":"5m"}"#, r#"{"duration":"-1s"}"#, r#"{"sleep":"1s"}"#, "[]", "{"] {
            let completion = Noop.immediate(&task(payload)).expect("ends at once");
            let failure = completion.result.expect_err(payload);
            assert_eq!((failure.code.as_str(), failure.retryable), ("PAYLOAD_INVALID", false), "{payload}");
        }
    }

    #[test]
    fn it_fails_with_the_code_that_it_is_given() {
        let code = |payload| Noop.immediate(&task(payload)).expect("at once").result.expect_err("fails").code;
        assert_eq!(code(r#"{"fail":true}"#), "NOOP_FAILED");
        assert_eq!(code(r#"{"fail":"MINE"}"#), "MINE");
    }
}
