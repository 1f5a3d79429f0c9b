//! What a task may answer with.

use serde_json::Value;

/// Bytes of a result as JSON, at most; what a payload may have, too.
pub(super) const MAX_BYTES: usize = 256 << 10;
/// Levels of a result: what decoders of protobuf, in which it is answered, still read.
const MAX_DEPTH: usize = 24;

/// Whether clients can read it when it is answered as a `google.protobuf.Value`.
pub(super) fn is_shallow(value: &Value) -> bool {
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            Value::Object(object) => levels > 0 && object.values().all(|value| fits(value, levels - 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    fits(value, MAX_DEPTH)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_nested_too_deep_is_seen() {
        let mut value = json!(1);
        for _ in 0..MAX_DEPTH {
            value = json!([value]);
        }
        assert!(is_shallow(&value));
        assert!(!is_shallow(&json!({ "a": value })));
    }
}
