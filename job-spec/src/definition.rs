//! A job of `punctual.v1` to the core's definition, with every default of the contract filled in.

use std::time::Duration;

use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::job::{Definition, JobKey, Payload, Retention, Retry, Task};
use scheduler_core::schedule::{SHORTEST_EVERY, Schedule};
use scheduler_core::time::Timestamp;

use crate::check::{Check, LONGEST, LONGEST_DESCRIPTION, LONGEST_DISPLAY_NAME};
use crate::{enums, ids, payload, schedule};

const LONGEST_ERROR_CODE: usize = 128;
const MOST_ERROR_CODES: usize = 100;
const PRIORITIES: std::ops::RangeInclusive<i32> = -1_000..=1_000;
const LARGEST_MULTIPLIER: f64 = 1_000.0;
const LONGEST_KILL_GRACE: Duration = Duration::from_secs(86_400);
const SHORTEST: Duration = Duration::from_micros(1);

/// What a definition is judged by, beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// When the job was created; for a new one, now.
    pub create_time: Timestamp,
    /// The server's shortest period.
    pub min_every: Duration,
}

impl Rules {
    pub fn new(create_time: Timestamp) -> Self {
        Self { create_time, min_every: SHORTEST_EVERY }
    }
}

/// The job's name and definition, or everything that is wrong with it. Paths start at the job:
/// `schedule.every[0]`. Output-only fields are not looked at, and whether there are calendars of the names that
/// the schedule excludes is the engine's to say.
pub fn definition(job: &v1::Job, rules: &Rules) -> Result<(JobKey, Definition), Violations> {
    let mut check = Check::default();
    let key = ids::key_of(job, &mut check.violations);
    let defaults = Definition::new(task(job.task.as_ref(), &mut check));
    let schedule = job.schedule.as_ref().map_or_else(Schedule::default, |proto| schedule::read(proto, &mut check));
    schedule::check_compiles(&schedule, Some(&key.to_string()), rules, &schedule::any_calendar, &mut check);

    let definition = Definition {
        display_name: check.text("display_name", &job.display_name, LONGEST_DISPLAY_NAME),
        description: check.text("description", &job.description, LONGEST_DESCRIPTION),
        labels: check.labels("labels", &job.labels).into(),
        schedule,
        queue: queue(job.queue.as_deref(), defaults.queue, &mut check),
        agent_selector: check.labels("agent_selector", &job.agent_selector),
        priority: priority(job.priority, &mut check),
        max_instances: check.count("max_instances", job.max_instances, defaults.max_instances, 1..=10_000),
        misfire_grace_time: check.duration(
            "misfire_grace_time",
            job.misfire_grace_time,
            defaults.misfire_grace_time,
            Duration::ZERO..=LONGEST,
        ),
        coalesce: job.coalesce.unwrap_or(defaults.coalesce),
        overlap_policy: check.choice(
            "overlap_policy",
            job.overlap_policy,
            enums::overlap_policy,
            defaults.overlap_policy,
        ),
        max_queued: check.count("max_queued", job.max_queued, defaults.max_queued, 0..=1_000_000),
        retry: job.retry.as_ref().map_or(defaults.retry, |proto| retry(proto, &mut check)),
        timeout: check.duration("timeout", job.timeout, defaults.timeout, SHORTEST..=LONGEST),
        kill_grace: check.duration(
            "kill_grace",
            job.kill_grace,
            defaults.kill_grace,
            Duration::ZERO..=LONGEST_KILL_GRACE,
        ),
        start_deadline: job
            .start_deadline
            .map(|proto| check.duration("start_deadline", Some(proto), SHORTEST, SHORTEST..=LONGEST)),
        on_lost: check.choice("on_lost", job.on_lost, enums::on_lost, defaults.on_lost),
        pause_after_failures: check.count(
            "pause_after_failures",
            Some(job.pause_after_failures),
            defaults.pause_after_failures,
            0..=1_000_000,
        ),
        delete_after_completion: job.delete_after_completion,
        retention: job.retention.as_ref().map_or(defaults.retention, |proto| retention(proto, &mut check)),
        enabled: job.enabled.unwrap_or(defaults.enabled),
        task: defaults.task,
    };
    check.violations.or((key, definition))
}

fn task(proto: Option<&v1::Task>, check: &mut Check) -> Task {
    let Some(proto) = proto else {
        check.refuse("task", "is required");
        return Task { task_type: String::new(), payload: Payload::default() };
    };
    if proto.r#type.is_empty() {
        check.refuse("task.type", "is required");
    } else if let Err(description) = ids::name(&proto.r#type) {
        check.refuse("task.type", description);
    }
    let mut violations = Violations::default();
    let payload = payload::payload(&proto.r#type, proto.payload.as_ref(), "task.payload", &mut violations);
    check.violations.0.append(&mut violations.0);
    Task { task_type: proto.r#type.clone(), payload }
}

fn queue(value: Option<&str>, default: String, check: &mut Check) -> String {
    let Some(value) = value else { return default };
    if let Err(description) = ids::name(value) {
        check.refuse("queue", description);
    }
    value.to_owned()
}

fn priority(value: i32, check: &mut Check) -> i32 {
    if !PRIORITIES.contains(&value) {
        check.refuse("priority", format!("{value} is not between {} and {}", PRIORITIES.start(), PRIORITIES.end()));
    }
    value
}

fn retry(proto: &v1::RetryPolicy, check: &mut Check) -> Retry {
    let defaults = Retry::default();
    let initial_backoff = check.duration(
        "retry.initial_backoff",
        proto.initial_backoff,
        defaults.initial_backoff,
        Duration::ZERO..=LONGEST,
    );
    let max_backoff =
        check.duration("retry.max_backoff", proto.max_backoff, defaults.max_backoff, Duration::ZERO..=LONGEST);
    if max_backoff < initial_backoff {
        check.refuse("retry.max_backoff", "is below initial_backoff");
    }
    let backoff_multiplier = proto.backoff_multiplier.unwrap_or(defaults.backoff_multiplier);
    if !(1.0..=LARGEST_MULTIPLIER).contains(&backoff_multiplier) {
        check.refuse("retry.backoff_multiplier", format!("is not between 1 and {LARGEST_MULTIPLIER}"));
    }
    Retry {
        max_attempts: check.count("retry.max_attempts", proto.max_attempts, defaults.max_attempts, 1..=100),
        initial_backoff,
        backoff_multiplier,
        max_backoff,
        non_retryable_codes: codes(&proto.non_retryable_codes, check),
    }
}

fn codes(codes: &[String], check: &mut Check) -> Vec<String> {
    const FIELD: &str = "retry.non_retryable_codes";
    if codes.len() > MOST_ERROR_CODES {
        check.refuse(FIELD, format!("{} codes are above {MOST_ERROR_CODES}, the most", codes.len()));
    }
    let mut checked = Vec::with_capacity(codes.len());
    for (i, code) in codes.iter().enumerate() {
        let field = format!("{FIELD}[{i}]");
        if code.is_empty() {
            check.refuse(&field, "must not be empty");
        }
        checked.push(check.text(field, code, LONGEST_ERROR_CODE));
    }
    checked
}

fn retention(proto: &v1::Retention, check: &mut Check) -> Retention {
    let defaults = Retention::default();
    Retention {
        max_runs: check.count("retention.max_runs", proto.max_runs, defaults.max_runs, 1..=10_000_000),
        max_age: check.duration("retention.max_age", proto.max_age, defaults.max_age, SHORTEST..=LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};

    use super::*;

    fn seconds(seconds: i64) -> Option<ProtoDuration> {
        Some(ProtoDuration { seconds, nanos: 0 })
    }

    fn job(change: impl FnOnce(&mut v1::Job)) -> v1::Job {
        let mut job = v1::Job {
            job_id: "nightly".to_owned(),
            task: Some(v1::Task { r#type: "noop".to_owned(), payload: None }),
            ..v1::Job::default()
        };
        change(&mut job);
        job
    }

    fn read(job: &v1::Job) -> Result<(JobKey, Definition), Violations> {
        definition(job, &Rules::new(Timestamp::from_secs(1_700_000_000)))
    }

    /// The fields that are refused.
    fn refused(change: impl FnOnce(&mut v1::Job)) -> Vec<String> {
        match read(&job(change)) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.0.into_iter().map(|violation| violation.field).collect(),
        }
    }

    #[test]
    fn a_job_that_says_little_gets_every_default_of_the_contract() {
        let (key, definition) = read(&job(|_| ())).unwrap();
        assert_eq!(key.to_string(), "default/nightly");
        let task = Task { task_type: "noop".to_owned(), payload: Payload::default() };
        assert_eq!(definition, Definition::new(task));
    }

    #[test]
    fn an_empty_retry_policy_and_retention_are_their_defaults() {
        let (_, definition) = read(&job(|job| {
            job.retry = Some(v1::RetryPolicy::default());
            job.retention = Some(v1::Retention::default());
            job.schedule = Some(v1::Schedule::default());
        }))
        .unwrap();
        assert_eq!(definition, Definition::new(definition.task.clone()));
    }

    #[test]
    fn one_answer_names_everything_that_is_wrong() {
        let fields = refused(|job| {
            job.job_id = "Nightly".to_owned();
            job.task = None;
            job.max_instances = Some(0);
            job.schedule = Some(v1::Schedule { every: vec![ProtoDuration::default()], ..Default::default() });
        });
        assert_eq!(fields, ["job_id", "task", "schedule.every[0]", "max_instances"]);
    }

    #[test]
    fn an_explicit_zero_is_judged_and_not_replaced_by_the_default() {
        assert_eq!(refused(|job| job.max_instances = Some(0)), ["max_instances"]);
        assert_eq!(refused(|job| job.timeout = seconds(0)), ["timeout"]);
        assert_eq!(refused(|job| job.queue = Some(String::new())), ["queue"]);
        let (_, zeros) = read(&job(|job| {
            job.misfire_grace_time = seconds(0);
            job.max_queued = Some(0);
            job.kill_grace = seconds(0);
            job.coalesce = Some(false);
            job.enabled = Some(false);
        }))
        .unwrap();
        assert_eq!((zeros.misfire_grace_time, zeros.kill_grace, zeros.max_queued), Default::default());
        assert!(!zeros.coalesce && !zeros.enabled);
    }

    #[test]
    fn every_bound_is_kept() {
        let retry =
            |change: fn(&mut v1::RetryPolicy)| refused(|job| change(job.retry.insert(v1::RetryPolicy::default())));
        assert_eq!(refused(|job| job.namespace = "-".to_owned()), ["namespace"]);
        assert_eq!(refused(|job| job.display_name = "n".repeat(257)), ["display_name"]);
        assert_eq!(refused(|job| job.description = "d".repeat(8_193)), ["description"]);
        assert_eq!(refused(|job| job.labels = [(String::new(), String::new())].into()), ["labels."]);
        assert_eq!(refused(|job| job.agent_selector = [("a=".into(), String::new())].into()), ["agent_selector.a="]);
        assert_eq!(refused(|job| job.queue = Some("a b".to_owned())), ["queue"]);
        assert_eq!(refused(|job| job.priority = 1_001), ["priority"]);
        assert_eq!(refused(|job| job.priority = -1_001), ["priority"]);
        assert_eq!(refused(|job| job.max_instances = Some(10_001)), ["max_instances"]);
        assert_eq!(refused(|job| job.max_queued = Some(-1)), ["max_queued"]);
        assert_eq!(refused(|job| job.misfire_grace_time = seconds(-1)), ["misfire_grace_time"]);
        assert_eq!(refused(|job| job.timeout = seconds(1_000_000_000)), ["timeout"]);
        assert_eq!(refused(|job| job.kill_grace = seconds(86_401)), ["kill_grace"]);
        assert_eq!(refused(|job| job.overlap_policy = 9), ["overlap_policy"]);
        assert_eq!(refused(|job| job.on_lost = -1), ["on_lost"]);
        assert_eq!(refused(|job| job.pause_after_failures = -1), ["pause_after_failures"]);
        assert_eq!(
            refused(|job| job.retention = Some(v1::Retention { max_runs: Some(0), max_age: seconds(0) })),
            ["retention.max_runs", "retention.max_age"]
        );
        assert_eq!(retry(|retry| retry.max_attempts = Some(101)), ["retry.max_attempts"]);
        assert_eq!(retry(|retry| retry.max_attempts = Some(0)), ["retry.max_attempts"]);
        assert_eq!(retry(|retry| retry.backoff_multiplier = Some(0.5)), ["retry.backoff_multiplier"]);
        assert_eq!(retry(|retry| retry.backoff_multiplier = Some(f64::NAN)), ["retry.backoff_multiplier"]);
        assert_eq!(retry(|retry| retry.initial_backoff = seconds(61)), ["retry.max_backoff"]);
        assert_eq!(
            retry(|retry| retry.non_retryable_codes = vec!["EXIT_1".into(), String::new()]),
            ["retry.non_retryable_codes[1]"]
        );
    }

    #[test]
    fn a_task_without_a_type_or_with_a_bad_payload_is_refused() {
        assert_eq!(refused(|job| job.task = Some(v1::Task::default())), ["task.type"]);
        assert_eq!(
            refused(|job| job.task = Some(v1::Task { r#type: "process".to_owned(), payload: None })),
            ["task.payload.command"]
        );
    }

    #[test]
    fn a_bad_entry_of_a_schedule_is_named_by_its_place() {
        let schedule = v1::Schedule {
            every: vec![
                ProtoDuration { seconds: -1, nanos: 0 },
                ProtoDuration { seconds: 5, nanos: 0 },
                ProtoDuration { seconds: 0, nanos: 1_000 },
            ],
            at: vec![ProtoTimestamp { seconds: 0, nanos: -1 }],
            time_zone: Some(String::new()),
            dst: Some(v1::schedule::Dst { gap: 7, overlap: 0 }),
            max_fires: Some(-1),
            ..Default::default()
        };
        let mut fields = refused(|job| job.schedule = Some(schedule));
        fields.sort();
        let expected = [
            "schedule.at[0]",
            "schedule.dst.gap",
            "schedule.every[0]",
            "schedule.every[2]",
            "schedule.max_fires",
            "schedule.time_zone",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn every_policy_of_the_engine_is_taken() {
        let (_, definition) = read(&job(|job| {
            job.overlap_policy = v1::job::OverlapPolicy::CancelRunning.into();
            job.start_deadline = seconds(5);
            job.pause_after_failures = 3;
            job.schedule = Some(v1::Schedule {
                every: vec![ProtoDuration { seconds: 5, nanos: 0 }],
                jitter: seconds(2),
                max_fires: Some(7),
                ..Default::default()
            });
        }))
        .unwrap();
        assert_eq!(definition.overlap_policy, scheduler_core::job::OverlapPolicy::CancelRunning);
        assert_eq!((definition.start_deadline, definition.pause_after_failures), (Some(Duration::from_secs(5)), 3));
        let schedule = &definition.schedule;
        assert_eq!((schedule.jitter, schedule.max_fires), (Some(Duration::from_secs(2)), Some(7)));
    }

    #[test]
    fn a_calendar_need_not_be_known_but_must_have_a_possible_name() {
        let excluding = |names: [&str; 2]| v1::Schedule {
            every: vec![ProtoDuration { seconds: 5, nanos: 0 }],
            exclude_calendars: names.map(str::to_owned).to_vec(),
            ..Default::default()
        };
        let (_, definition) = read(&job(|job| job.schedule = Some(excluding(["holidays", "freeze"])))).unwrap();
        assert_eq!(definition.schedule.exclude_calendars, ["holidays", "freeze"]);
        assert_eq!(
            refused(|job| job.schedule = Some(excluding(["holidays", "No Way"]))),
            ["schedule.exclude_calendars[1]"]
        );
    }
}
