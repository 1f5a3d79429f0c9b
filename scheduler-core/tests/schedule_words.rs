//! Schedules in words, and the changes of the clocks that previews mark.

use std::time::Duration;

use scheduler_core::schedule::{ChangeKind, Compiled, Context, Dst, Gap, Overlap, Schedule};
use scheduler_core::time::Timestamp;

fn instant(text: &str) -> Timestamp {
    text.parse::<chrono::DateTime<chrono::Utc>>().expect("because the cases are valid").into()
}

fn compiled(schedule: &Schedule) -> Compiled {
    let context = Context { hash_key: Some("default/job"), ..Context::preview(instant("2026-01-01T00:00:00Z")) };
    Compiled::new(schedule, &context).expect("because the cases are valid")
}

#[track_caller]
fn says(expression: &str, words: &str) {
    let schedule = Schedule { cron: vec![expression.to_owned()], ..Schedule::default() };
    assert_eq!(compiled(&schedule).describe(), words, "{expression}");
}

#[test]
fn times_of_day_read_like_english() {
    says("TZ=Europe/Paris 0 2 * * MON-FRI", "at 02:00, Monday to Friday, Europe/Paris");
    says("0,30 9,17 * * *", "at 09:00, 09:30, 17:00 and 17:30, UTC");
    says("15 30 2 * * *", "at 02:30:15, UTC");
    says("* * * * *", "every minute, UTC");
    says("* * * * * *", "every second, UTC");
    says("*/15 * * * *", "every 15 minutes, UTC");
    says("7/15 * * * *", "every 15 minutes from minute 7, UTC");
    says("*/7 * * * *", "every 7 minutes of each hour, UTC");
    says("0 * * * *", "every hour, UTC");
    says("5 * * * *", "at minute 5 of every hour, UTC");
    says("0 */2 * * *", "every 2 hours, UTC");
    says("30 1/3 * * *", "every 3 hours from 01:30, UTC");
    says("30 9-17 * * *", "every hour from 09:30 to 17:30, UTC");
    says("*/10 9-17 * * *", "every 10 minutes, from 09:00 to 17:59, UTC");
    says("*/5 22-4 * * *", "every 5 minutes, from 22:00 to 04:59, UTC");
    says("*/5 8,12 * * *", "every 5 minutes, in hours 8 and 12, UTC");
    says("*/5 */2 * * *", "every 5 minutes, in every other hour, UTC");
    says("10-20 * * * *", "every minute from minute 10 to 20, UTC");
    says("1,2,4 * * * *", "at minutes 1, 2 and 4 of the hour, UTC");
    says("*/10 * * * * *", "every 10 seconds, UTC");
    says("*/10 */5 9-17 * * *", "every 10 seconds, every 5 minutes, from 09:00 to 17:59, UTC");
    says("5 * * * * *", "at second 5 of the minute, UTC");
}

#[test]
fn days_read_like_english() {
    says("0 0 1 * *", "at 00:00, on day 1 of the month, UTC");
    says("0 0 1,15 * *", "at 00:00, on days 1 and 15 of the month, UTC");
    says("0 0 10-20 JAN *", "at 00:00, on days 10 to 20 of the month, in January, UTC");
    says("0 0 */5 * *", "at 00:00, on every 5th day from day 1 of the month, UTC");
    says("0 0 L * *", "at 00:00, on the last day of the month, UTC");
    says(
        "0 0 15,L,LW,3W * *",
        "at 00:00, on day 15, the weekday nearest to day 3, the last day and the last weekday of the month, UTC",
    );
    says("0 0 * * MON,THU", "at 00:00, on Monday and Thursday, UTC");
    says("0 0 * * FRI-MON", "at 00:00, Friday to Monday, UTC");
    says("0 0 * * MON#1", "at 00:00, on the first Monday of the month, UTC");
    says("0 0 * * 5L", "at 00:00, on the last Friday of the month, UTC");
    says("0 0 13 * FRI", "at 00:00, on day 13 of the month or on Friday, UTC");
    says("0 0 13 * +FRI", "at 00:00, on day 13 of the month that is also on Friday, UTC");
    says("0 0 * NOV-FEB *", "at 00:00, in November to February, UTC");
    says("0 0 * */3 *", "at 00:00, in January, April, July and October, UTC");
    says("0 0 0 1 1 * 2026", "at 00:00, on day 1 of the month, in January, in 2026, UTC");
    says("0 0 0 1 1 * 2026-2030", "at 00:00, on day 1 of the month, in January, from 2026 to 2030, UTC");
    says("0 0 0 1 1 * 2026/2", "at 00:00, on day 1 of the month, in January, every 2 years from 2026 to 2198, UTC");
}

#[test]
fn a_whole_schedule_reads_like_english() {
    assert_eq!(compiled(&Schedule::default()).describe(), "manual only");
    let all = Schedule {
        cron: vec!["0 2 * * *".into(), "@every 1m30s".into()],
        every: vec![Duration::from_secs(3_600)],
        at: vec![instant("2099-01-01T00:00:00Z")],
        time_zone: "Europe/Paris".into(),
        start_time: Some(instant("2026-01-01T00:00:00Z")),
        end_time: Some(instant("2100-01-01T00:00:00Z")),
        jitter: Some(Duration::from_secs(10)),
        ..Schedule::default()
    };
    assert_eq!(
        compiled(&all).describe(),
        "at 02:00, Europe/Paris; every 1 minute 30 seconds; every hour; once at 2099-01-01T00:00:00Z, \
         from 2026-01-01T00:00:00Z, until 2100-01-01T00:00:00Z, each up to 10 seconds later"
    );
    let chained = Schedule { after_completion: Some(Duration::from_secs(300)), ..Schedule::default() };
    assert_eq!(compiled(&chained).describe(), "5 minutes after the last run has ended");
}

fn changes(expression: &str, dst: Dst) -> Vec<(String, ChangeKind, String)> {
    let schedule =
        Schedule { cron: vec![expression.into()], time_zone: "Europe/Paris".into(), dst, ..Schedule::default() };
    compiled(&schedule)
        .dst_changes(instant("2026-01-01T00:00:00Z"), instant("2027-01-01T00:00:00Z"))
        .into_iter()
        .map(|change| (change.time.to_string(), change.kind, change.effect))
        .collect()
}

#[test]
fn the_changes_that_move_a_fire_are_marked() {
    let (spring, autumn) = ("2026-03-29T01:00:00Z".to_owned(), "2026-10-25T01:00:00Z".to_owned());
    assert_eq!(
        changes("30 2 * * *", Dst::default()),
        [
            (
                spring.clone(),
                ChangeKind::Gap,
                "2026-03-29 02:30 does not exist: it fires once at 2026-03-29 03:00 instead".to_owned()
            ),
            (
                autumn.clone(),
                ChangeKind::Overlap,
                "2026-10-25 02:30 occurs twice: it fires the first time only".to_owned()
            ),
        ]
    );
    assert_eq!(
        changes("0,30 2 * * *", Dst { gap: Gap::Skip, overlap: Overlap::Both }),
        [
            (spring.clone(), ChangeKind::Gap, "2026-03-29 02:00 to 2026-03-29 02:30 do not exist: no fire".to_owned()),
            (
                autumn,
                ChangeKind::Overlap,
                "2026-10-25 02:00 to 2026-10-25 02:30 occur twice: it fires both times".to_owned()
            ),
        ]
    );
    // Elapsed time goes on in even steps.
    assert_eq!(changes("*/15 * * * *", Dst::default()), []);
    // Two hours pass as one.
    assert_eq!(
        changes("0 */2 * * *", Dst::default())[0],
        (spring, ChangeKind::Gap, "2026-03-29 02:00 does not exist: no fire".to_owned())
    );
    assert_eq!(changes("30 4 * * *", Dst::default()), []);
}

#[test]
fn a_change_of_half_an_hour_is_felt_by_hourly_fires() {
    let hourly =
        Schedule { cron: vec!["0 * * * *".into()], time_zone: "Australia/Lord_Howe".into(), ..Schedule::default() };
    let change = compiled(&hourly).next_dst_change(instant("2026-05-01T00:00:00Z")).unwrap();
    assert_eq!((change.time, change.kind), (instant("2026-10-03T15:30:00Z"), ChangeKind::Gap));
    assert_eq!(change.effect, "2026-10-04 02:00 does not exist: no fire");
}

#[test]
fn the_next_change_is_the_next_that_has_an_effect() {
    let sundays_in_march =
        Schedule { cron: vec!["30 2 * 3 *".into()], time_zone: "Europe/Paris".into(), ..Schedule::default() };
    let compiled = compiled(&sundays_in_march);
    let change = compiled.next_dst_change(instant("2026-03-29T01:00:00Z")).unwrap();
    assert_eq!((change.time, change.kind), (instant("2027-03-28T01:00:00Z"), ChangeKind::Gap));
    let until = Schedule { end_time: Some(instant("2027-01-01T00:00:00Z")), ..sundays_in_march };
    assert_eq!(self::compiled(&until).next_dst_change(instant("2026-03-29T01:00:00Z")), None);
}
