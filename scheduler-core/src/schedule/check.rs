//! What must hold of a schedule as a whole, beside the grammar of its cron expressions.

use std::sync::Arc;
use std::time::Duration;

use super::calendar::Exclusion;
use super::{Context, SHORTEST_EVERY, Schedule};
use crate::Violations;

/// The most entries that one list of a schedule may have: every one is asked at every step.
const MOST_ENTRIES: usize = 100;
const MOST_INSTANTS: usize = 10_000;
/// A period or delay above this is a slip of the unit.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The counter of fires is for small numbers (PROTOCOL.md, rule 10).
const MOST_FIRES: u32 = 1_000_000;

pub(super) fn bounds(schedule: &Schedule, context: &Context<'_>, violations: &mut Violations) {
    let lists = [
        ("cron", schedule.cron.len(), MOST_ENTRIES),
        ("every", schedule.every.len(), MOST_ENTRIES),
        ("at", schedule.at.len(), MOST_INSTANTS),
        ("exclude_calendars", schedule.exclude_calendars.len(), MOST_ENTRIES),
    ];
    for (list, length, most) in lists {
        if length > most {
            violations.add(format!("schedule.{list}"), format!("{length} entries are above {most}, the most"));
        }
    }
    for (i, &period) in schedule.every.iter().enumerate() {
        if let Err(description) = self::period(period, context) {
            violations.add(format!("schedule.every[{i}]"), description);
        }
    }
    if let (Some(start), Some(end)) = (schedule.start_time, schedule.end_time)
        && start > end
    {
        violations.add("schedule.end_time", format!("{end} is before the start, {start}"));
    }
    if schedule.after_completion.is_some()
        && !(schedule.cron.is_empty() && schedule.every.is_empty() && schedule.at.is_empty())
    {
        violations.add("schedule.after_completion", "stands alone: leave out cron, every and at, or leave out this");
    }
    for (field, duration) in [("after_completion", schedule.after_completion), ("jitter", schedule.jitter)] {
        if let Some(duration) = duration
            && duration > LONGEST
        {
            violations.add(format!("schedule.{field}"), format!("{duration:?} is above {LONGEST:?}, the most"));
        }
    }
    if let Some(fires) = schedule.max_fires
        && !(1..=MOST_FIRES).contains(&fires)
    {
        violations.add("schedule.max_fires", format!("{fires} is not between 1 and {MOST_FIRES}"));
    }
}

/// Whether a period may be one; the error says what may.
pub(super) fn period(period: Duration, context: &Context<'_>) -> Result<(), String> {
    let shortest = context.min_every.max(SHORTEST_EVERY);
    if period < shortest {
        Err(format!("{period:?} is below {shortest:?}, the shortest period"))
    } else if period > LONGEST {
        Err(format!("{period:?} is above {LONGEST:?}, the longest period"))
    } else if !period.subsec_nanos().is_multiple_of(1_000) {
        Err(format!("{period:?} is not a whole number of microseconds"))
    } else {
        Ok(())
    }
}

pub(super) fn calendars(
    schedule: &Schedule,
    context: &Context<'_>,
    violations: &mut Violations,
) -> Box<[Arc<Exclusion>]> {
    let mut found = Vec::with_capacity(schedule.exclude_calendars.len());
    for (i, name) in schedule.exclude_calendars.iter().enumerate() {
        match (context.calendars)(name) {
            Some(calendar) => found.push(calendar),
            None => violations.add(
                format!("schedule.exclude_calendars[{i}]"),
                format!("there is no calendar {name:?} in the namespace"),
            ),
        }
    }
    found.into()
}
