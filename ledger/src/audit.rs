use async_trait::async_trait;
use scheduler_core::audit::Event;
use scheduler_core::ids::AuditEventId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Failure;

use crate::reader::{Page, PageOf, Unreadable};

/// Which events a list names. Empty means no restriction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditFilter {
    /// `None`: all, and those of no namespace.
    pub namespace: Option<String>,
    pub principal: String,
    /// A prefix of the resource.
    pub query: String,
    /// Inclusive.
    pub after: Option<Timestamp>,
    /// Exclusive.
    pub before: Option<Timestamp>,
}

/// The audit, besides the events that come with the change that they tell of: those of the leader's transactions are
/// written with them, those of tokens with the token.
#[async_trait]
pub trait Audit: Send + Sync {
    /// The newest first.
    async fn events(&self, filter: &AuditFilter, page: &Page<AuditEventId>) -> Result<PageOf<Event>, Unreadable>;

    /// Writes events of what changes no row: refused attempts, and what is about to be asked of the leader's memory.
    async fn record(&self, events: &[Event]) -> Result<(), Failure>;

    /// Deletes up to `most` of the events before then, the oldest first, and says how many.
    async fn forget(&self, before: Timestamp, most: u32) -> Result<u64, Failure>;
}
