//! What is refused, on which field, at which column, and what the answer says would be right.

use std::time::Duration;

use scheduler_core::schedule::{Compiled, Context, Dst, Gap, Schedule};
use scheduler_core::time::Timestamp;

fn refusals(schedule: &Schedule, context: &Context<'_>) -> Vec<String> {
    match Compiled::new(schedule, context) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.0.iter().map(ToString::to_string).collect(),
    }
}

fn cron(expression: &str) -> Schedule {
    Schedule { cron: vec![expression.to_owned()], ..Schedule::default() }
}

#[track_caller]
fn refused(expression: &str, descriptions: &[&str]) {
    let expected: Vec<_> = descriptions.iter().map(|text| format!("schedule.cron[0]: {text}")).collect();
    let context = Context { hash_key: Some("default/job"), ..Context::preview(Timestamp::default()) };
    assert_eq!(refusals(&cron(expression), &context), expected, "{expression}");
}

#[track_caller]
fn accepted(expression: &str) {
    let context = Context { hash_key: Some("default/job"), ..Context::preview(Timestamp::default()) };
    assert_eq!(refusals(&cron(expression), &context), Vec::<String>::new(), "{expression}");
}

#[test]
fn a_value_out_of_range_is_named_with_the_last_or_first_one() {
    refused("61 * * * *", &["minute, column 1: 61 is above 59, the last minute"]);
    refused("0 24 * * *", &["hour, column 3: 24 is above 23, the last hour"]);
    refused("0 0 0 * *", &["day of month, column 5: 0 is below 1, the first day of month"]);
    refused("0 0 32 * *", &["day of month, column 5: 32 is above 31, the last day of month"]);
    refused("0 0 * 13 *", &["month, column 7: 13 is above 12, the last month"]);
    refused("0 0 * * 8", &["weekday, column 9: 8 is above 7, the last weekday"]);
    refused("60 0 0 * * *", &["second, column 1: 60 is above 59, the last second"]);
    refused("0 0 0 * * * 1969", &["year, column 13: 1969 is below 1970, the first year"]);
    refused("0 0 0 * * * 2200", &["year, column 13: 2200 is above 2199, the last year"]);
    refused("99999999999999999999 * * * *", &["minute, column 1: 99999999999999999999 is above 59, the last minute"]);
    refused("0 0 * * MON#6", &["weekday, column 13: 6 is above 5, the last occurrence of a weekday in a month"]);
}

#[test]
fn every_bad_field_is_reported_at_its_own_column() {
    refused(
        "  61\t5-x 0 JAN,FOO MON",
        &[
            "minute, column 3: 61 is above 59, the last minute",
            "hour, column 8: x is not an hour: 0 to 23",
            "day of month, column 10: 0 is below 1, the first day of month",
            "month, column 16: FOO is not a month: 1 to 12 or JAN to DEC",
        ],
    );
}

#[test]
fn columns_count_characters_after_a_prefix_too() {
    refused("TZ=Europe/Paris 61 * * * *", &["minute, column 17: 61 is above 59, the last minute"]);
    refused("* * * * é", &["weekday, column 9: 'é' has no meaning here; a weekday is 0 to 7 or SUN to SAT"]);
    refused(
        "é 61 * * *",
        &[
            "minute, column 1: 'é' has no meaning here; a minute is 0 to 59",
            "hour, column 3: 61 is above 23, the last hour",
        ],
    );
}

#[test]
fn steps_that_get_nowhere_are_refused() {
    refused("*/0 * * * *", &["minute, column 3: a step of 0 gets nowhere; the least is 1"]);
    refused("5/ * * * *", &["minute, column 3: a step is missing after /: */15 is every fifteenth"]);
    refused("H/61 * * * *", &["minute, column 3: a step of 61 is above 60, the number of values from 0 to 59"]);
    refused("0 0 H/29 * *", &["day of month, column 7: a step of 29 is above 28, the number of values from 1 to 28"]);
    refused("H(10-14)/6 * * * *", &["minute, column 10: a step of 6 is above 5, the number of values from 10 to 14"]);
    accepted("*/100 * * * *");
    accepted("H(10-14)/5 * * * *");
}

#[test]
fn each_special_form_is_refused_outside_its_field() {
    refused("? * * * *", &["minute, column 1: ? stands for any day, in the day fields only; here write *"]);
    refused("0 0 +1 * *", &["day of month, column 5: + may only begin the weekday field"]);
    refused("0 0 * * MON,+TUE", &["weekday, column 13: + may only begin the weekday field"]);
    refused("0 L * * *", &["hour, column 3: L is the last day of the month, in the day-of-month field only"]);
    refused("0 0 * * L", &["weekday, column 9: L follows a weekday here: 5L is the last Friday of the month"]);
    refused(
        "0 0 5L * *",
        &[
            "day of month, column 6: L follows a weekday, in the weekday field only; the last day of the month is L alone",
        ],
    );
    refused(
        "0 0 * * 5W",
        &["weekday, column 10: W is the weekday nearest to a day of the month, in the day-of-month field only"],
    );
    refused("0 0 5#1 * *", &["day of month, column 6: # is for the nth weekday of a month, in the weekday field only"]);
    refused("0 0 * * 5#", &["weekday, column 11: after # comes 1 to 5, or L for the last"]);
    refused("0 0 0 * * * H", &["year, column 13: H is for the fields from second to weekday, not for the year"]);
    refused("H(9-5) * * * *", &["minute, column 3: H(9-5) runs backwards; write the smaller value first"]);
    refused(
        "H(9 5) * * * * *",
        &[
            "second, column 4: the field ends where - is due: H(a-b)",
            "minute, column 6: ')' has no meaning here; a minute is 0 to 59",
        ],
    );
    refused(
        "0 0 1-5W * *",
        &["day of month, column 8: 'W' has no meaning here; a day of month is 1 to 31, L, LW or nW"],
    );
}

#[test]
fn h_needs_a_job() {
    let context = Context::preview(Timestamp::default());
    assert_eq!(
        refusals(&cron("H * * * *"), &context),
        ["schedule.cron[0]: minute, column 1: H is hashed from a job's name, and here is no job"]
    );
}

#[test]
fn the_shape_of_an_expression_is_explained() {
    for expression in ["* * * *", "* * * * * * * *"] {
        let context = Context::preview(Timestamp::default());
        let answer = refusals(&cron(expression), &context);
        assert!(answer[0].ends_with("6 with seconds in front, 7 with years at the end"), "{answer:?}");
    }
    refused("", &["the expression is empty; 5 fields, as in \"0 2 * * *\", are a daily job"]);
    refused("1,,2 * * * *", &["minute, column 3: ',' has no meaning here; a minute is 0 to 59"]);
    refused("1, * * * *", &["minute, column 3: a minute is missing"]);
    refused("1- * * * *", &["minute, column 3: a minute is missing: 0 to 59"]);
    refused("-1 * * * *", &["minute, column 1: '-' has no meaning here; a minute is 0 to 59"]);
    refused("*5 * * * *", &["minute, column 2: '5' has no meaning here; a minute is 0 to 59"]);
    refused("0 0 * * MONDAY", &["weekday, column 9: MONDAY is not a weekday: 0 to 7 or SUN to SAT"]);
    refused("0 0 * * FRIX", &["weekday, column 12: 'X' has no meaning here; a weekday is 0 to 7 or SUN to SAT"]);
    let long = format!("{} * * * *", "1,".repeat(600));
    refused(&long, &["1208 characters are above 1000, the most"]);
}

#[test]
fn nicknames_are_known_in_any_case_or_explained() {
    accepted("@Daily");
    accepted(" @midnight ");
    accepted("TZ=Europe/Paris @weekly");
    refused("@reboot", &["column 1: @reboot has no meaning here: a cluster does not start with any one machine"]);
    refused(
        "@fortnightly",
        &["column 1: @fortnightly is not one of @yearly, @monthly, @weekly, @daily, @hourly and @every"],
    );
    refused("@daily 5", &["column 8: \"5\" is too much after @daily"]);
    refused("@every", &["column 1: a duration is missing: @every 1m30s"]);
    refused("@every 90", &["column 10: a unit is due: d, h, m, s, ms or us"]);
    refused("@every 50ms", &["50ms is below 100ms, the shortest period"]);
}

#[test]
fn zones_are_checked_by_name_and_against_each_other() {
    refused(
        "TZ=Europe/Pariss 0 2 * * *",
        &["column 4: \"Europe/Pariss\" is not a zone of the IANA time zone database (2025b); \
         names look like \"Europe/Paris\" or \"UTC\""],
    );
    refused("TZ= 0 2 * * *", &["column 4: a zone is missing after the =: TZ=Europe/Paris"]);
    let context = Context::preview(Timestamp::default());
    let two = Schedule { time_zone: "Europe/Berlin".into(), ..cron("CRON_TZ=Europe/Paris 0 2 * * *") };
    assert_eq!(
        refusals(&two, &context),
        ["schedule.cron[0]: column 9: the prefix says Europe/Paris, time_zone says Europe/Berlin; \
         leave one out or make them the same"]
    );
    let same = Schedule { time_zone: "Europe/Paris".into(), ..cron("CRON_TZ=Europe/Paris 0 2 * * *") };
    assert!(refusals(&same, &context).is_empty());
    let unknown = Schedule { time_zone: "Mars/Olympus".into(), ..cron("0 2 * * *") };
    assert!(refusals(&unknown, &context)[0].starts_with("schedule.time_zone: \"Mars/Olympus\" is not a zone"));
}

#[test]
fn what_never_fires_is_found_when_it_is_read() {
    let no_day = "it never fires: no month and year that it names has a day that it names";
    for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 29 2 * 2025-2027", "0 0 31W 2 *"] {
        refused(expression, &[no_day]);
    }
    refused("0 0 6 * +MON#2", &["it never fires: no day that it names is on a weekday that it names"]);
    accepted("0 0 29 2 *");
    accepted("0 0 29 2 +MON");
    accepted("0 0 31 2 MON");

    let lost_day = Schedule {
        time_zone: "Pacific/Apia".into(),
        dst: Dst { gap: Gap::Skip, ..Dst::default() },
        ..cron("0 0 12 30 12 * 2011")
    };
    let context = Context::preview(Timestamp::default());
    assert_eq!(
        refusals(&lost_day, &context),
        [
            "schedule.cron[0]: it never fires: the clocks of Pacific/Apia skip each of its times, and so does dst.gap SKIP"
        ]
    );
    assert!(refusals(&Schedule { dst: Dst::default(), ..lost_day }, &context).is_empty());
}

#[test]
fn bounds_of_the_whole_are_checked() {
    let second = |n| Timestamp::from_secs(n);
    let context = Context { min_every: Duration::from_secs(1), ..Context::preview(second(0)) };
    let bad = Schedule {
        every: vec![Duration::from_secs(5), Duration::from_millis(500), Duration::from_secs(1_000_000_000)],
        start_time: Some(second(10)),
        end_time: Some(second(9)),
        exclude_calendars: vec!["holidays".into()],
        after_completion: Some(Duration::from_secs(1)),
        max_fires: Some(0),
        ..Schedule::default()
    };
    assert_eq!(
        refusals(&bad, &context),
        [
            "schedule.every[1]: 500ms is below 1s, the shortest period",
            "schedule.every[2]: 1000000000s is above 316224000s, the longest period",
            "schedule.end_time: 1970-01-01T00:00:09Z is before the start, 1970-01-01T00:00:10Z",
            "schedule.after_completion: stands alone: leave out cron, every and at, or leave out this",
            "schedule.max_fires: 0 is not between 1 and 1000000",
            "schedule.exclude_calendars[0]: there is no calendar \"holidays\" in the namespace",
        ]
    );
    let tiny = Schedule { every: vec![Duration::from_millis(99)], ..Schedule::default() };
    let lenient = Context { min_every: Duration::ZERO, ..Context::preview(second(0)) };
    assert_eq!(refusals(&tiny, &lenient), ["schedule.every[0]: 99ms is below 100ms, the shortest period"]);
    let fraction = Schedule { every: vec![Duration::from_nanos(1_000_000_001)], ..Schedule::default() };
    assert_eq!(
        refusals(&fraction, &lenient),
        ["schedule.every[0]: 1.000000001s is not a whole number of microseconds"]
    );
}
