//! Calendars of `punctual.v1` to the core's and back. The core has one list of date ranges; the proto has single
//! dates and spans apart.

use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::calendar::{Calendar, CalendarKey, Definition};
use scheduler_core::schedule::{self, Date, DateRange, Exclusion};

use crate::check::{Check, LONGEST_DESCRIPTION, LONGEST_DISPLAY_NAME};
use crate::ids;
use crate::schedule::UTC;
use crate::text::clean;
use crate::time::proto_instant;

/// The calendar's name and definition, or everything that is wrong with it. Paths start at the calendar:
/// `ranges[1].start_date`. Output-only fields are not looked at.
pub fn calendar_definition(calendar: &v1::Calendar) -> Result<(CalendarKey, Definition), Violations> {
    let mut check = Check::default();
    let key = ids::calendar_key(&calendar.namespace, &calendar.calendar_id, "", &mut check.violations);
    let dates = schedule::Calendar {
        name: key.calendar_id.clone(),
        time_zone: time_zone(calendar.time_zone.as_deref(), &mut check),
        dates: dates(calendar, &mut check),
    };
    if let Err(mut violations) = Exclusion::new(&dates) {
        check.violations.0.append(&mut violations.0);
    }
    let definition = Definition {
        display_name: check.text("display_name", &calendar.display_name, LONGEST_DISPLAY_NAME),
        description: check.text("description", &calendar.description, LONGEST_DESCRIPTION),
        dates,
    };
    check.violations.or((key, definition))
}

/// Empty for UTC, as in schedules.
fn time_zone(value: Option<&str>, check: &mut Check) -> String {
    match value {
        None | Some(UTC) => String::new(),
        Some("") => {
            check.refuse("time_zone", "must not be empty: leave it out for UTC");
            String::new()
        }
        Some(zone) => clean(zone).into_owned(),
    }
}

/// Single dates first, as they are shown: the same calendar is the same list, however a single date was written.
fn dates(calendar: &v1::Calendar, check: &mut Check) -> Vec<DateRange> {
    let single = calendar.dates.iter().enumerate();
    let mut dates: Vec<DateRange> =
        single.filter_map(|(i, text)| date(format!("dates[{i}]"), text, check)).map(DateRange::from).collect();
    let mut spans = Vec::with_capacity(calendar.ranges.len());
    for (i, range) in calendar.ranges.iter().enumerate() {
        let first = date(format!("ranges[{i}].start_date"), &range.start_date, check);
        let last = date(format!("ranges[{i}].end_date"), &range.end_date, check);
        match (first, last) {
            (Some(first), Some(last)) if first > last => {
                check.refuse(format!("ranges[{i}].end_date"), format!("{last} is before start_date, {first}"));
            }
            (Some(first), Some(last)) if first == last => dates.push(first.into()),
            (Some(first), Some(last)) => spans.push(DateRange { first, last }),
            (None, _) | (_, None) => {}
        }
    }
    dates.append(&mut spans);
    dates
}

fn date(field: String, text: &str, check: &mut Check) -> Option<Date> {
    if text.is_empty() {
        check.refuse(field, "is required: a date looks like 2026-12-25");
        return None;
    }
    text.parse().map_err(|description: String| check.refuse(field, description)).ok()
}

/// A stored calendar.
pub fn calendar(calendar: &Calendar) -> v1::Calendar {
    let Definition { display_name, description, dates } = &calendar.definition;
    let (single, spans): (Vec<DateRange>, Vec<DateRange>) =
        dates.dates.iter().copied().partition(|range| range.first == range.last);
    let zone = if dates.time_zone.is_empty() { UTC } else { &dates.time_zone };
    v1::Calendar {
        namespace: calendar.key.namespace.clone(),
        calendar_id: calendar.key.calendar_id.clone(),
        display_name: display_name.clone(),
        description: description.clone(),
        time_zone: Some(zone.to_owned()),
        dates: single.iter().map(|range| range.first.to_string()).collect(),
        ranges: spans.iter().map(span).collect(),
        etag: calendar.etag(),
        create_time: Some(proto_instant(calendar.create_time)),
        update_time: Some(proto_instant(calendar.update_time)),
    }
}

fn span(range: &DateRange) -> v1::calendar::DateRange {
    v1::calendar::DateRange { start_date: range.first.to_string(), end_date: range.last.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start_date: &str, end_date: &str) -> v1::calendar::DateRange {
        v1::calendar::DateRange { start_date: start_date.to_owned(), end_date: end_date.to_owned() }
    }

    fn holidays() -> v1::Calendar {
        v1::Calendar { calendar_id: "holidays".to_owned(), dates: vec!["2026-12-25".to_owned()], ..Default::default() }
    }

    fn refused(calendar: &v1::Calendar) -> Vec<String> {
        match calendar_definition(calendar) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.0.into_iter().map(|violation| violation.field).collect(),
        }
    }

    #[test]
    fn a_calendar_that_says_little_is_of_utc_and_named_by_its_id() {
        let (key, definition) = calendar_definition(&holidays()).unwrap();
        assert_eq!(key.to_string(), "default/holidays");
        let dates: Vec<String> = definition.dates.dates.iter().map(ToString::to_string).collect();
        assert_eq!((definition.dates.name.as_str(), definition.dates.time_zone.as_str()), ("holidays", ""));
        assert_eq!(dates, ["2026-12-25"]);
        let explicit = v1::Calendar { time_zone: Some("UTC".to_owned()), ..holidays() };
        assert_eq!(calendar_definition(&explicit).unwrap().1, definition);
    }

    #[test]
    fn one_answer_names_everything_that_is_wrong_by_its_place() {
        let wrong = v1::Calendar {
            calendar_id: "Holidays".to_owned(),
            display_name: "n".repeat(257),
            time_zone: Some("Nowhere".to_owned()),
            dates: vec!["2026-12-25".to_owned(), "2026-02-30".to_owned(), String::new()],
            ranges: vec![range("2026-12-24", "2026-12-26"), range("24.12.2026", ""), range("2026-12-26", "2026-12-24")],
            ..Default::default()
        };
        let mut fields = refused(&wrong);
        fields.sort();
        let expected = [
            "calendar_id",
            "dates[1]",
            "dates[2]",
            "display_name",
            "ranges[1].end_date",
            "ranges[1].start_date",
            "ranges[2].end_date",
            "time_zone",
        ];
        assert_eq!(fields, expected);
        assert_eq!(refused(&v1::Calendar { time_zone: Some(String::new()), ..holidays() }), ["time_zone"]);
        assert_eq!(refused(&v1::Calendar { dates: vec!["2026-12-25".to_owned(); 10_001], ..holidays() }), ["dates"]);
    }

    #[test]
    fn a_span_of_one_day_is_that_day() {
        let spelt = v1::Calendar { dates: Vec::new(), ranges: vec![range("2026-12-25", "2026-12-25")], ..holidays() };
        assert_eq!(calendar_definition(&spelt).unwrap(), calendar_definition(&holidays()).unwrap());
    }
}
