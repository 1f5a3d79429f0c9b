use scheduler_core::audit::{Event, Origin};
use scheduler_core::ids::{AuditEventId, TokenId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Values, id, optional, optional_json, stored_json, time};

pub(in crate::sqlite) fn put_audit_event(values: &mut Values, event: &Event) {
    let Origin { principal, token, address, method } = &event.origin;
    values
        .put(event.id.0)
        .put(event.time.as_micros())
        .put(principal.as_str())
        .put(token.map(|token| token.0))
        .put(address.as_str())
        .put(method.as_str())
        .put(event.namespace.as_str())
        .put(event.resource.as_str())
        .put(event.request_id.as_str())
        .put(event.refusal.as_str())
        .put(event.before.as_ref().map(stored_json))
        .put(event.after.as_ref().map(stored_json));
}

pub(in crate::sqlite) fn audit_event(row: &SqliteRow) -> sqlx::Result<Event> {
    Ok(Event {
        id: id(row, "id", AuditEventId)?,
        time: time(row, "time")?,
        origin: Origin {
            principal: row.try_get("principal")?,
            token: optional(row, "token_id", TokenId)?,
            address: row.try_get("address")?,
            method: row.try_get("method")?,
        },
        namespace: row.try_get("namespace")?,
        resource: row.try_get("resource")?,
        request_id: row.try_get("request_id")?,
        refusal: row.try_get("refusal")?,
        before: optional_json(row, "before")?,
        after: optional_json(row, "after")?,
    })
}
