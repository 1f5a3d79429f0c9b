//! The coordinator: who leads, and whether it still does.
//!
//! One crate knows how leadership is won: behind [`Coordinator`] stands the lock on the data directory of a
//! single node ([`local`]), and, in a cluster, [`etcd`]. It decides nothing: whether a node stands, when its lease is
//! renewed and what a lease that is not renewed means is the engine's (`scheduler_core::engine`).

pub mod etcd;
pub mod local;
mod locks;

// The contract suite, which is part of this crate's own tests too, calls it by its name.
#[cfg(test)]
extern crate self as coordination;

use std::time::Duration;

use async_trait::async_trait;
use scheduler_core::engine::{CandidacyId, Other};
use scheduler_core::ids::AgentInstance;
use scheduler_core::ids::NodeId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Election;

pub use locks::Locks;

/// What the server asks of the coordinator. Each candidacy has a key and a lease of its own, so that whatever is done for
/// one, however late, does nothing to the next. Calls come at the same time and in any order.
#[async_trait]
pub trait Coordinator: Send + Sync {
    /// How long this node leads after a keep-alive was sent; `None`: as long as its process.
    fn lease(&self) -> Option<Duration>;

    /// Returns when this candidacy has won, or with an error when it is over: resigned, or its lease has ended. By which
    /// election it has won, where there are others who could.
    async fn campaign(&self, candidacy: CandidacyId) -> Result<Option<Election>, Error>;

    /// Renews the candidacy's lease; an error, or none in time, means that it may not have been.
    async fn keep_alive(&self, candidacy: CandidacyId) -> Result<(), Error>;

    /// Renews the leases of these agents, and then finds whether this candidacy leads: at some instant after the call it did
    /// (PROTOCOL.md, rule 18).
    async fn prove(&self, candidacy: CandidacyId, renewing: &[AgentInstance]) -> Result<Proof, Error>;

    /// Ends the leadership of a node that is known to be dead, if it is its still, so that nobody need wait for its lease to
    /// end (PROTOCOL.md, rule 14). Whether it was.
    async fn bury(&self, leader: &Peer) -> Result<bool, Error>;

    /// The leases of agents and the locks on them; `None`: this node is alone, and needs none.
    fn locks(&self) -> Option<&dyn Locks>;

    /// Gives the candidacy up, whatever has become of it, so that another need not wait.
    async fn resign(&self, candidacy: CandidacyId);

    /// How large the coordinator's database is, as each of its members says that answers in time; none: it has no database.
    async fn sizes(&self) -> Vec<Size> {
        Vec::new()
    }

    /// The next thing that this node must hear of. What a call that was dropped would have told, the next one tells.
    async fn news(&self) -> News;
}

/// This node led when it was asked, or after.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proof {
    /// The coordinator's revision by then, where there are revisions.
    pub revision: Option<i64>,
    /// Agents whose lease was to be renewed and has ended.
    pub ended: Vec<AgentInstance>,
    /// Those whose lease may not have been renewed.
    pub unrenewed: Vec<AgentInstance>,
}

/// Of the coordinator's database at one member. etcd takes no more writes beyond its quota (2 GiB unless set).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Size {
    pub endpoint: String,
    pub bytes: u64,
}

/// What a node hears of the election without having asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The candidacy's key is gone.
    Lost(CandidacyId),
    /// Who leads and who stands, whenever that has changed.
    Standing(Standing),
    /// The leases of these agents have ended, and their locks are free.
    LeasesEnded(Vec<AgentInstance>),
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// `None`: nobody, or a node that does not say how it is reached.
    pub leader: Option<Peer>,
    /// The other nodes that stand or lead, all of them.
    pub others: Vec<Other>,
    /// Who leads or stands, this node too, in the order in which they would lead.
    pub candidates: Vec<Peer>,
}

/// A node of the cluster, and where it is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    pub node: NodeId,
    /// One start of its process.
    pub instance: String,
    pub address: String,
    /// The version of its program, and when it started; empty and `None` of one that does not say.
    pub version: String,
    pub started: Option<Timestamp>,
    /// The revision of its election.
    pub elected: i64,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another node leads, or nobody.
    #[error("this node does not lead: {0}")]
    NotLeading(String),
    /// The agent's lease has ended, or it has none: nothing was done.
    #[error("the agent has no lease")]
    NoLease,
    /// It may have been done.
    #[error("the coordinator does not answer: {0}")]
    Unreachable(String),
    /// Not done.
    #[error("the coordinator refuses: {0}")]
    Refused(String),
}
