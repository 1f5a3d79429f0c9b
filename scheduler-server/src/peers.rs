//! The other nodes of a cluster, as far as serving clients goes: any node serves any request (PROTOCOL.md, rule 1).
//!
//! A node that does not lead passes a call that needs the leader on to it, as it came: the leader authenticates, judges
//! and answers it like any other. What becomes of a call whose leader dies meanwhile is decided here; what the call does is
//! none of this module's business.

mod forward;
mod leaders;
mod methods;
mod numbering;
mod whereabouts;

#[cfg(test)]
mod tests;

pub use forward::{Forward, pass_on};
pub use whereabouts::Whereabouts;
