//! GET then PUT of the same body changes nothing: a definition survives the way out and back, and what was
//! read from any proto is stable from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use job_spec::Rules;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost_types::value::Kind;
use prost_types::{Duration as ProtoDuration, ListValue, Struct, Timestamp as ProtoTimestamp, Value};
use punctual_proto::v1;
use scheduler_core::calendar::{Calendar, CalendarKey};
use scheduler_core::ids::JobUid;
use scheduler_core::job::{Counts, Definition, Job, JobKey, OnLost, OverlapPolicy, Payload, Retention, Retry, Task};
use scheduler_core::schedule::{self, Date, Dst, Exclusion, Gap, Overlap, Schedule};
use scheduler_core::time::Timestamp;

const CREATED: Timestamp = Timestamp::from_secs(1_700_000_000);

fn stored(key: JobKey, definition: Definition) -> Job {
    Job {
        uid: JobUid::at(CREATED, 1),
        key,
        definition: Arc::new(definition),
        pause: None,
        revision: 1,
        change_seq: 1,
        effective_from: CREATED,
        create_time: CREATED,
        update_time: CREATED,
        delete_time: None,
        counts: Counts::default(),
    }
}

fn out_and_back(key: JobKey, definition: Definition) -> Result<(JobKey, Definition), TestCaseError> {
    let shown = job_spec::job(&stored(key, definition), None, CREATED, &job_spec::any_calendar);
    job_spec::definition(&shown, &Rules::new(CREATED)).map_err(|violations| TestCaseError::fail(violations.to_string()))
}

fn span(from: u64, to: u64) -> impl Strategy<Value = Duration> {
    (from..to).prop_map(Duration::from_micros)
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (-62_000_000_000_000_000_i64..253_000_000_000_000_000).prop_map(Timestamp::from_micros)
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-z./]{1,9}", "[^\0]{0,9}", 0..4)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-9_007_199_254_740_992_i64..=9_007_199_254_740_992).prop_map(Into::into),
        (-1e9..1e9_f64).prop_filter("whole numbers are integers", |n| n.fract() != 0.0).prop_map(Into::into),
        "[^\0]{0,9}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            btree_map("[^\0]{0,5}", inner, 0..4).prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn task() -> impl Strategy<Value = Task> {
    let custom = ("[a-z]{1,9}/[A-Z]{1,9}", btree_map("[^\0]{0,5}", json(), 0..4)).prop_map(|(task_type, payload)| {
        let object = serde_json::Value::Object(payload.into_iter().collect());
        Task { task_type, payload: Payload(object.to_string().into()) }
    });
    let process = Just(Task {
        task_type: "process".to_owned(),
        payload: Payload(r#"{"command":["/bin/true"],"env":{"A":"b"}}"#.into()),
    });
    prop_oneof![custom, process]
}

prop_compose! {
    fn schedule()(
        every in vec(span(100_000, 1_000_000_000_000), 0..3),
        at in vec(instant(), 0..3),
        time_zone in prop_oneof![Just(""), Just("Europe/Paris"), Just("Etc/UTC")],
        start_time in option::of((0_i64..1_000_000_000).prop_map(Timestamp::from_millis)),
        end_time in option::of((2_000_000_000_i64..3_000_000_000).prop_map(Timestamp::from_millis)),
        gap in prop_oneof![Just(Gap::NextValid), Just(Gap::Skip)],
        overlap in prop_oneof![Just(Overlap::First), Just(Overlap::Last), Just(Overlap::Both)],
        jitter in option::of(span(1, 9_000_000_000_000)),
        exclude_calendars in vec("[a-z0-9]{1,9}", 0..3),
        max_fires in option::of(1_u32..=1_000_000),
        after_completion in option::of(span(0, 9_000_000_000_000)),
    ) -> Schedule {
        let alone = every.is_empty() && at.is_empty();
        Schedule {
            after_completion: after_completion.filter(|_| alone),
            jitter, exclude_calendars, max_fires, every, at, time_zone: time_zone.to_owned(), start_time, end_time, dst: Dst { gap, overlap },
            ..Schedule::default()
        }
    }
}

prop_compose! {
    fn retry()(
        max_attempts in 1_u32..=100,
        initial_backoff in span(0, 1_000_000),
        backoff_multiplier in 1.0..1_000.0_f64,
        max_backoff in span(1_000_000, 1_000_000_000),
        non_retryable_codes in vec("[A-Z_0-9]{1,9}", 0..3),
    ) -> Retry {
        Retry { max_attempts, initial_backoff, backoff_multiplier, max_backoff, non_retryable_codes }
    }
}

prop_compose! {
    fn definition()(
        texts in ("[^\0]{0,20}", "[^\0]{0,20}", "[A-Za-z0-9][A-Za-z0-9._/:-]{0,20}"),
        maps in (labels(), labels()),
        schedule in schedule(),
        task in task(),
        counts in (-1_000_i32..=1_000, 1_u32..=10_000, 0_u32..1_000_000, 1_u32..=10_000_000),
        times in (span(0, 9_000_000_000_000), span(1, 9_000_000_000_000), span(0, 86_400_000_000), span(1, 9_000_000_000_000)),
        flags in (any::<bool>(), any::<bool>()),
        overlap_policy in prop_oneof![Just(OverlapPolicy::Skip), Just(OverlapPolicy::Queue), Just(OverlapPolicy::CancelRunning)],
        on_lost in prop_oneof![Just(OnLost::Retry), Just(OnLost::Fail)],
        retry in retry(),
        start_deadline in option::of(span(1, 9_000_000_000_000)),
        pause_after_failures in 0_u32..1_000_000,
    ) -> Definition {
        Definition {
            display_name: texts.0,
            description: texts.1,
            labels: maps.0.into(),
            schedule,
            queue: texts.2,
            agent_selector: maps.1,
            priority: counts.0,
            max_instances: counts.1,
            misfire_grace_time: times.0,
            coalesce: flags.0,
            overlap_policy,
            max_queued: counts.2,
            retry,
            timeout: times.1,
            kill_grace: times.2,
            on_lost,
            start_deadline,
            pause_after_failures,
            retention: Retention { max_runs: counts.3, max_age: times.3 },
            enabled: flags.1,
            ..Definition::new(task)
        }
    }
}

fn any_duration() -> impl Strategy<Value = ProtoDuration> {
    let likely = (0_i64..10_000).prop_map(|seconds| ProtoDuration { seconds, nanos: 0 });
    let wild = (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| ProtoDuration { seconds, nanos });
    prop_oneof![8 => likely, 1 => wild]
}

fn any_instant() -> impl Strategy<Value = ProtoTimestamp> {
    let likely =
        (0_i64..4_000_000_000, 0..1_000_000_000).prop_map(|(seconds, nanos)| ProtoTimestamp { seconds, nanos });
    let wild = (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| ProtoTimestamp { seconds, nanos });
    prop_oneof![8 => likely, 1 => wild]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(None),
        Just(Some(Kind::NullValue(0))),
        any::<bool>().prop_map(|value| Some(Kind::BoolValue(value))),
        any::<f64>().prop_map(|value| Some(Kind::NumberValue(value))),
        (-99..99_i32).prop_map(|value| Some(Kind::NumberValue(value.into()))),
        ".{0,5}".prop_map(|value| Some(Kind::StringValue(value))),
    ]
    .prop_map(|kind| Value { kind });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Kind::ListValue(ListValue { values })),
            btree_map(".{0,3}", inner, 0..3).prop_map(|fields| Kind::StructValue(Struct { fields })),
        ]
        .prop_map(|kind| Value { kind: Some(kind) })
    })
}

prop_compose! {
    fn any_schedule()(
        cron in vec(prop_oneof![Just("0 2 * * *"), Just("CRON_TZ=Asia/Tokyo 5 4 * * *"), Just("61 * * * *")], 0..2),
        every in vec(any_duration(), 0..3),
        at in vec(any_instant(), 0..3),
        time_zone in option::of(prop_oneof![Just("UTC"), Just("Europe/Paris"), Just("")]),
        times in (option::of(any_instant()), option::of(any_instant())),
        jitter in option::of(Just(ProtoDuration::default())),
        dst in option::of((0_i32..4, 0_i32..5)),
    ) -> v1::Schedule {
        v1::Schedule {
            cron: cron.into_iter().map(str::to_owned).collect(),
            every,
            at,
            time_zone: time_zone.map(str::to_owned),
            start_time: times.0,
            end_time: times.1,
            jitter,
            dst: dst.map(|(gap, overlap)| v1::schedule::Dst { gap, overlap }),
            ..v1::Schedule::default()
        }
    }
}

prop_compose! {
    fn any_job()(
        texts in (".{0,5}", ".{0,5}", option::of("[a-z]{0,5}")),
        labels in btree_map("[a-z]{1,3}", ".{0,5}", 0..3),
        schedule in option::of(any_schedule()),
        payload in option::of(btree_map(".{0,3}", any_value(), 0..3)),
        counts in (-2_000_i32..2_000, option::of(-1_i32..20), option::of(-1_i32..20)),
        times in (option::of(any_duration()), option::of(any_duration()), option::of(any_duration())),
        choices in (0_i32..4, 0_i32..4, option::of(any::<bool>()), option::of(any::<bool>())),
        retry in option::of((option::of(-1_i32..200), option::of(any::<f64>()), option::of(any_duration()))),
    ) -> v1::Job {
        v1::Job {
            job_id: "a".to_owned(),
            display_name: texts.0,
            description: texts.1,
            labels,
            schedule,
            task: Some(v1::Task { r#type: "custom".to_owned(), payload: payload.map(|fields| Struct { fields }) }),
            queue: texts.2,
            priority: counts.0,
            max_instances: counts.1,
            max_queued: counts.2,
            misfire_grace_time: times.0,
            timeout: times.1,
            kill_grace: times.2,
            overlap_policy: choices.0,
            on_lost: choices.1,
            coalesce: choices.2,
            enabled: choices.3,
            retry: retry.map(|(max_attempts, backoff_multiplier, initial_backoff)| v1::RetryPolicy {
                max_attempts,
                backoff_multiplier,
                initial_backoff,
                ..v1::RetryPolicy::default()
            }),
            ..v1::Job::default()
        }
    }
}

prop_compose! {
    fn any_calendar()(
        texts in (".{0,5}", ".{0,5}"),
        time_zone in option::of(prop_oneof![Just("UTC"), Just("Europe/Paris"), Just("")]),
        dates in vec(any_date(), 0..4),
        ranges in vec((any_date(), any_date()), 0..4),
    ) -> v1::Calendar {
        let range = |(start_date, end_date)| v1::calendar::DateRange { start_date, end_date };
        v1::Calendar {
            calendar_id: "a".to_owned(),
            display_name: texts.0,
            description: texts.1,
            time_zone: time_zone.map(str::to_owned),
            dates,
            ranges: ranges.into_iter().map(range).collect(),
            ..v1::Calendar::default()
        }
    }
}

/// Often the same, so that some ranges are single days.
fn any_date() -> impl Strategy<Value = String> {
    prop_oneof![
        16 => (1_u32..=12, 1_u32..=3).prop_map(|(month, day)| format!("2026-{month:02}-{day:02}")),
        8 => Just("2026-06-02".to_owned()),
        1 => ".{0,10}",
    ]
}

fn calendar_out_and_back(
    key: CalendarKey,
    definition: scheduler_core::calendar::Definition,
) -> Result<(CalendarKey, scheduler_core::calendar::Definition), TestCaseError> {
    let (create_time, update_time) = (CREATED, CREATED);
    let stored = Calendar { key, definition, revision: 1, change_seq: 1, create_time, update_time };
    job_spec::calendar_definition(&job_spec::calendar(&stored))
        .map_err(|violations| TestCaseError::fail(violations.to_string()))
}

fn key() -> JobKey {
    JobKey { namespace: "default".to_owned(), job_id: "a".to_owned() }
}

proptest! {
    #[test]
    fn a_definition_survives_the_way_out_and_back(definition in definition()) {
        prop_assert_eq!(out_and_back(key(), definition.clone())?, (key(), definition));
    }

    #[test]
    fn what_was_read_from_any_proto_is_stable_from_then_on(job in any_job()) {
        match job_spec::definition(&job, &Rules::new(CREATED)) {
            Ok((key, definition)) => {
                prop_assert_eq!(out_and_back(key.clone(), definition.clone())?, (key, definition));
            }
            Err(violations) => prop_assert!(violations.0.iter().all(|violation| !violation.field.is_empty())),
        }
    }

    #[test]
    fn a_calendar_that_was_read_is_stable_from_then_on(calendar in any_calendar()) {
        match job_spec::calendar_definition(&calendar) {
            Ok((key, definition)) => {
                prop_assert_eq!(calendar_out_and_back(key.clone(), definition.clone())?, (key, definition));
            }
            Err(violations) => prop_assert!(violations.0.iter().all(|violation| !violation.field.is_empty())),
        }
    }
}

#[test]
fn a_job_whose_fires_are_used_up_is_completed_and_has_no_next_fire() {
    let task = Task { task_type: "noop".to_owned(), payload: Payload::default() };
    let schedule = Schedule { every: vec![Duration::from_secs(5)], max_fires: Some(3), ..Schedule::default() };
    let mut job = stored(key(), Definition { schedule, ..Definition::new(task) });
    let shown = |job: &Job| job_spec::job(job, None, CREATED, &job_spec::any_calendar);
    job.counts.fires = 2;
    assert_eq!(shown(&job).state(), v1::job::State::Active);
    assert!(shown(&job).next_fire_time.is_some());
    job.counts.fires = 3;
    assert_eq!((shown(&job).state(), shown(&job).next_fire_time), (v1::job::State::Completed, None));
}

#[test]
fn a_jobs_next_fire_is_one_that_its_calendars_leave() {
    let task = Task { task_type: "noop".to_owned(), payload: Payload::default() };
    let at = [1_700_000_010, 1_700_100_000].map(Timestamp::from_secs).to_vec();
    let schedule = Schedule { at, exclude_calendars: vec!["freeze".to_owned()], ..Schedule::default() };
    let job = stored(key(), Definition { schedule, ..Definition::new(task) });
    let day = "2023-11-14".parse::<Date>().unwrap();
    let dates = schedule::Calendar { name: "freeze".to_owned(), time_zone: String::new(), dates: vec![day.into()] };
    let freeze = Arc::new(Exclusion::new(&dates).unwrap());
    let next = |find: job_spec::Find<'_>| job_spec::job(&job, None, CREATED, find).next_fire_time;
    assert_eq!(next(&job_spec::any_calendar).map(|time| time.seconds), Some(1_700_000_010));
    let find = |name: &str| (name == "freeze").then(|| Arc::clone(&freeze));
    assert_eq!(next(&find).map(|time| time.seconds), Some(1_700_100_000));
}

#[test]
fn a_zone_in_a_cron_expression_does_not_come_back_beside_utc() {
    let job = v1::Job {
        job_id: "a".to_owned(),
        task: Some(v1::Task { r#type: "noop".to_owned(), payload: None }),
        ..v1::Job::default()
    };
    let mut definition = job_spec::definition(&job, &Rules::new(CREATED)).expect("it is valid").1;
    let shown = |definition: &Definition| {
        job_spec::job(&stored(key(), definition.clone()), None, CREATED, &job_spec::any_calendar).schedule
    };
    assert_eq!(shown(&definition).and_then(|schedule| schedule.time_zone).as_deref(), Some("UTC"));
    definition.schedule.cron = vec!["CRON_TZ=Asia/Tokyo 0 2 * * *".to_owned()];
    assert_eq!(shown(&definition).and_then(|schedule| schedule.time_zone), None);
}
