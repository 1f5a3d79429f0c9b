//! The other nodes of a cluster. Any node serves any request (PROTOCOL.md, rule 1), and standbys find a dead leader before its
//! lease ends (rule 14).
//!
//! A node that does not lead passes a call that needs the leader on to it, as it came: the leader authenticates, judges
//! and answers it like any other. From where it came is believed from a node that has the cluster's secret only. What
//! becomes of a call whose leader dies meanwhile is decided here; what the call does is none of this module's business.
//! Each node tells of itself (`presence`), and standbys follow the leader (`follower`).

mod follower;
mod forward;
mod leaders;
mod methods;
mod numbering;
mod presence;
mod proof;
mod vigil;
mod whereabouts;

#[cfg(test)]
mod tests;

pub(crate) use follower::follow;
pub(crate) use forward::FORWARDED;
pub use forward::{Forward, pass_on};
pub use leaders::Leaders;
pub use presence::{PATH as PRESENCE, Presence};
pub use proof::{CalledFrom, PeerSecret};
pub use whereabouts::Whereabouts;
