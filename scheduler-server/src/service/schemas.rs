//! Payloads against JSON Schemas. The schemas come from agents, so nothing is believed of them: a schema that is no
//! schema, refers to other documents, is too large, or takes too long refuses nothing, and is said so once in the log.
//!
//! Each check has a thread of its own, for a stack that deep schemas need, and so that it can be given up: what a schema
//! makes of a payload can take for ever.

mod compiled;
mod size;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use scheduler_core::Violations;
use scheduler_core::job::Payload;
use scheduler_core::time::Boot;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, oneshot};

use self::compiled::Compiled;
use crate::clock;

/// Bytes of a schema, at most.
const LARGEST: usize = 64 << 10;
/// A check that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a schema is set aside then.
const REST: Duration = Duration::from_secs(600);
/// Checks at a time.
const PLACES: usize = 4;
/// Schemas that are remembered, at most.
const REMEMBERED: usize = 256;
/// Enough for the deepest nesting of references in the largest schema.
const STACK: usize = 32 << 20;

/// See the module.
pub(super) struct Schemas {
    known: Mutex<HashMap<[u8; 32], Known>>,
    places: Semaphore,
    patience: Duration,
    rest: Duration,
}

#[derive(Clone)]
enum Known {
    Usable(Arc<Compiled>),
    /// It is no schema: it refuses nothing.
    Useless,
    /// A check took too long: it refuses nothing until then, and while that goes on.
    GivenUp {
        until: Boot,
        check: Weak<()>,
    },
}

/// Why payloads are not checked.
enum Unfit {
    Useless(String),
    /// The check holds the other end for as long as it goes on.
    GivenUp(Weak<()>),
}

/// What a check found.
struct Checked {
    schema: Arc<Compiled>,
    violations: Violations,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { known: Mutex::default(), places: Semaphore::new(PLACES), patience: PATIENCE, rest: REST }
    }
}

impl Schemas {
    /// What the schema says against a payload; `path` names the payload in the request.
    pub(super) async fn check(&self, task_type: &str, schema: &str, payload: &Payload, path: &str) -> Violations {
        let digest: [u8; 32] = Sha256::digest(schema).into();
        if self.known(&digest).is_some_and(|known| known.is_set_aside()) {
            return Violations::default();
        }
        // Given back when the check is given up, even if its thread goes on: others must not wait for it.
        let _place = self.places.acquire().await.expect("because it is never closed");
        let compiled = match self.known(&digest) {
            // While this one waited for its place.
            Some(known) if known.is_set_aside() => return Violations::default(),
            Some(Known::Usable(compiled)) => Some(compiled),
            Some(Known::Useless | Known::GivenUp { .. }) | None => None,
        };
        let is_new = compiled.is_none();
        match self.checked(compiled, schema, payload, path).await {
            Ok(None) => Violations::default(),
            Ok(Some(Checked { schema, violations })) => {
                if is_new {
                    self.remember(digest, Known::Usable(schema));
                }
                violations
            }
            Err(unfit) => {
                let (why, known) = match unfit {
                    Unfit::Useless(why) => (why, Known::Useless),
                    Unfit::GivenUp(check) => {
                        let why = format!("the check of a payload took more than {} s", self.patience.as_secs());
                        (why, Known::GivenUp { until: clock::now().boot.saturating_add(self.rest), check })
                    }
                };
                tracing::warn!(task_type, %why, "payloads are not checked against the schema that agents offer");
                self.remember(digest, known);
                Violations::default()
            }
        }
    }

    /// Or why there is no saying; nothing where the machine lets nothing be checked.
    async fn checked(
        &self,
        compiled: Option<Arc<Compiled>>,
        schema: &str,
        payload: &Payload,
        path: &str,
    ) -> Result<Option<Checked>, Unfit> {
        if schema.len() > LARGEST {
            return Err(Unfit::Useless(format!("it has {} bytes, more than {LARGEST}", schema.len())));
        }
        let (checked, answer) = oneshot::channel();
        let (schema, payload, path) = (schema.to_owned(), payload.clone(), path.to_owned());
        let goes_on = Arc::new(());
        let check_goes_on = Arc::downgrade(&goes_on);
        let check = move || {
            let _goes_on = goes_on;
            let compiled = compiled.map_or_else(|| Compiled::of(&schema).map(Arc::new), Ok);
            let result = compiled.map(|schema| Checked { violations: schema.violations(&payload, &path), schema });
            // Nobody waits any more when it was given up.
            let _ = checked.send(result);
        };
        let thread = thread::Builder::new().name("schema".to_owned()).stack_size(STACK).spawn(check);
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread can be started: a payload is not checked");
            return Ok(None);
        }
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(result)) => result.map(Some).map_err(Unfit::Useless),
            Ok(Err(_)) => Err(Unfit::Useless("the check of a payload panicked".to_owned())),
            Err(_) => Err(Unfit::GivenUp(check_goes_on)),
        }
    }

    fn known(&self, digest: &[u8; 32]) -> Option<Known> {
        self.known.lock().expect("because no holder panics").get(digest).cloned()
    }

    fn remember(&self, digest: [u8; 32], schema: Known) {
        let mut known = self.known.lock().expect("because no holder panics");
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(digest, schema);
    }
}

impl Known {
    fn is_set_aside(&self) -> bool {
        match self {
            Self::Usable(_) => false,
            Self::Useless => true,
            Self::GivenUp { until, check } => check.strong_count() > 0 || clock::now().boot < *until,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::compiled::MOST_VIOLATIONS;
    use super::*;

    async fn refused(schemas: &Schemas, schema: &str, payload: Json) -> Vec<(String, String)> {
        let payload = Payload(payload.to_string().into());
        let found = schemas.check("shop/order", schema, &payload, "task.payload").await;
        found.0.into_iter().map(|violation| (violation.field, violation.description)).collect()
    }

    fn is_set_aside(schemas: &Schemas, schema: &str) -> bool {
        schemas.known(&Sha256::digest(schema).into()).is_some_and(|known| known.is_set_aside())
    }

    #[tokio::test]
    async fn every_wrong_field_is_named_by_its_path() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["amount", "note"],
            "properties": {
                "amount": { "type": "integer", "maximum": 9 },
                "note": { "type": "string" },
                "lines": { "type": "array", "items": { "type": "object", "required": ["sku"] } },
                "env": { "additionalProperties": { "type": "string" } },
                "kind": { "enum": ["A", "B"] },
            },
        });
        let schema = schema.to_string();
        let schemas = Schemas::default();
        let payload = json!({
            "amount": "secret", "lines": [{ "sku": 1 }, {}], "env": { "a/b~c": 1, "7": 1 }, "kind": "C", "more": 1
        });
        let mut found = refused(&schemas, &schema, payload).await;
        found.sort();
        let expected = [
            ("task.payload.amount", r#"is not of type "integer""#),
            ("task.payload.env.7", r#"is not of type "string""#),
            ("task.payload.env.a/b~c", r#"is not of type "string""#),
            ("task.payload.kind", r#"is not one of "A" or "B""#),
            ("task.payload.lines[1].sku", "is required"),
            ("task.payload.more", "is not a field that the task type has"),
            ("task.payload.note", "is required"),
        ];
        assert_eq!(found, expected.map(|(field, description)| (field.to_owned(), description.to_owned())));
        let whole = json!({ "amount": 3, "note": "" });
        assert_eq!(refused(&schemas, &schema, whole.clone()).await, [], "compiled before");
        let many: Json = (0..1_000).map(|i| (format!("x{i}"), json!(1))).chain([("note".into(), json!(1))]).collect();
        assert_eq!(refused(&schemas, &schema, many).await.len(), MOST_VIOLATIONS);
    }

    #[tokio::test]
    async fn a_schema_that_is_of_no_use_refuses_nothing() {
        let schemas = Schemas::default();
        let huge = json!({ "type": "string", "description": "x".repeat(LARGEST) }).to_string();
        for schema in [
            "{",
            "[]",
            r#"{"type":"objekt"}"#,
            r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#,
            r#"{"$ref":"file:///etc/hostname"}"#,
            r##"{"$ref":"#/$defs/missing"}"##,
            r#"{"$schema":"http://example.test/own-dialect","type":"string"}"#,
            r#"{"properties":{"a":{"pattern":"(?=a)"}},"type":"string"}"#,
            r#"{"properties":{"a":{"pattern":"(a{1000}){1000}"}},"type":"string"}"#,
            &huge,
        ] {
            assert_eq!(refused(&schemas, schema, json!({ "a": "b" })).await, [], "{schema:.100}");
            assert!(is_set_aside(&schemas, schema), "it is not compiled again: {schema:.100}");
        }
    }

    #[tokio::test]
    async fn references_that_go_deep_or_in_circles_do_not_end_the_process() {
        let schemas = Schemas::default();
        let number = 2_000;
        let mut chain: serde_json::Map<String, Json> =
            (0..number).map(|i| (i.to_string(), json!({ "$ref": format!("#/$defs/{}", i + 1) }))).collect();
        chain.insert(number.to_string(), json!({ "type": "integer" }));
        let chain = json!({ "$ref": "#/$defs/0", "$defs": chain }).to_string();
        assert!(chain.len() < LARGEST);
        assert_eq!(refused(&schemas, &chain, json!({})).await.len(), 1);
        assert_eq!(refused(&schemas, r##"{"$ref":"#"}"##, json!({})).await, []);
        let tree = r##"{"additionalProperties":{"$ref":"#"},"type":"object"}"##;
        assert_eq!(refused(&schemas, tree, json!({ "a": { "b": {} } })).await, []);
        assert_eq!(refused(&schemas, tree, json!({ "a": { "b": 1 } })).await[0].0, "task.payload");
    }

    #[tokio::test]
    async fn a_payload_that_is_wrong_in_too_many_places_is_refused_without_gathering_them() {
        let schemas = Schemas::default();
        let schema = r#"{"properties":{"a":{"items":{"type":"string","minLength":1}}}}"#;
        let field = async |number: usize| {
            let found = refused(&schemas, schema, json!({ "a": vec![1; number] })).await;
            (found.len(), found[0].0.clone())
        };
        assert_eq!(field(100).await, (MOST_VIOLATIONS, "task.payload.a[0]".to_owned()));
        assert_eq!(field(60_000).await, (1, "task.payload".to_owned()));
    }

    /// It has one rule that is asked two to the power of so many times.
    fn doubled(times: usize) -> String {
        let twice = |next: usize| {
            let next = json!({ "$ref": format!("#/$defs/{next}") });
            json!({ "allOf": [next, next] })
        };
        let mut defs: serde_json::Map<String, Json> = (0..times).map(|i| (i.to_string(), twice(i + 1))).collect();
        defs.insert(times.to_string(), json!({ "required": ["a"] }));
        json!({ "$ref": "#/$defs/0", "$defs": defs }).to_string()
    }

    #[tokio::test]
    async fn a_check_without_end_is_given_up_and_not_begun_again() {
        let schemas = Schemas { patience: Duration::from_millis(50), rest: Duration::ZERO, ..Schemas::default() };
        // An end comes, long after the test's.
        let schema = doubled(28);
        assert_eq!(refused(&schemas, &schema, json!({ "a": 1 })).await, []);
        assert!(is_set_aside(&schemas, &schema));
    }

    #[tokio::test]
    async fn a_schema_whose_check_took_too_long_once_is_tried_again_when_that_has_ended() {
        let mut schemas = Schemas { patience: Duration::ZERO, rest: Duration::ZERO, ..Schemas::default() };
        let schema = doubled(12);
        assert_eq!(refused(&schemas, &schema, json!({})).await, [], "given up");
        while is_set_aside(&schemas, &schema) {
            tokio::task::yield_now().await;
        }
        schemas.patience = PATIENCE;
        assert!(!refused(&schemas, &schema, json!({})).await.is_empty(), "checked");
        let resting = Schemas { patience: Duration::ZERO, ..Schemas::default() };
        assert_eq!(refused(&resting, &schema, json!({})).await, []);
        assert!(is_set_aside(&resting, &schema));
    }
}
