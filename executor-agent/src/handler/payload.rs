//! Payloads as handlers read them, and results as they write them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::result::{MAX_BYTES, is_shallow};
use crate::session::{Completion, Failure};

/// Reads a payload, which must be a JSON object (nothing counts as an empty one); one that is not right never will be.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    let object: Map<String, Value> = if json.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(json).map_err(|error| invalid(format!("payload: {error}")))?
    };
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = match error.path().to_string() {
            // What is wrong with the object itself: a field that it lacks, or should not have.
            root if root == "." => "payload".to_owned(),
            path => format!("payload.{path}"),
        };
        invalid(format!("{path}: {}", error.into_inner()))
    })
}

pub(super) fn invalid(message: String) -> Failure {
    Failure::permanent("PAYLOAD_INVALID", message)
}

/// What a handler returns, as JSON; `()` and `None` are no result.
pub(super) fn completion<T: Serialize>(returned: Result<T, Failure>) -> Completion {
    let written = returned.and_then(|result| {
        let value = serde_json::to_value(&result).map_err(|error| invalid_result(error.to_string()))?;
        if value.is_null() {
            return Ok(String::new());
        }
        if !is_shallow(&value) {
            return Err(invalid_result("it is nested too deep".to_owned()));
        }
        let json = value.to_string();
        match json.len() {
            ..=MAX_BYTES => Ok(json),
            bytes => Err(invalid_result(format!("it has {bytes} bytes of JSON, more than {MAX_BYTES}"))),
        }
    });
    written.map_or_else(Completion::from, Completion::success)
}

/// For good: another attempt would do again what has been done.
fn invalid_result(why: String) -> Failure {
    Failure::permanent("RESULT_INVALID", format!("the task was done, but its result cannot be sent: {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[serde(default)]
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        #[expect(dead_code, reason = "only whether it can be read is of interest")]
        amount: u32,
    }

    #[test]
    fn a_payload_that_does_not_fit_names_the_path_of_the_wrong_field() {
        let cases = [
            (r#"{"lines":[{"amount":1},{"amount":"two"}]}"#, "payload.lines[1].amount: invalid type: string"),
            (r#"{"lines":[{}]}"#, "payload.lines[0]: missing field `amount`"),
            (r#"{"line":[]}"#, "payload.line: unknown field `line`"),
            (r#"[]"#, "payload: invalid type: sequence"),
            ("{", "payload: EOF"),
        ];
        for (json, message) in cases {
            let failure = read::<Order>(json.as_bytes()).expect_err(json);
            assert_eq!((failure.code.as_str(), failure.retryable), ("PAYLOAD_INVALID", false), "{json}");
            assert!(failure.message.starts_with(message), "{json}: {}", failure.message);
        }
        assert!(read::<Order>(b"").is_ok_and(|order| order.lines.is_empty()), "nothing is an empty object");
    }

    #[test]
    fn a_result_that_cannot_be_sent_is_a_failure_that_says_so() {
        let code = |completion: Completion| completion.result.expect_err("it cannot be sent").code;
        assert_eq!(code(completion(Ok("x".repeat(MAX_BYTES - 1)))), "RESULT_INVALID");
        assert_eq!(code(completion(Ok(BTreeMap::from([(vec![1], 1)])))), "RESULT_INVALID", "no key of JSON");
        let deep = (0..40).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert_eq!(code(completion(Ok(deep))), "RESULT_INVALID", "clients could not read it");
        assert!(completion(Ok("x".repeat(MAX_BYTES - 2))).result.is_ok());
        assert_eq!(completion(Ok(())), Completion::success(""));
    }
}
