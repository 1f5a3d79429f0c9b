//! JSON Schemas of payloads, as agents offer them to servers.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// What `P` can be read from, as JSON text of draft 2020-12.
pub(super) fn of<P: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let schema = settings.into_generator().into_root_schema_for::<P>();
    schema.as_value().to_string()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    /// Words for people.
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Payload {
        first_row: u32,
        #[serde(default)]
        note: Option<String>,
    }

    #[test]
    fn a_schema_says_what_serde_takes() {
        let schema: Value = serde_json::from_str(&of::<Payload>()).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["firstRow"]), &json!(false)));
        assert_eq!(schema["description"], "Words for people.");
    }
}
