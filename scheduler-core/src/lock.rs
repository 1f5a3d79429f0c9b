//! Locks as a cluster's coordinator has them: one for each slot of a job that is held, on the lease of the agent that holds
//! it, so that it ends with the agent (PROTOCOL.md, rules 19 to 21).

use crate::ids::{AgentInstance, Epoch, FencingToken, JobUid};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockName {
    pub job: JobUid,
    pub slot: u32,
}

/// Whose a lock is, and by which taking: no two takings have the same token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Holder {
    pub instance: AgentInstance,
    /// Of the leader that took it for the agent.
    pub epoch: Epoch,
    /// Of the attempt that it was taken for; it may be used for later ones too.
    pub token: FencingToken,
}

/// A lock with its holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HeldLock {
    pub name: LockName,
    pub holder: Holder,
}
