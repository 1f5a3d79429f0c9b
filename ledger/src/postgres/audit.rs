//! Reads of the audit, and the events that come with no change of a row.

use async_trait::async_trait;
use scheduler_core::audit::Event;
use scheduler_core::ids::AuditEventId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Failure;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::leader::WRITE;
use super::records::{WrittenAuditEvent, records};
use super::sessions::within;
use super::{Postgres, failure, sql};
use crate::audit::{Audit, AuditFilter};
use crate::paging::{one_more, page_of, past_prefix};
use crate::reader::{Page, PageOf, Unreadable};
use crate::rows;

#[async_trait]
impl Audit for Postgres {
    async fn events(&self, filter: &AuditFilter, page: &Page<AuditEventId>) -> Result<PageOf<Event>, Unreadable> {
        let rows = self.rows(query(filter, page).build()).await?;
        let events = rows.iter().map(rows::audit_event).collect::<sqlx::Result<_>>()?;
        Ok(page_of(events, page.size))
    }

    async fn record(&self, events: &[Event]) -> Result<(), Failure> {
        let write = sqlx::query(sql::WRITE_AUDIT_EVENTS).bind(records::<WrittenAuditEvent>(events));
        let mut session = self.reading.take().await.map_err(failure::before_commit)?;
        let written = within(WRITE, write.execute(&mut *session)).await;
        session.after(written).map(drop).map_err(failure::at_commit)
    }

    async fn forget(&self, before: Timestamp, most: u32) -> Result<u64, Failure> {
        let delete = sqlx::query(sql::FORGET_AUDIT_EVENTS).bind(AuditEventId::at(before, 0).0).bind(i64::from(most));
        let mut session = self.reading.take().await.map_err(failure::before_commit)?;
        let deleted = within(WRITE, delete.execute(&mut *session)).await;
        Ok(session.after(deleted).map_err(failure::at_commit)?.rows_affected())
    }
}

/// Walks down the index of what the filter names, as lists of runs do; ids follow the time of their event.
fn query(filter: &AuditFilter, page: &Page<AuditEventId>) -> QueryBuilder<sqlx::Postgres> {
    let mut query = QueryBuilder::new(sql::AUDIT_EVENTS);
    let order = match (&filter.namespace, filter.principal.as_str()) {
        (None, "") => {
            query.push("TRUE");
            "id DESC"
        }
        (Some(namespace), "") => {
            query.push("namespace = ANY (").push_bind(vec![namespace.clone()]).push(")");
            "namespace DESC, id DESC"
        }
        (namespace, principal) => {
            query.push("principal = ANY (").push_bind(vec![principal.to_owned()]).push(")");
            if let Some(namespace) = namespace {
                query.push(" AND namespace || '' = ").push_bind(namespace.clone());
            }
            "principal DESC, id DESC"
        }
    };
    let mut last = filter.before.map_or(Uuid::max(), |before| AuditEventId::at(before, u128::MAX).0);
    if let Some(before) = filter.before {
        query.push(" AND time < ").push_bind(before.as_micros());
    }
    if let Some(after) = filter.after {
        query.push(" AND id >= ").push_bind(AuditEventId::at(after, 0).0);
        query.push(" AND time >= ").push_bind(after.as_micros());
    }
    if !filter.query.is_empty() {
        query.push(" AND resource >= ").push_bind(filter.query.clone());
        query.push(" AND resource < ").push_bind(past_prefix(&filter.query));
    }
    if let Some(after) = page.after {
        query.push(" AND id <> ").push_bind(after.0);
        last = last.min(after.0);
    }
    query.push(" AND id <= ").push_bind(last);
    query.push(" ORDER BY ").push(order).push(" LIMIT ").push_bind(one_more(page.size));
    query
}
