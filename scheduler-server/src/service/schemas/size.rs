//! How much a schema can have to say about a payload. It bounds what the validator gathers, whose references multiply:
//! thirty lines can stand for a million million rules.

use std::collections::HashMap;

use serde_json::Value as Json;

/// Values in a payload, itself included.
pub(super) fn values(payload: &Json) -> u64 {
    1 + match payload {
        Json::Array(items) => items.iter().map(values).sum(),
        Json::Object(object) => object.values().map(values).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => 0,
    }
}

/// Rules that can apply to one value, with every reference followed: never less than there are. `None` when a reference
/// leads round in a circle, or elsewhere than to a place in the schema.
pub(super) fn rules(schema: &Json) -> Option<u64> {
    Walk { schema, places: HashMap::new() }.rules(schema)
}

struct Walk<'a> {
    schema: &'a Json,
    /// What was found at a place that is referred to; `None` while that is not known.
    places: HashMap<&'a str, Option<u64>>,
}

impl<'a> Walk<'a> {
    fn rules(&mut self, part: &'a Json) -> Option<u64> {
        let mut sum: u64 = 1;
        match part {
            Json::Array(items) => {
                for item in items {
                    sum = sum.saturating_add(self.rules(item)?);
                }
            }
            Json::Object(object) => {
                for (key, value) in object {
                    let more = match (key.as_str(), value) {
                        ("$ref", Json::String(place)) => self.referred(place)?,
                        ("$dynamicRef" | "$recursiveRef", _) => return None,
                        // Applied only where something refers to them.
                        ("$defs" | "definitions", _) => 0,
                        _ => self.rules(value)?,
                    };
                    sum = sum.saturating_add(more);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
        Some(sum)
    }

    fn referred(&mut self, place: &'a str) -> Option<u64> {
        if let Some(found) = self.places.get(place) {
            return *found;
        }
        self.places.insert(place, None);
        let part = self.schema.pointer(place.strip_prefix('#')?)?;
        let found = self.rules(part);
        self.places.insert(place, found);
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_multiply() {
        let twice = |next: u32| json!({ "allOf": [{ "$ref": format!("#/$defs/{next}") }, { "$ref": format!("#/$defs/{next}") }] });
        let mut defs: serde_json::Map<String, Json> = (0..60).map(|i| (i.to_string(), twice(i + 1))).collect();
        defs.insert("60".to_owned(), json!({ "type": "object" }));
        let schema = json!({ "$ref": "#/$defs/0", "$defs": defs });
        assert!(rules(&schema).is_some_and(|rules| rules > 1 << 60));
    }

    #[test]
    fn what_cannot_be_counted_is_not_guessed() {
        for schema in [
            json!({ "properties": { "a": { "$ref": "#" } } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "items": { "$ref": "#/$defs/a" } } } }),
            json!({ "$ref": "#name", "$defs": { "a": { "$anchor": "name" } } }),
            json!({ "$ref": "other.json" }),
            json!({ "items": { "$dynamicRef": "#node" } }),
        ] {
            assert_eq!(rules(&schema), None, "{schema}");
        }
        assert_eq!(values(&json!({ "a": [1, { "b": null }] })), 5);
    }
}
