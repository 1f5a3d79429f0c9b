use async_trait::async_trait;
use scheduler_core::access::Token;
use scheduler_core::audit::Event;
use scheduler_core::ids::TokenId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, RequestRow};

use crate::reader::{Page, PageOf, Unreadable};

/// SHA-256 of a token's secret.
pub type SecretHash = [u8; 32];

/// A token to be created, with the hash of its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct NewToken {
    pub token: Token,
    pub hash: SecretHash,
    /// The request that asks for it; its resource is the token's id.
    pub request: RequestRow,
    pub event: Event,
}

/// What became of a [`NewToken`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    New,
    /// A request of this number has made one already, and here it is.
    Repeated(Box<Token>),
    /// A request of this number has other content, or made something that is gone.
    NumberTaken,
}

/// Bearer tokens. Any node writes them, in transactions of their own that no epoch guards: what they write, no leader
/// holds in memory.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// One that has ended too.
    async fn token(&self, id: TokenId) -> Result<Option<(Token, SecretHash)>, Unreadable>;

    /// The newest first; those that are good at `good_at`, where it is given.
    async fn tokens(&self, good_at: Option<Timestamp>, page: &Page<TokenId>) -> Result<PageOf<Token>, Unreadable>;

    /// Writes the token, the number of its request and its audit event, or nothing; again, it changes nothing.
    async fn create_token(&self, new: &NewToken) -> Result<Created, Failure>;

    /// Ends a token, unless it is revoked already, and answers it as it then is; `None`: there is none. The event is
    /// written if the token was changed.
    async fn revoke_token(&self, id: TokenId, time: Timestamp, event: &Event) -> Result<Option<Token>, Failure>;
}
