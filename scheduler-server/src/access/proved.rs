//! The ledger's tokens as of a second ago at most, so that a call costs no read of the ledger.
//!
//! A token that is revoked at this node is forgotten at once; one that is revoked at another node within the second.
//! What is not there is asked for each time: a token works from the moment that it is made. While the ledger does not answer
//! this node, a token goes on for a while as it was last read, an agent's as long as that lasts, so that agents keep their
//! streams and come back (promise 6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ledger::{Created, NewToken, Page, PageOf, SecretHash, Tokens, Unreadable};
use scheduler_core::access::{Role, Token};
use scheduler_core::audit::Event;
use scheduler_core::ids::TokenId;
use scheduler_core::time::{Boot, Timestamp};
use scheduler_core::txn::Failure;

const FRESH: Duration = Duration::from_secs(1);
/// How long a token goes on while the ledger does not answer, and nobody here could see it revoked. An agent's goes on as
/// long as that lasts: what it runs outlives an outage of any length.
const BELIEVED: Duration = Duration::from_secs(600);
/// Tokens that are remembered; beyond it all are read anew.
const MOST: usize = 10_000;

struct Read {
    token: Arc<Token>,
    hash: SecretHash,
    at: Boot,
}

/// See the module.
pub struct Proved {
    ledger: Arc<dyn Tokens>,
    read: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    tokens: HashMap<TokenId, Read>,
    /// How many tokens were revoked here. What was read across a revocation may be what was before it.
    revocations: u64,
}

impl Proved {
    pub fn new(ledger: Arc<dyn Tokens>) -> Self {
        Self { ledger, read: Mutex::default() }
    }

    pub async fn find(&self, id: TokenId, now: Boot) -> Result<Option<(Arc<Token>, SecretHash)>, Unreadable> {
        if let Some(fresh) = self.remembered(id).filter(|(_, _, at)| now.since(*at) < FRESH) {
            return Ok(Some((fresh.0, fresh.1)));
        }
        let revocations = self.read().revocations;
        match self.ledger.token(id).await {
            Ok(Some((token, hash))) => {
                let token = Arc::new(token);
                let mut read = self.read();
                if read.revocations == revocations {
                    if read.tokens.len() >= MOST && !read.tokens.contains_key(&id) {
                        read.tokens.clear();
                    }
                    read.tokens.insert(id, Read { token: Arc::clone(&token), hash, at: now });
                }
                Ok(Some((token, hash)))
            }
            Ok(None) => {
                self.read().tokens.remove(&id);
                Ok(None)
            }
            Err(error @ Unreadable::Unavailable(_)) => {
                let is_believed = |token: &Token, read| token.role == Role::Agent || now.since(read) < BELIEVED;
                let known = self.remembered(id).filter(|(token, _, read)| is_believed(token, *read));
                known.map(|(token, hash, _)| Some((token, hash))).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// As it was last read, however long ago.
    pub(super) fn remembered(&self, id: TokenId) -> Option<(Arc<Token>, SecretHash, Boot)> {
        self.read().tokens.get(&id).map(|read| (Arc::clone(&read.token), read.hash, read.at))
    }

    fn read(&self) -> MutexGuard<'_, Remembered> {
        // Whatever a panic left is a token as it was read.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Tokens for Proved {
    async fn token(&self, id: TokenId) -> Result<Option<(Token, SecretHash)>, Unreadable> {
        self.ledger.token(id).await
    }

    async fn tokens(&self, good_at: Option<Timestamp>, page: &Page<TokenId>) -> Result<PageOf<Token>, Unreadable> {
        self.ledger.tokens(good_at, page).await
    }

    async fn create_token(&self, new: &NewToken) -> Result<Created, Failure> {
        self.ledger.create_token(new).await
    }

    async fn revoke_token(&self, id: TokenId, time: Timestamp, event: &Event) -> Result<Option<Token>, Failure> {
        let revoked = self.ledger.revoke_token(id, time, event).await;
        // Whatever the outcome: who calls with it next has it read anew.
        let mut read = self.read();
        read.revocations += 1;
        read.tokens.remove(&id);
        revoked
    }
}
