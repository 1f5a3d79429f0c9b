use async_trait::async_trait;
use coordination::Peer;
use scheduler_core::engine::{Answer, Refusal, Request};
use scheduler_core::time::Skew;

/// The way to whoever decides.
#[async_trait]
pub trait LeaderPort: Send + Sync {
    /// Waits for the answer. Dropping the future abandons a request that has not begun; one that has goes on.
    async fn request(&self, request: Request) -> Result<Answer, Refusal>;

    /// How far this machine's clock is from the ledger's; `None`: not known.
    fn skew(&self) -> Option<Skew> {
        None
    }

    /// The nodes that lead or stand for election, this one too; none where nobody is elected.
    fn candidates(&self) -> Vec<Peer> {
        Vec::new()
    }
}
