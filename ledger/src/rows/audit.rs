use scheduler_core::audit::{Event, Origin};
use scheduler_core::ids::{AuditEventId, TokenId};

use super::{Columns, Values, id, optional, optional_json, stored_json, time};

pub(crate) fn put_audit_event(values: &mut impl Values, event: &Event) {
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

pub(crate) fn audit_event(row: &impl Columns) -> sqlx::Result<Event> {
    Ok(Event {
        id: id(row, "id", AuditEventId)?,
        time: time(row, "time")?,
        origin: Origin {
            principal: row.get("principal")?,
            token: optional(row, "token_id", TokenId)?,
            address: row.get("address")?,
            method: row.get("method")?,
        },
        namespace: row.get("namespace")?,
        resource: row.get("resource")?,
        request_id: row.get("request_id")?,
        refusal: row.get("refusal")?,
        before: optional_json(row, "before")?,
        after: optional_json(row, "after")?,
    })
}
