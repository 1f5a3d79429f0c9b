//! What a definition can say and the engine does not do yet. It is refused rather than ignored; each line
//! goes with the feature.

use scheduler_core::Violations;
use scheduler_core::job::Definition;

pub(crate) fn in_definition(definition: &Definition, violations: &mut Violations) {
    if definition.delete_after_completion {
        violations.add("delete_after_completion", "is not available yet: leave it out");
    }
}
