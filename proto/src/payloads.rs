//! JSON Schemas of the built-in task types' payloads, which agents offer and servers show.
//!
//! The rules by which the server refuses a payload are in `job-spec`, which finds words for each; its tests hold that these
//! schemas refuse nothing that it takes, and have the same keys.

const BUILT_IN: [(&str, &str); 4] = [
    ("process", include_str!("../schemas/process.json")),
    ("http", include_str!("../schemas/http.json")),
    ("grpc", include_str!("../schemas/grpc.json")),
    ("noop", include_str!("../schemas/noop.json")),
];

/// The schema of a built-in task type, as JSON text of draft 2020-12.
pub fn schema(task_type: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(name, _)| *name == task_type).map(|(_, schema)| *schema)
}
