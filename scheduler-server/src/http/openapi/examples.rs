//! A body for each operation that takes one, by its id. A test reads each as the transcoder would.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

static EXAMPLES: LazyLock<Map<String, Json>> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).expect("because it is built in and JSON"));

pub(super) fn of(operation_id: &str) -> Option<&'static Json> {
    EXAMPLES.get(operation_id)
}

#[cfg(test)]
pub(super) fn all() -> &'static Map<String, Json> {
    &EXAMPLES
}
