//! Events of the audit as text; what was before and after is for JSON.

use punctual_proto::v1::{AuditEvent, ListAuditEventsResponse};

use super::table::{Cell, Fit, Table};
use super::when::relative;
use super::{BAD, PLAIN, Scene};

pub(crate) fn audit_events(page: &ListAuditEventsResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("WHEN", Fit::Whole),
        ("WHO", Fit::Cut),
        ("FROM", Fit::Drop(1)),
        ("METHOD", Fit::Whole),
        ("NAMESPACE", Fit::Drop(2)),
        ("RESOURCE", Fit::Cut),
        ("REFUSED", Fit::Drop(0)),
    ]);
    for event in &page.events {
        table.row(vec![
            relative(event.time.as_ref(), scene.now).into(),
            who(event).into(),
            event.address.as_str().into(),
            Cell::styled(event.method.as_str(), if event.refusal.is_empty() { PLAIN } else { BAD }),
            event.namespace.as_str().into(),
            event.resource.as_str().into(),
            event.refusal.as_str().into(),
        ]);
    }
    table.render(scene.width)
}

fn who(event: &AuditEvent) -> &str {
    if event.principal.is_empty() { "anonymous" } else { &event.principal }
}
