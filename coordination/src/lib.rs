//! The coordinator: who leads, and whether it still does.
//!
//! One crate knows how leadership is won: behind [`Coordinator`] stands the lock on the data directory of a
//! single node ([`local`]), and, in a cluster, etcd. It decides nothing about jobs.

pub mod local;

use async_trait::async_trait;
// The cluster's coordinator will need it; it is compiled from the start, so that every build proves that
// its build script finds protoc.
use etcd_client as _;

/// What the server asks of the coordinator.
#[async_trait]
pub trait Coordinator: Send + Sync {
    /// Returns when this node has become the leader.
    async fn campaign(&self) -> Result<(), Error>;

    /// Whether this node led at some instant after the call (PROTOCOL.md, rule 18).
    async fn prove(&self) -> Result<(), Error>;

    /// Returns when this node has ceased to lead.
    async fn lost(&self) -> Error;

    /// Gives leadership up, so that another need not wait.
    async fn resign(&self);
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another node leads, or nobody.
    #[error("this node does not lead: {0}")]
    NotLeading(String),
}
