use scheduler_core::calendar::{Calendar, CalendarKey};

use super::{Columns, Values, json, stored_json, time};

pub(crate) fn put_calendar(values: &mut impl Values, calendar: &Calendar) {
    values
        .put(calendar.key.namespace.as_str())
        .put(calendar.key.calendar_id.as_str())
        .put(stored_json(&calendar.definition))
        .put(calendar.revision)
        .put(calendar.change_seq)
        .put(calendar.create_time.as_micros())
        .put(calendar.update_time.as_micros());
}

pub(crate) fn put_calendar_key(values: &mut impl Values, key: &CalendarKey) {
    values.put(key.namespace.as_str()).put(key.calendar_id.as_str());
}

pub(crate) fn calendar(row: &impl Columns) -> sqlx::Result<Calendar> {
    Ok(Calendar {
        key: CalendarKey { namespace: row.get("namespace")?, calendar_id: row.get("calendar_id")? },
        definition: json(row, "definition")?,
        revision: row.get("revision")?,
        change_seq: row.get("change_seq")?,
        create_time: time(row, "create_time")?,
        update_time: time(row, "update_time")?,
    })
}
