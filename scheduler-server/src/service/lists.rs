//! What filters of lists have in common.

use prost_types::Timestamp as ProtoTimestamp;
use scheduler_core::Violations;
use scheduler_core::time::Timestamp;

/// Values of an enum to filter by; the unspecified one is none.
pub(super) fn states<P, T>(
    field: &str,
    values: &[i32],
    to_core: fn(P) -> Option<T>,
    violations: &mut Violations,
) -> Vec<T>
where
    P: TryFrom<i32>,
{
    let mut found = Vec::with_capacity(values.len());
    for (i, &value) in values.iter().enumerate() {
        match P::try_from(value).ok().and_then(to_core) {
            Some(value) => found.push(value),
            None => violations.add(format!("{field}[{i}]"), format!("{value} is none of its values")),
        }
    }
    found
}

pub(super) fn instant(field: &str, value: Option<&ProtoTimestamp>, violations: &mut Violations) -> Option<Timestamp> {
    match job_spec::time::instant(value?) {
        Ok(value) => Some(value),
        Err(description) => {
            violations.add(field, description);
            None
        }
    }
}
