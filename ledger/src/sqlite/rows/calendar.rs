use scheduler_core::calendar::{Calendar, CalendarKey};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Values, json, stored_json, time};

pub(in crate::sqlite) fn put_calendar(values: &mut Values, calendar: &Calendar) {
    values
        .put(calendar.key.namespace.as_str())
        .put(calendar.key.calendar_id.as_str())
        .put(stored_json(&calendar.definition))
        .put(calendar.revision)
        .put(calendar.change_seq)
        .put(calendar.create_time.as_micros())
        .put(calendar.update_time.as_micros());
}

pub(in crate::sqlite) fn calendar(row: &SqliteRow) -> sqlx::Result<Calendar> {
    Ok(Calendar {
        key: CalendarKey { namespace: row.try_get("namespace")?, calendar_id: row.try_get("calendar_id")? },
        definition: json(row, "definition")?,
        revision: row.try_get("revision")?,
        change_seq: row.try_get("change_seq")?,
        create_time: time(row, "create_time")?,
        update_time: time(row, "update_time")?,
    })
}
