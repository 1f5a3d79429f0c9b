//! Calendars as text.

use punctual_proto::v1::{Calendar, ListCalendarsResponse};

use super::Scene;
use super::table::{Fit, Table, facts};
use super::when::{absolute, relative};

pub(crate) fn calendars(page: &ListCalendarsResponse, scene: &Scene, of_all: bool) -> String {
    let mut columns = if of_all { vec![("NAMESPACE", Fit::Cut)] } else { vec![] };
    columns.extend([("CALENDAR", Fit::Whole), ("DATES", Fit::Cut), ("ZONE", Fit::Drop(1)), ("CHANGED", Fit::Drop(0))]);
    let mut table = Table::new(columns);
    for calendar in &page.calendars {
        let mut row = if of_all { vec![calendar.namespace.as_str().into()] } else { vec![] };
        row.extend([
            calendar.calendar_id.as_str().into(),
            dates(calendar).into(),
            calendar.time_zone().into(),
            relative(calendar.update_time.as_ref(), scene.now).into(),
        ]);
        table.row(row);
    }
    table.render(scene.width)
}

pub(crate) fn calendar(calendar: &Calendar, scene: &Scene) -> String {
    facts(&[
        ("calendar", format!("{}/{}", calendar.namespace, calendar.calendar_id).into()),
        ("name", calendar.display_name.as_str().into()),
        ("description", calendar.description.as_str().into()),
        ("dates", dates(calendar).into()),
        ("zone", calendar.time_zone().into()),
        ("etag", calendar.etag.as_str().into()),
        ("created", absolute(calendar.create_time.as_ref(), scene.now).into()),
        ("changed", absolute(calendar.update_time.as_ref(), scene.now).into()),
    ])
}

fn dates(calendar: &Calendar) -> String {
    let ranges = calendar.ranges.iter().map(|range| format!("{}..{}", range.start_date, range.end_date));
    calendar.dates.iter().cloned().chain(ranges).collect::<Vec<_>>().join(", ")
}
