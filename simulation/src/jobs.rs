//! The jobs that clients make up.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::calendar::{self, CalendarKey};
use scheduler_core::job::{Definition, JobKey, OnLost, OverlapPolicy, Payload, Retention, Retry, Task};
use scheduler_core::schedule::{self, Date, DateRange, Schedule};
use scheduler_core::time::Timestamp;

use crate::profile::Schedules;
use crate::random::Random;

/// What a run of the simulation lives to see the end of.
const SHORT_RETENTION: Retention = Retention { max_runs: 3, max_age: Duration::from_secs(30) };

pub fn key(job: usize) -> JobKey {
    JobKey { namespace: "default".to_owned(), job_id: format!("j{job}") }
}

/// A job of this task type with every default, and nothing that fires.
pub fn manual(task_type: &str) -> Definition {
    Definition::new(Task { task_type: task_type.to_owned(), payload: Payload::default() })
}

pub fn every(task_type: &str, period: Duration) -> Definition {
    Definition { schedule: Schedule { every: vec![period], ..Schedule::default() }, ..manual(task_type) }
}

pub(crate) fn calendar_key() -> CalendarKey {
    CalendarKey { namespace: "default".to_owned(), calendar_id: "c".to_owned() }
}

/// A calendar of one day: that of the simulation, or another.
pub(crate) fn calendar(day: &str) -> calendar::Definition {
    let date: Date = day.parse().expect("because it is a date");
    let dates = schedule::Calendar {
        name: calendar_key().calendar_id,
        time_zone: String::new(),
        dates: vec![DateRange { first: date, last: date }],
    };
    calendar::Definition { display_name: String::new(), description: String::new(), dates }
}

/// Something that users might define; `edit` makes each different.
pub(crate) fn any(random: &mut Random, now: Timestamp, edit: u64, likes: Schedules) -> Definition {
    let task = Task {
        task_type: random.pick(&["process", "noop"]).to_owned(),
        payload: Payload(format!("{{\"edit\":{edit}}}").into()),
    };
    let selector =
        if random.chance(0.1) { BTreeMap::from([("zone".to_owned(), "a".to_owned())]) } else { BTreeMap::new() };
    Definition {
        description: format!("edit {edit}"),
        schedule: schedule(random, now, likes),
        agent_selector: selector,
        priority: random.pick(&[0, 0, 0, 5, -3]),
        max_instances: random.pick(&[1, 1, 1, 2, 3]),
        misfire_grace_time: random.pick(&[0, 1, 3, 10, 60]) * Duration::from_secs(1),
        coalesce: random.chance(0.5),
        overlap_policy: random.pick(&[OverlapPolicy::Skip, OverlapPolicy::Queue, OverlapPolicy::CancelRunning]),
        max_queued: random.pick(&[0, 1, 5]),
        retry: Retry {
            max_attempts: random.pick(&[1, 1, 2, 3, 5]),
            initial_backoff: random.millis(1, 2_000),
            max_backoff: Duration::from_secs(5),
            non_retryable_codes: vec!["EXIT_2".to_owned()],
            ..Retry::default()
        },
        timeout: random.pick(&[500, 3_000, 20_000, 3_600_000]) * Duration::from_millis(1),
        kill_grace: random.pick(&[0, 100, 2_000, 10_000]) * Duration::from_millis(1),
        start_deadline: random.chance(0.1).then(|| random.millis(500, 5_000)),
        on_lost: random.pick(&[OnLost::Retry, OnLost::Retry, OnLost::Fail]),
        pause_after_failures: random.pick(&[0, 0, 0, 2]),
        delete_after_completion: random.chance(0.15),
        retention: if random.chance(0.4) { SHORT_RETENTION } else { Retention::default() },
        ..Definition::new(task)
    }
}

fn schedule(random: &mut Random, now: Timestamp, likes: Schedules) -> Schedule {
    let kind = match likes {
        Schedules::Mixed => random.below(10),
        Schedules::Dense => random.below(5),
        Schedules::Sparse => 5 + random.below(5),
    };
    let mut schedule = Schedule::default();
    match kind {
        0..=4 => {
            let fastest = if likes == Schedules::Dense { 200 } else { 700 };
            schedule.every = vec![random.millis(fastest, 5_000)];
        }
        5 => schedule.cron = vec![random.pick(&["*/2 * * * * *", "*/5 * * * * *", "0,3,4 * * * * *"]).to_owned()],
        6 => {
            let at = |random: &mut Random| {
                now.saturating_add(random.millis(0, 12_000)).saturating_sub(Duration::from_millis(500))
            };
            schedule.at = vec![at(random), at(random), at(random)];
            if random.chance(0.5) {
                schedule.every = vec![random.millis(3_000, 9_000)];
            }
        }
        7 => schedule.after_completion = Some(random.millis(10, 3_000)),
        8 => return schedule,
        _ => schedule.every = vec![random.millis(3_000, 9_000), random.millis(3_000, 9_000)],
    }
    if kind != 7 && random.chance(0.15) {
        schedule.jitter = Some(random.millis(100, 8_000));
    }
    if kind != 7 && random.chance(0.15) {
        schedule.exclude_calendars = vec![calendar_key().calendar_id];
    }
    if random.chance(0.1) {
        schedule.max_fires = Some(u32::try_from(random.between(3, 40)).unwrap_or(3));
    }
    schedule
}
