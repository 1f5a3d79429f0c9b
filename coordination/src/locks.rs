//! Agents' leases, and the locks on them.

use std::time::Duration;

use async_trait::async_trait;
use scheduler_core::engine::CandidacyId;
use scheduler_core::ids::AgentInstance;
use scheduler_core::lock::HeldLock;

use crate::Error;

/// What a leader asks about locks. Each call is done only while the candidacy leads.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Gives an agent a lease, or renews the one that it has, whoever gave it. How long it lasts after each renewal.
    async fn lend(&self, candidacy: CandidacyId, agent: AgentInstance, lasts: Duration) -> Result<Duration, Error>;

    /// Takes locks for one agent, on its lease. Those that are held otherwise are not taken, and told as they are; one that
    /// has the holder asked for already is taken, and so a taking of unknown outcome can be repeated.
    async fn take(&self, candidacy: CandidacyId, locks: &[HeldLock]) -> Result<Vec<HeldLock>, Error>;

    /// Frees locks, those of them that still have the holder named.
    async fn release(&self, candidacy: CandidacyId, locks: &[HeldLock]) -> Result<(), Error>;

    /// All that are held, by name.
    async fn held(&self, candidacy: CandidacyId) -> Result<Vec<HeldLock>, Error>;
}
