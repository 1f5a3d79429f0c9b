//! The first admin token, made on the machine itself: who may write the ledger may let people in.
//!
//! It is an ordinary transaction of the ledger, so that it works while a server runs on it and while none does; the server
//! finds the token with the first call that brings it.

use std::time::Duration;

use ledger::{Created, NewToken, Page, Tokens, Unreadable};
use scheduler_core::access::{Role, Token};
use scheduler_core::audit::{Event, Image, Origin};
use scheduler_core::ids::{AuditEventId, TokenId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::{Failure, RequestKey, RequestRow};
use uuid::Uuid;

use super::{Secret, SecretError};

const AUTHOR: &str = "bootstrap";
const METHOD: &str = "TokenBootstrap";
const PAGE: u32 = 1_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    pub display_name: String,
    /// `None`: it does not expire.
    pub expires_in: Option<Duration>,
    /// Although there is an admin already.
    pub another: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("there is an admin already, {0}: create tokens with `punctual token create`, or say --another")]
    HasAdmin(String),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    NotWritten(#[from] Failure),
}

/// Makes the token and answers its secret.
pub async fn bootstrap(ledger: &dyn Tokens, asked: &Bootstrap, now: Timestamp) -> Result<Secret, BootstrapError> {
    if !asked.another
        && let Some(admin) = admin(ledger, now).await?
    {
        return Err(BootstrapError::HasAdmin(admin.principal()));
    }
    issue(ledger, Role::Admin, &asked.display_name, asked.expires_in, now).await
}

/// Makes a token for whoever may write the ledger, and answers its secret.
pub async fn issue(
    ledger: &dyn Tokens,
    role: Role,
    display_name: &str,
    expires_in: Option<Duration>,
    now: Timestamp,
) -> Result<Secret, BootstrapError> {
    let random = || Uuid::new_v4().as_u128();
    let id = TokenId::at(now, random());
    let secret = Secret::new(id)?;
    let token = Token {
        id,
        display_name: display_name.to_owned(),
        role,
        namespaces: [].into(),
        agent_ids: [].into(),
        queues: [].into(),
        expire_time: expires_in.map(|after| now.saturating_add(after)),
        author: AUTHOR.to_owned(),
        create_time: now,
        revoke_time: None,
    };
    let origin = Origin { principal: AUTHOR.to_owned(), method: METHOD.to_owned(), ..Origin::default() };
    let event = Event {
        id: AuditEventId::at(now, random()),
        time: now,
        origin,
        namespace: String::new(),
        resource: format!("tokens/{id}"),
        request_id: String::new(),
        refusal: String::new(),
        before: None,
        after: Some(Image::Token(Box::new(token.clone()))),
    };
    let key = RequestKey { namespace: String::new(), method: METHOD.to_owned(), request_id: id.to_string() };
    let request = RequestRow { key, digest: String::new(), resource: id.to_string(), time: now };
    match ledger.create_token(&NewToken { token, hash: secret.hash(), request, event }).await? {
        Created::New | Created::Repeated(_) => Ok(secret),
        Created::NumberTaken => unreachable!("because the number is the new token's own id"),
    }
}

/// One who can create tokens.
async fn admin(ledger: &dyn Tokens, now: Timestamp) -> Result<Option<Token>, Unreadable> {
    let mut after = None;
    loop {
        let found = ledger.tokens(Some(now), &Page { size: PAGE, after }).await?;
        after = found.items.last().map(|token| token.id);
        let is_admin = |token: &Token| token.role == Role::Admin && token.namespaces.is_empty();
        match found.items.into_iter().find(is_admin) {
            None if found.more => {}
            found => return Ok(found),
        }
    }
}
