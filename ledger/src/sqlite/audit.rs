//! Reads of the audit, and the events that come with no change of a row.

use async_trait::async_trait;
use scheduler_core::audit::Event;
use scheduler_core::ids::AuditEventId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Failure;
use sqlx::QueryBuilder;

use super::{Sqlite, failure, sql, writer};
use crate::audit::{Audit, AuditFilter};
use crate::paging::{one_more, page_of, past_prefix};
use crate::reader::{Page, PageOf, Unreadable};
use crate::rows;

#[async_trait]
impl Audit for Sqlite {
    async fn events(&self, filter: &AuditFilter, page: &Page<AuditEventId>) -> Result<PageOf<Event>, Unreadable> {
        let rows = query(filter, page).build().fetch_all(&self.readers).await?;
        let events = rows.iter().map(rows::audit_event).collect::<sqlx::Result<_>>()?;
        Ok(page_of(events, page.size))
    }

    async fn record(&self, events: &[Event]) -> Result<(), Failure> {
        let mut turn = self.writer.turn().await;
        let mut writing = turn.begin().await?;
        let written = sql::WRITE_AUDIT_EVENTS.run(&mut writing, events, rows::put_audit_event).await;
        written.map_err(failure::before_commit)?;
        writer::commit(writing).await
    }

    async fn forget(&self, before: Timestamp, most: u32) -> Result<u64, Failure> {
        let mut turn = self.writer.turn().await;
        let mut writing = turn.begin().await?;
        let delete = sqlx::query(sql::FORGET_AUDIT_EVENTS).bind(AuditEventId::at(before, 0).0).bind(most);
        let gone = delete.execute(&mut *writing).await.map_err(failure::before_commit)?.rows_affected();
        writer::commit(writing).await?;
        Ok(gone)
    }
}

/// Walks down the index of what the filter names; ids follow the time of their event.
pub(super) fn query(filter: &AuditFilter, page: &Page<AuditEventId>) -> QueryBuilder<sqlx::Sqlite> {
    let mut query = QueryBuilder::new(sql::AUDIT_EVENTS);
    match (&filter.namespace, filter.principal.as_str()) {
        (None, "") => query.push(" WHERE TRUE"),
        (Some(namespace), "") => {
            query.push(" INDEXED BY audit_events_of_namespace WHERE namespace = ").push_bind(namespace.clone())
        }
        (namespace, principal) => {
            query.push(" INDEXED BY audit_events_of_principal WHERE principal = ").push_bind(principal.to_owned());
            match namespace {
                Some(namespace) => query.push(" AND namespace = ").push_bind(namespace.clone()),
                None => &mut query,
            }
        }
    };
    if !filter.query.is_empty() {
        query.push(" AND resource >= ").push_bind(filter.query.clone());
        query.push(" AND resource < ").push_bind(past_prefix(&filter.query));
    }
    if let Some(after) = filter.after {
        query.push(" AND id >= ").push_bind(AuditEventId::at(after, 0).0);
        query.push(" AND time >= ").push_bind(after.as_micros());
    }
    if let Some(before) = filter.before {
        query.push(" AND id <= ").push_bind(AuditEventId::at(before, u128::MAX).0);
        query.push(" AND time < ").push_bind(before.as_micros());
    }
    if let Some(after) = page.after {
        query.push(" AND id < ").push_bind(after.0);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(one_more(page.size));
    query
}
