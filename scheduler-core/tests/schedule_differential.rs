//! Against `croner` and the `cron` crate, where the dialects agree: with both, on plain values, lists,
//! ascending ranges and stars with steps in every field, on clocks that do not change; with `croner` also on
//! `L`, `LW`, `nW`, `d#n`, `d#L`, `+`, and through changes of the clocks where minute and hour are one value each
//! or one of them begins with a star.
//!
//! Where they do not agree (the last test holds each to this):
//!
//! | what | here | `cron` 0.17 | `croner` 4.0 |
//! |---|---|---|---|
//! | fields | 5, 6 or 7 | 6 or 7: there are always seconds | 5, 6 or 7 |
//! | weekday numbers | 0 and 7 are Sunday | 1 is Sunday | 0 and 7 are Sunday |
//! | both day fields restricted | either matches (Vixie) | both must match | either matches |
//! | `*/n` in a day field beside a restricted one | unrestricted: both must match (Vixie) | both must match | restricted: either matches |
//! | `a/n` | from a on | from a on | refused |
//! | `a-b` with a > b | goes round | refused | refused |
//! | `L`, `W`, `#`, `+` | known | refused | known |
//! | `H` | known | refused | refused |
//! | an expression that never fires | refused when read | accepted, has no fires | accepted, the search fails |
//! | a civil time in a gap | once, after it (or skipped, by policy) | skipped | once, after it; with lists and ranges skipped |
//! | a civil time that occurs twice | once (or as the policy says) | both times, and of two such the second out of order | once; with lists and ranges both times |

use std::str::FromStr;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use scheduler_core::schedule::{Compiled, Context, Schedule};
use scheduler_core::time::Timestamp;

const STEPS: usize = 25;

fn item(first: u32, last: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (first..=last).prop_map(|a| a.to_string()),
        2 => (first..=last, first..=last).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (first..=last, first..=last, 1..=(last - first)).prop_map(|(a, b, n)| {
            format!("{}-{}/{n}", a.min(b), a.max(b))
        }),
    ]
}

/// Restricted: a list of values and ranges.
fn list(first: u32, last: u32) -> impl Strategy<Value = String> {
    proptest::collection::vec(item(first, last), 1..=3).prop_map(|items| items.join(","))
}

fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1..=(last - first)).prop_map(|n| format!("*/{n}")),
        4 => list(first, last),
    ]
}

/// Day of month and weekday, of which at most one is not a plain star, so that all three combine them alike.
fn plain_days() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        (field(1, 28), Just("*".to_owned())),
        (Just("*".to_owned()), weekday_names()),
        Just(("*".to_owned(), "*".to_owned())),
    ]
}

/// By name, since the crates number weekdays in different ways.
fn weekday_names() -> impl Strategy<Value = String> {
    let names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    proptest::sample::subsequence(names.to_vec(), 1..=4).prop_map(|names| names.join(","))
}

/// Days in forms that `croner` knows too.
fn rich_days() -> impl Strategy<Value = (String, String)> {
    let day = prop_oneof![
        Just("L".to_owned()),
        Just("LW".to_owned()),
        (1_u32..=31).prop_map(|day| format!("{day}W")),
        list(1, 28),
    ];
    let weekday = prop_oneof![
        (0_u32..=7, 1_u32..=5).prop_map(|(d, n)| format!("{d}#{n}")),
        (0_u32..=6).prop_map(|d| format!("{d}#L")),
        weekday_names(),
    ];
    let star = || Just("*".to_owned());
    prop_oneof![
        (day.clone(), star()),
        (star(), weekday.clone()),
        (day, weekday.clone()),
        (list(1, 28), weekday_names().prop_map(|names| format!("+{names}"))),
    ]
}

fn after() -> impl Strategy<Value = DateTime<Utc>> {
    (631_152_000_i64..2_500_000_000)
        .prop_map(|seconds| Utc.timestamp_opt(seconds, 0).single().expect("because UTC has no gaps"))
}

fn ours(expression: &str) -> Option<Compiled> {
    let schedule = Schedule { cron: vec![expression.to_owned()], ..Schedule::default() };
    Compiled::new(&schedule, &Context::preview(Timestamp::default())).ok()
}

fn walk(compiled: &Compiled, after: DateTime<Utc>) -> Vec<Timestamp> {
    let first = compiled.next(after.into());
    std::iter::successors(first, |&fire| compiled.next(fire)).take(STEPS).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cron_has_the_same_fires(
        (second, minute, hour, month) in (field(0, 59), field(0, 59), field(0, 23), field(1, 12)),
        (day, weekday) in plain_days(),
        after in after(),
    ) {
        let expression = format!("{second} {minute} {hour} {day} {month} {weekday}");
        let compiled = ours(&expression).unwrap();
        let theirs = cron::Schedule::from_str(&expression).unwrap();
        // Its years end with 2100.
        let fires: Vec<Timestamp> = theirs.after(&after).take(STEPS).map(Timestamp::from).collect();
        prop_assert_eq!(&walk(&compiled, after)[..fires.len()], fires, "{}", expression);
    }

    #[test]
    fn croner_has_the_same_fires_forwards_and_backwards(
        (second, minute, hour, month) in (field(0, 59), field(0, 59), field(0, 23), field(1, 12)),
        (day, weekday) in prop_oneof![plain_days(), rich_days()],
        after in after(),
    ) {
        let expression = format!("{second} {minute} {hour} {day} {month} {weekday}");
        let Some(compiled) = ours(&expression) else { return Ok(()) };
        let theirs = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Required)
            .build()
            .parse(&expression)
            .unwrap();
        let fires: Vec<Timestamp> = theirs.iter_after(after).take(STEPS).map(Timestamp::from).collect();
        prop_assert_eq!(walk(&compiled, after), fires, "{}", expression);
        let before = theirs.find_previous_occurrence(&after, false).unwrap();
        prop_assert_eq!(compiled.prev(after.into()), Some(before.into()), "{}", expression);
    }

    #[test]
    fn croner_has_the_same_fires_through_changes_of_the_clocks(
        (minute, hour) in prop_oneof![
            (0_u32..=59, 0_u32..=4).prop_map(|(minute, hour)| (minute.to_string(), hour.to_string())),
            (1_u32..=30, 0_u32..=4).prop_map(|(step, hour)| (format!("*/{step}"), hour.to_string())),
            (field(0, 59), 1_u32..=6).prop_map(|(minute, step)| (minute, format!("*/{step}"))),
        ],
        (zone, change) in proptest::sample::select(vec![
            (Tz::America__New_York, 1_772_953_200_i64),
            (Tz::America__New_York, 1_793_512_800),
            (Tz::Europe__Berlin, 1_774_746_000),
            (Tz::Europe__Berlin, 1_792_890_000),
        ]),
        before in 0_i64..86_400,
    ) {
        let expression = format!("{minute} {hour} * * *");
        let schedule = Schedule {
            cron: vec![expression.clone()],
            time_zone: zone.name().into(),
            ..Schedule::default()
        };
        let compiled = Compiled::new(&schedule, &Context::preview(Timestamp::default())).unwrap();
        let after = Utc.timestamp_opt(change - before, 0).unwrap();
        let theirs = croner::Cron::from_str(&expression).unwrap();
        let fires: Vec<Timestamp> =
            theirs.iter_after(after.with_timezone(&zone)).take(STEPS).map(|fire| fire.to_utc().into()).collect();
        prop_assert_eq!(walk(&compiled, after), fires, "{}", expression);
    }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().expect("because the cases are valid")
}

type Fires = Option<Vec<String>>;

/// The first fires after an instant, as `cron`, `croner` and we have them; none where one is refused.
fn three(expression: &str, zone: Tz, after: &str, count: usize) -> [Fires; 3] {
    let after = utc(after).with_timezone(&zone);
    let say = |times: Vec<DateTime<Tz>>| times.iter().map(|time| time.format("%m-%d %H:%M%z").to_string()).collect();
    let schedule = Schedule { cron: vec![expression.into()], time_zone: zone.name().into(), ..Schedule::default() };
    let ours = Compiled::new(&schedule, &Context::preview(Timestamp::default())).ok();
    [
        cron::Schedule::from_str(&format!("0 {expression}"))
            .ok()
            .map(|theirs| say(theirs.after(&after).take(count).collect())),
        croner::Cron::from_str(expression).ok().map(|theirs| say(theirs.iter_after(after).take(count).collect())),
        ours.map(|ours| {
            let fires = walk(&ours, after.to_utc());
            say(fires.iter().take(count).filter_map(|time| Some(time.to_utc()?.with_timezone(&zone))).collect())
        }),
    ]
}

#[track_caller]
fn departs(expression: &str, zone: Tz, after: &str, expected: [Option<&[&str]>; 3]) {
    let count = expected.iter().flatten().map(|fires| fires.len()).max().unwrap_or(0);
    let fires = three(expression, zone, after, count);
    let expected = expected.map(|fires| fires.map(|fires| fires.iter().map(|&fire| fire.to_owned()).collect()));
    assert_eq!(fires, expected, "{expression} as cron, croner and we have it");
}

#[test]
fn the_dialects_differ_as_listed() {
    let (utc, new_year) = (Tz::UTC, "2026-01-01T00:00:00Z");
    let either: &[&str] = &["01-02 00:00+0000", "01-09 00:00+0000", "01-13 00:00+0000"];
    let both: &[&str] = &["02-13 00:00+0000", "03-13 00:00+0000", "11-13 00:00+0000"];
    departs("0 0 13 * FRI", utc, new_year, [Some(both), Some(either), Some(either)]);
    let both: &[&str] = &["05-01 00:00+0000", "07-31 00:00+0000"];
    departs("0 0 */10 * FRI", utc, new_year, [Some(both), Some(&["01-02 00:00+0000", "01-09 00:00+0000"]), Some(both)]);
    let monday: &[&str] = &["01-05 00:00+0000"];
    departs("0 0 * * 1", utc, new_year, [Some(&["01-04 00:00+0000"]), Some(monday), Some(monday)]);
    let five_to: &[&str] = &["01-01 00:55+0000", "01-02 00:55+0000"];
    departs("55/5 0 * * *", utc, new_year, [Some(five_to), None, Some(five_to)]);
    departs("0 23-0 * * *", utc, new_year, [None, None, Some(&["01-01 23:00+0000", "01-02 00:00+0000"])]);
    for special in ["0 0 L * *", "0 0 31W * *", "0 0 * * 6#5", "0 0 31 * +SAT"] {
        let [cron, croner, ours] = three(special, utc, new_year, 5);
        assert!(cron.is_none() && croner == ours && ours.is_some(), "{special}");
    }
    departs("0 0 30 2 *", utc, new_year, [Some(&[]), Some(&[]), None]);

    let (zone, gap, overlap) = (Tz::America__New_York, "2026-03-08T05:00:00Z", "2026-11-01T04:00:00Z");
    let after_gap: &[&str] = &["03-08 03:00-0400", "03-09 02:30-0400"];
    departs(
        "30 2 * * *",
        zone,
        gap,
        [Some(&["03-09 02:30-0400", "03-10 02:30-0400"]), Some(after_gap), Some(after_gap)],
    );
    let skipped: &[&str] = &["03-08 01:30-0500", "03-09 01:30-0400"];
    departs("30 1,2 * * *", zone, gap, [Some(skipped), Some(skipped), Some(&["03-08 01:30-0500", "03-08 03:00-0400"])]);
    departs(
        "0,30 1 * * *",
        zone,
        overlap,
        [
            Some(&["11-01 01:00-0400", "11-01 01:00-0500", "11-01 01:30-0400", "11-01 01:30-0500"]),
            Some(&["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500", "11-01 01:30-0500"]),
            Some(&["11-01 01:00-0400", "11-01 01:30-0400", "11-02 01:00-0500", "11-02 01:30-0500"]),
        ],
    );
    let twice: &[&str] = &["11-01 01:30-0400", "11-01 01:30-0500"];
    departs("30 1-3 * * *", zone, overlap, [Some(twice), Some(twice), Some(&["11-01 01:30-0400", "11-01 02:30-0500"])]);
}
