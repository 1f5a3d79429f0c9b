//! Payloads, as handlers read them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::session::Failure;

/// Reads a payload, which must be a JSON object (nothing counts as an empty one); one that is not right never will be.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    let object: Map<String, Value> = if json.is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?
    };
    serde_json::from_value(Value::Object(object)).map_err(|error| invalid(error.to_string()))
}

pub(super) fn invalid(message: String) -> Failure {
    Failure::permanent("PAYLOAD_INVALID", message)
}
