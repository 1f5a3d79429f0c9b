//! What a definition can say and the engine does not do yet. It is refused rather than ignored; each line
//! goes with the feature.

use scheduler_core::Violations;
use scheduler_core::job::{Definition, OverlapPolicy};
use scheduler_core::schedule::Schedule;

pub(crate) fn in_definition(definition: &Definition, violations: &mut Violations) {
    in_schedule(&definition.schedule, violations);
    refuse(violations, "overlap_policy", definition.overlap_policy == OverlapPolicy::CancelRunning);
    refuse(violations, "start_deadline", definition.start_deadline.is_some());
    refuse(violations, "pause_after_failures", definition.pause_after_failures > 0);
    refuse(violations, "delete_after_completion", definition.delete_after_completion);
}

pub(crate) fn in_schedule(schedule: &Schedule, violations: &mut Violations) {
    refuse(violations, "schedule.after_completion", schedule.after_completion.is_some());
    refuse(violations, "schedule.jitter", schedule.jitter.is_some());
    refuse(violations, "schedule.exclude_calendars", !schedule.exclude_calendars.is_empty());
    refuse(violations, "schedule.max_fires", schedule.max_fires.is_some());
}

fn refuse(violations: &mut Violations, field: &str, set: bool) {
    if set {
        violations.add(field, "is not available yet: leave it out");
    }
}
