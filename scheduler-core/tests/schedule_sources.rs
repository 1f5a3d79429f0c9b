//! Periods, one-shots, bounds, calendars and jitter, and how a schedule is stored.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::ids::JobUid;
use scheduler_core::schedule::{Calendar, Compiled, Context, Count, Dst, Exclusion, Gap, Overlap, Schedule, VERSION};
use scheduler_core::time::Timestamp;

fn instant(text: &str) -> Timestamp {
    text.parse::<chrono::DateTime<chrono::Utc>>().expect("because the cases are valid").into()
}

fn compiled(schedule: &Schedule, create_time: &str) -> Compiled {
    Compiled::new(schedule, &Context::preview(instant(create_time))).expect("because the cases are valid")
}

fn fires(compiled: &Compiled, after: &str, count: usize) -> Vec<String> {
    let first = compiled.next(instant(after));
    std::iter::successors(first, |&fire| compiled.next(fire)).take(count).map(|fire| fire.to_string()).collect()
}

fn every(period: Duration) -> Schedule {
    Schedule { every: vec![period], ..Schedule::default() }
}

#[test]
fn a_period_counts_from_the_job_s_creation() {
    let schedule = compiled(&every(Duration::from_millis(1_500)), "2026-01-01T00:00:00.250Z");
    assert_eq!(fires(&schedule, "2026-01-01T00:00:00Z", 2), ["2026-01-01T00:00:01.750Z", "2026-01-01T00:00:03.250Z"]);
    assert_eq!(schedule.prev(instant("2026-01-01T00:00:03.250Z")), Some(instant("2026-01-01T00:00:01.750Z")));
    assert_eq!(schedule.prev(instant("2026-01-01T00:00:01.750Z")), None);
}

#[test]
fn a_period_with_a_start_time_fires_at_it() {
    let start = Some(instant("2026-01-02T00:00:00Z"));
    let schedule = compiled(&Schedule { start_time: start, ..every(Duration::from_secs(90)) }, "2026-01-01T00:00:00Z");
    assert_eq!(fires(&schedule, "2025-01-01T00:00:00Z", 2), ["2026-01-02T00:00:00Z", "2026-01-02T00:01:30Z"]);
    assert_eq!(fires(&schedule, "2026-01-02T00:00:00Z", 1), ["2026-01-02T00:01:30Z"]);
}

#[test]
fn the_union_has_each_instant_once() {
    let union = Schedule {
        cron: vec!["*/10 * * * *".into(), "0 * * * *".into(), "@every 1h".into()],
        at: vec![instant("2026-01-01T00:05:00Z"), instant("2026-01-01T00:10:00Z"), instant("2026-01-01T00:05:00Z")],
        ..every(Duration::from_secs(1_200))
    };
    let schedule = compiled(&union, "2026-01-01T00:00:00Z");
    assert_eq!(
        fires(&schedule, "2026-01-01T00:00:00Z", 4),
        ["2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z", "2026-01-01T00:20:00Z", "2026-01-01T00:30:00Z"]
    );
    let (after, until) = (instant("2026-01-01T00:00:00Z"), instant("2026-01-01T02:00:00Z"));
    assert_eq!(schedule.count(after, until, 100), Count { fires: 13, capped: false });
    assert_eq!(schedule.count(after, until, 5), Count { fires: 5, capped: true });
}

#[test]
fn bounds_hold_for_every_source_and_count_themselves() {
    let bounded = Schedule {
        cron: vec!["0 0 * * *".into()],
        at: vec![instant("2025-12-31T12:00:00Z"), instant("2026-01-02T12:00:00Z"), instant("2026-02-01T00:00:00Z")],
        start_time: Some(instant("2026-01-02T00:00:00Z")),
        end_time: Some(instant("2026-01-03T00:00:00Z")),
        ..Schedule::default()
    };
    let schedule = compiled(&bounded, "2026-01-01T00:00:00Z");
    let all = ["2026-01-02T00:00:00Z", "2026-01-02T12:00:00Z", "2026-01-03T00:00:00Z"];
    assert_eq!(fires(&schedule, "1970-01-01T00:00:00Z", 5), all);
    assert_eq!(schedule.prev(Timestamp::MAX), Some(instant(all[2])));
    assert_eq!(schedule.prev(instant(all[0])), None);
    assert!(!schedule.is_exhausted(instant(all[1])) && schedule.is_exhausted(instant(all[2])));
}

#[test]
fn a_manual_schedule_is_never_exhausted_and_never_fires() {
    let schedule = compiled(&Schedule::default(), "2026-01-01T00:00:00Z");
    assert!(schedule.is_empty() && Schedule::default().is_empty());
    assert!(!schedule.is_exhausted(instant("2026-01-01T00:00:00Z")));
    assert_eq!(schedule.next(Timestamp::MIN), None);
}

#[test]
fn after_completion_is_exhausted_by_its_end_only() {
    let chained = Schedule {
        after_completion: Some(Duration::from_secs(5)),
        end_time: Some(instant("2026-01-03T00:00:00Z")),
        ..Schedule::default()
    };
    let schedule = compiled(&chained, "2026-01-01T00:00:00Z");
    assert_eq!(schedule.after_completion(), Some(Duration::from_secs(5)));
    assert_eq!(schedule.next(Timestamp::MIN), None);
    assert!(!schedule.is_exhausted(instant("2026-01-02T23:59:59Z")));
    assert!(schedule.is_exhausted(instant("2026-01-03T00:00:00Z")));
}

#[test]
fn searches_from_the_ends_of_time_come_back() {
    for cron in ["* * * * *", "0 0 29 2 *", "0 0 0 1 1 * 2020", "TZ=Europe/Paris 30 2 * * *"] {
        let schedule = compiled(&Schedule { cron: vec![cron.into()], ..Schedule::default() }, "2026-01-01T00:00:00Z");
        let first = schedule.next(Timestamp::MIN).unwrap();
        assert!(first >= instant("1970-01-01T00:00:00Z"), "{cron}: {first}");
        assert_eq!(schedule.prev(first), None, "{cron}");
        let last = schedule.prev(Timestamp::MAX).unwrap();
        assert!(last <= instant("9999-12-31T23:59:59Z"), "{cron}: {last}");
        assert_eq!(schedule.next(last), None, "{cron}");
        assert_eq!(schedule.next(Timestamp::MAX), None, "{cron}");
    }
    let schedule = compiled(&every(Duration::from_secs(1)), "2026-01-01T00:00:00Z");
    assert_eq!(schedule.next(Timestamp::MAX), None);
    assert_eq!(schedule.prev(Timestamp::MIN), None);
}

#[test]
fn a_schedule_whose_times_the_clocks_skip_from_some_year_on_ends_before_it() {
    // Until 2006 the clocks of New York changed in April, since 2007 on this Sunday, over this half hour.
    let schedule = Schedule {
        cron: vec!["30 2 8-14 3 +SUN".into()],
        time_zone: "America/New_York".into(),
        dst: Dst { gap: Gap::Skip, ..Dst::default() },
        ..Schedule::default()
    };
    let schedule = compiled(&schedule, "2000-01-01T00:00:00Z");
    let last = instant("2006-03-12T07:30:00Z");
    assert_eq!(schedule.next(instant("2006-01-01T00:00:00Z")), Some(last));
    assert!(schedule.is_exhausted(last));
    assert_eq!(schedule.prev(Timestamp::MAX), Some(last));
}

#[test]
fn years_are_jumped_in_both_directions() {
    let schedule = Schedule { cron: vec!["0 0 0 29 2 * 1972,2196".into()], ..Schedule::default() };
    let schedule = compiled(&schedule, "2026-01-01T00:00:00Z");
    assert_eq!(fires(&schedule, "1972-02-29T00:00:00Z", 2), ["2196-02-29T00:00:00Z"]);
    assert_eq!(schedule.prev(instant("2196-02-29T00:00:00Z")), Some(instant("1972-02-29T00:00:00Z")));
}

#[test]
fn dates_of_a_calendar_have_no_fires() {
    let calendar = |zone: &str, dates: &str| {
        let calendar = Calendar { name: "x".into(), time_zone: zone.into(), dates: vec![dates.parse().unwrap()] };
        Arc::new(Exclusion::new(&calendar).unwrap())
    };
    let christmas = calendar("Asia/Kolkata", "2026-12-24/2026-12-26");
    let boxing_day = calendar("UTC", "2026-12-26/2026-12-27");
    let find = |name: &str| match name {
        "christmas" => Some(christmas.clone()),
        "boxing-day" => Some(boxing_day.clone()),
        _ => None,
    };
    let schedule = Schedule {
        cron: vec!["0 */6 * * *".into()],
        at: vec![instant("2026-12-25T00:00:01Z")],
        exclude_calendars: vec!["christmas".into(), "boxing-day".into()],
        ..Schedule::default()
    };
    let context = Context { calendars: &find, ..Context::preview(instant("2026-01-01T00:00:00Z")) };
    let compiled = Compiled::new(&schedule, &context).unwrap();
    // Kolkata's 24th begins at 18:30 of the 23rd, UTC.
    assert_eq!(fires(&compiled, "2026-12-23T12:00:00Z", 2), ["2026-12-23T18:00:00Z", "2026-12-28T00:00:00Z"]);
    assert_eq!(compiled.prev(instant("2026-12-28T00:00:00Z")), Some(instant("2026-12-23T18:00:00Z")));
    let count = compiled.count(instant("2026-12-23T00:00:00Z"), instant("2026-12-28T00:00:00Z"), 100);
    assert_eq!(count, Count { fires: 4, capped: false });
    assert!(compiled.describe().ends_with(", except on dates of x and x"));
    assert_eq!(compiled.excluded_by(instant("2026-12-25T00:00:01Z")), Some("x"));
    assert_eq!(compiled.excluded_by(instant("2026-12-25T00:00:02Z")), None);
    assert_eq!(compiled.excluded_by(instant("2026-12-23T18:00:00Z")), None);
}

#[test]
fn an_excluded_evening_that_comes_twice_is_excluded_twice() {
    // In St. John's the clocks went from 00:01 of the 7th back to 23:01 of the 6th, at 02:31 UTC.
    let saturday =
        Calendar { name: "x".into(), time_zone: "America/St_Johns".into(), dates: vec!["2010-11-06".parse().unwrap()] };
    let saturday = Arc::new(Exclusion::new(&saturday).unwrap());
    let find = |_: &str| Some(saturday.clone());
    let schedule = Schedule {
        cron: vec!["*/10 * * * *".into()],
        time_zone: "America/St_Johns".into(),
        exclude_calendars: vec!["x".into()],
        ..Schedule::default()
    };
    let context = Context { calendars: &find, ..Context::preview(instant("2010-01-01T00:00:00Z")) };
    let compiled = Compiled::new(&schedule, &context).unwrap();
    let expected = ["2010-11-07T02:30:00Z", "2010-11-07T03:30:00Z", "2010-11-07T03:40:00Z"];
    assert_eq!(fires(&compiled, "2010-11-06T12:00:00Z", 3), expected);
    assert_eq!(compiled.prev(instant(expected[1])), Some(instant(expected[0])));
    assert_eq!(compiled.prev(instant(expected[0])), Some(instant("2010-11-06T02:20:00Z")));
}

#[test]
fn a_schedule_that_a_calendar_excludes_for_good_is_exhausted() {
    let always = Calendar {
        name: "always".into(),
        dates: vec!["1970-01-01/9999-12-31".parse().unwrap()],
        ..Calendar::default()
    };
    let always = Arc::new(Exclusion::new(&always).unwrap());
    let find = |_: &str| Some(always.clone());
    let context = Context { calendars: &find, ..Context::preview(instant("2026-01-01T00:00:00Z")) };
    for cron in ["* * * * * *", "0 0 29 2 *"] {
        let schedule =
            Schedule { cron: vec![cron.into()], exclude_calendars: vec!["always".into()], ..Schedule::default() };
        let compiled = Compiled::new(&schedule, &context).unwrap();
        assert!(compiled.is_exhausted(instant("2026-01-01T00:00:00Z")), "{cron}");
        assert_eq!(compiled.prev(instant("2026-01-01T00:00:00Z")), None, "{cron}");
    }
}

#[test]
fn jitter_is_the_same_for_a_fire_and_spreads_over_jobs() {
    let bound = Duration::from_secs(60);
    let schedule = compiled(&Schedule { jitter: Some(bound), ..every(bound) }, "2026-01-01T00:00:00Z");
    assert_eq!(schedule.jitter_bound(), bound);
    let fire = instant("2026-01-01T00:01:00Z");
    let delays: Vec<_> = (0..1_000_u128).map(|n| schedule.jitter(JobUid::at(fire, n << 20), fire)).collect();
    assert!(delays.iter().all(|&delay| delay <= bound));
    let mean = delays.iter().sum::<Duration>() / 1_000;
    assert!((Duration::from_secs(27)..Duration::from_secs(33)).contains(&mean), "{mean:?}");
    assert_eq!(schedule.jitter(JobUid::at(fire, 7 << 20), fire), delays[7]);
    assert_ne!(schedule.jitter(JobUid::at(fire, 7 << 20), instant("2026-01-01T00:02:00Z")), delays[7]);
    assert_eq!(compiled(&every(bound), "2026-01-01T00:00:00Z").jitter(JobUid::at(fire, 7), fire), Duration::ZERO);
}

#[test]
fn a_schedule_is_stored_compactly_and_comes_back_the_same() {
    let schedule = Schedule {
        cron: vec!["0 2 * * *".into()],
        at: vec![Timestamp::from_micros(5)],
        after_completion: Some(Duration::from_micros(1)),
        time_zone: "Europe/Paris".into(),
        jitter: Some(Duration::from_secs(1)),
        dst: Dst { gap: Gap::Skip, overlap: Overlap::Both },
        max_fires: Some(3),
        ..every(Duration::from_secs(90))
    };
    let stored = concat!(
        r#"{"cron":["0 2 * * *"],"every":[90000000],"at":[5],"after_completion":1,"time_zone":"Europe/Paris","#,
        r#""jitter":1000000,"dst":{"gap":"SKIP","overlap":"BOTH"},"max_fires":3}"#
    );
    assert_eq!(serde_json::to_string(&schedule).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Schedule>(stored).unwrap(), schedule);
    assert_eq!(serde_json::to_string(&Schedule::default()).unwrap(), "{}");
    assert_eq!(serde_json::from_str::<Schedule>("{}").unwrap(), Schedule::default());
}

#[test]
fn the_version_orders_as_text() {
    assert_eq!(*VERSION, format!("{}-001", chrono_tz::IANA_TZDB_VERSION));
}
