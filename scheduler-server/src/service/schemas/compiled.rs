//! A schema ready for use, and what it says against payloads.

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::Location;
use jsonschema::{PatternOptions, ValidationError, Validator};
use scheduler_core::Violations;
use scheduler_core::job::Payload;
use serde_json::Value as Json;

use super::size;

/// Bytes that the automaton of a pattern may have.
const PATTERN: usize = 1 << 20;
/// Errors that the validator may have to gather, at most: it gathers all, and each has a few hundred bytes.
const MOST_ERRORS: u64 = 250_000;
/// Violations that an answer names, at most.
pub(super) const MOST_VIOLATIONS: usize = 20;
/// Characters of what is said about a field, at most: a schema may list a thousand values.
const LONGEST_DESCRIPTION: usize = 300;

pub(super) struct Compiled {
    validator: Validator,
    /// Rules that can apply to one value of a payload; `None`: who knows.
    rules: Option<u64>,
}

impl Compiled {
    /// Patterns are matched in linear time. Other documents are not fetched: a schema that refers to one is refused.
    pub(super) fn of(schema: &str) -> Result<Self, String> {
        let schema: Json = serde_json::from_str(schema).map_err(|error| format!("it is no JSON: {error}"))?;
        let patterns = PatternOptions::regex().size_limit(PATTERN).dfa_size_limit(PATTERN);
        let validator = jsonschema::options().with_pattern_options(patterns).build(&schema);
        let validator = validator.map_err(|error| shorten(error.to_string()))?;
        Ok(Self { validator, rules: size::rules(&schema) })
    }

    /// `path` names the payload.
    pub(super) fn violations(&self, payload: &Payload, path: &str) -> Violations {
        let mut violations = Violations::default();
        // Only a hand-written row is no JSON; it is its handler's to refuse.
        let Ok(payload) = serde_json::from_str::<Json>(&payload.0) else { return violations };
        if self.validator.is_valid(&payload) {
            return violations;
        }
        if self.rules.is_none_or(|rules| rules.saturating_mul(size::values(&payload)) > MOST_ERRORS) {
            violations.add(path, "does not fit the task type's schema; the two are too large to name the fields");
            return violations;
        }
        for error in self.validator.iter_errors(&payload) {
            name(&error, &payload, path, &mut violations);
            if violations.0.len() >= MOST_VIOLATIONS {
                violations.0.truncate(MOST_VIOLATIONS);
                break;
            }
        }
        violations
    }
}

/// One error of the validator, on the field that it is about.
fn name(error: &ValidationError<'_>, payload: &Json, path: &str, violations: &mut Violations) {
    let field = field(path, error.instance_path(), payload);
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            violations.add(format!("{field}.{property}"), "is required");
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for property in unexpected {
                violations.add(format!("{field}.{property}"), "is not a field that the task type has");
            }
        }
        _ => {
            // Without the value: of a merged payload it may be the job's, and not the caller's.
            let words = error.masked().to_string();
            violations.add(field, shorten(words.strip_prefix("value ").map(str::to_owned).unwrap_or(words)));
        }
    }
}

/// As `job-spec` names the parts of a payload.
fn field(path: &str, location: &Location, payload: &Json) -> String {
    let mut field = path.to_owned();
    let mut value = Some(payload);
    for segment in location {
        let segment = segment.to_string();
        // A key may be a number, too.
        if let Some(Json::Array(items)) = value {
            field.push_str(&format!("[{segment}]"));
            value = segment.parse().ok().and_then(|index: usize| items.get(index));
        } else {
            field.push_str(&format!(".{segment}"));
            value = value.and_then(|value| value.get(&segment));
        }
    }
    field
}

fn shorten(mut text: String) -> String {
    if text.chars().count() > LONGEST_DESCRIPTION {
        text = text.chars().take(LONGEST_DESCRIPTION).collect();
        text.push('…');
    }
    text
}
