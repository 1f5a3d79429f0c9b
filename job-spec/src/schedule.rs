//! Schedules of `punctual.v1` to the core's and back.

use std::sync::Arc;
use std::time::Duration;

use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::job::Job;
use scheduler_core::schedule::{Calendar, Compiled, Context, Dst, Exclusion, Schedule};

use crate::check::Check;
use crate::definition::Rules;
use crate::text::clean;
use crate::{enums, time};

/// What the proto calls the zone that the core leaves empty.
pub(crate) const UTC: &str = "UTC";
/// Stands in for a duration that was refused, so that the others keep their places.
const REFUSED: Duration = Duration::from_secs(86_400);

/// Finds a calendar of the schedule's namespace by its id.
pub type Find<'a> = &'a dyn Fn(&str) -> Option<Arc<Exclusion>>;

/// As [`schedule_with`], where there are no calendars to look into.
pub fn schedule(
    proto: &v1::Schedule,
    hash_key: Option<&str>,
    rules: &Rules,
) -> Result<(Schedule, Compiled), Violations> {
    schedule_with(proto, hash_key, rules, &|_| None)
}

/// A schedule that need not belong to a job. `hash_key` is `namespace/job_id`, for `H`. The violations' paths
/// start at the job's root: `schedule.every[0]`. Calendars that `find` does not know are among them.
pub fn schedule_with(
    proto: &v1::Schedule,
    hash_key: Option<&str>,
    rules: &Rules,
    find: Find<'_>,
) -> Result<(Schedule, Compiled), Violations> {
    let mut check = Check::default();
    let schedule = read(proto, &mut check);
    match (check_compiles(&schedule, hash_key, rules, find, &mut check), check.violations.0.is_empty()) {
        (Some(compiled), true) => Ok((schedule, compiled)),
        _ => Err(check.violations),
    }
}

/// A stored job's schedule; `None` when this version cannot evaluate it, or `find` lacks one of its calendars.
pub fn compile(job: &Job, find: Find<'_>) -> Option<Compiled> {
    let hash_key = job.key.to_string();
    let context = Context {
        hash_key: Some(&hash_key),
        create_time: job.create_time,
        // What was the shortest period then does not matter to a job that exists.
        min_every: Duration::ZERO,
        calendars: find,
    };
    Compiled::new(&job.definition.schedule, &context).ok()
}

/// Where nobody knows which calendars there are, every one is there and has no dates.
pub fn any_calendar(_: &str) -> Option<Arc<Exclusion>> {
    Exclusion::new(&Calendar::default()).ok().map(Arc::new)
}

pub(crate) fn check_compiles(
    schedule: &Schedule,
    hash_key: Option<&str>,
    rules: &Rules,
    find: Find<'_>,
    check: &mut Check,
) -> Option<Compiled> {
    let context = Context { hash_key, create_time: rules.create_time, min_every: rules.min_every, calendars: find };
    if schedule.after_completion.is_some_and(|delay| delay < rules.min_every) {
        let shortest = rules.min_every.as_millis();
        check.refuse("schedule.after_completion", format!("is below {shortest}ms, the shortest delay here"));
    }
    match Compiled::new(schedule, &context) {
        Ok(compiled) => Some(compiled),
        Err(mut violations) => {
            check.violations.0.append(&mut violations.0);
            None
        }
    }
}

pub(crate) fn read(proto: &v1::Schedule, check: &mut Check) -> Schedule {
    let mut every = Vec::with_capacity(proto.every.len());
    for (i, period) in proto.every.iter().enumerate() {
        every.push(time::duration(period).unwrap_or_else(|description| {
            check.refuse(format!("schedule.every[{i}]"), description);
            REFUSED
        }));
    }
    let mut at = Vec::with_capacity(proto.at.len());
    for (i, instant) in proto.at.iter().enumerate() {
        at.extend(check.instant(&format!("schedule.at[{i}]"), Some(*instant)));
    }
    let cron: Vec<String> = proto.cron.iter().map(|text| clean(text).into_owned()).collect();
    Schedule {
        after_completion: delay("schedule.after_completion", proto.after_completion, check),
        time_zone: time_zone(proto, check),
        start_time: check.instant("schedule.start_time", proto.start_time),
        end_time: check.instant("schedule.end_time", proto.end_time),
        jitter: delay("schedule.jitter", proto.jitter, check).filter(|jitter| !jitter.is_zero()),
        dst: dst(proto.dst.as_ref(), check),
        exclude_calendars: calendars(&proto.exclude_calendars, check),
        max_fires: max_fires(proto.max_fires, check),
        cron,
        every,
        at,
    }
}

fn delay(field: &str, value: Option<prost_types::Duration>, check: &mut Check) -> Option<Duration> {
    match time::duration(&value?) {
        Ok(value) => Some(value),
        Err(description) => {
            check.refuse(field, description);
            None
        }
    }
}

/// Empty for UTC, unless a cron expression names a zone of its own: then it matters whether one stands
/// beside it.
fn time_zone(proto: &v1::Schedule, check: &mut Check) -> String {
    match proto.time_zone.as_deref() {
        None => String::new(),
        Some("") => {
            check.refuse("schedule.time_zone", "must not be empty: leave it out for UTC");
            String::new()
        }
        Some(UTC) if !names_zones(&proto.cron) => String::new(),
        Some(zone) => clean(zone).into_owned(),
    }
}

fn names_zones(cron: &[String]) -> bool {
    cron.iter().any(|expression| {
        let expression = expression.trim_start();
        expression.starts_with("CRON_TZ=") || expression.starts_with("TZ=")
    })
}

fn dst(proto: Option<&v1::schedule::Dst>, check: &mut Check) -> Dst {
    let Some(proto) = proto else { return Dst::default() };
    let default = Dst::default();
    Dst {
        gap: check.choice("schedule.dst.gap", proto.gap, enums::gap, default.gap),
        overlap: check.choice("schedule.dst.overlap", proto.overlap, enums::overlap, default.overlap),
    }
}

fn calendars(names: &[String], check: &mut Check) -> Vec<String> {
    for (i, name) in names.iter().enumerate() {
        if let Err(description) = crate::ids::id(name) {
            check.refuse(format!("schedule.exclude_calendars[{i}]"), description);
        }
    }
    names.to_vec()
}

/// Its range is checked with the rest of the schedule.
fn max_fires(value: Option<i32>, check: &mut Check) -> Option<u32> {
    let value = value?;
    u32::try_from(value).map_err(|_| check.refuse("schedule.max_fires", format!("{value} is negative"))).ok()
}

pub(crate) fn proto(schedule: &Schedule) -> v1::Schedule {
    let time_zone = match schedule.time_zone.as_str() {
        "" if names_zones(&schedule.cron) => None,
        "" => Some(UTC.to_owned()),
        zone => Some(zone.to_owned()),
    };
    v1::Schedule {
        cron: schedule.cron.clone(),
        every: schedule.every.iter().copied().map(time::proto_duration).collect(),
        at: schedule.at.iter().copied().map(time::proto_instant).collect(),
        after_completion: schedule.after_completion.map(time::proto_duration),
        time_zone,
        start_time: schedule.start_time.map(time::proto_instant),
        end_time: schedule.end_time.map(time::proto_instant),
        jitter: Some(time::proto_duration(schedule.jitter.unwrap_or_default())),
        dst: Some(v1::schedule::Dst {
            gap: enums::proto_gap(schedule.dst.gap).into(),
            overlap: enums::proto_overlap(schedule.dst.overlap).into(),
        }),
        exclude_calendars: schedule.exclude_calendars.clone(),
        max_fires: schedule.max_fires.map(|fires| i32::try_from(fires).unwrap_or(i32::MAX)),
    }
}
