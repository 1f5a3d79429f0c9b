//! Where the leader is.

use coordination::Peer;

/// As far as this node knows. It may be wrong for a moment: whoever goes by it asks again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Whereabouts {
    /// There is none, or one that does not answer.
    #[default]
    Nowhere,
    /// This node is elected, and has not taken over yet: agents are welcome, calls wait.
    Soon,
    /// This node leads.
    Here,
    There(Peer),
}
