//! Tokens of a test, written to the ledger as a bootstrap writes them.

use std::time::Duration;

use ledger::{NewToken, Tokens as _};
use scheduler_core::access::{Role, Token};
use scheduler_core::audit::{Event, Origin};
use scheduler_core::ids::{AuditEventId, TokenId};
use scheduler_core::txn::{RequestKey, RequestRow};
use scheduler_server::access::Secret;
use scheduler_server::clock;
use uuid::Uuid;

use crate::node::Node;

pub(crate) struct Made {
    pub(crate) token: Token,
    pub(crate) text: String,
}

pub(crate) fn event() -> Event {
    let time = clock::wall();
    Event {
        id: AuditEventId::at(time, Uuid::new_v4().as_u128()),
        time,
        origin: Origin::default(),
        namespace: String::new(),
        resource: "tokens/test".to_owned(),
        request_id: String::new(),
        refusal: String::new(),
        before: None,
        after: None,
    }
}

impl Node {
    pub(crate) async fn token(&self, role: Role, namespaces: &[&str]) -> Made {
        self.token_with(role, namespaces, |_| {}).await
    }

    pub(crate) async fn token_with(&self, role: Role, namespaces: &[&str], change: impl FnOnce(&mut Token)) -> Made {
        let now = clock::wall();
        let id = TokenId::at(now, Uuid::new_v4().as_u128());
        let secret = Secret::new(id).unwrap();
        let mut token = Token {
            id,
            display_name: format!("the {role}"),
            role,
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            agent_ids: [].into(),
            queues: [].into(),
            expire_time: None,
            author: "a test".to_owned(),
            create_time: now,
            revoke_time: None,
        };
        change(&mut token);
        let key = RequestKey { namespace: String::new(), method: "Test".to_owned(), request_id: id.to_string() };
        let request = RequestRow { key, digest: String::new(), resource: id.to_string(), time: now };
        let new = NewToken { token: token.clone(), hash: secret.hash(), request, event: event() };
        self.tokens.create_token(&new).await.unwrap();
        Made { token, text: secret.reveal() }
    }

    pub(crate) async fn expired(&self, role: Role) -> Made {
        let past = clock::wall().saturating_sub(Duration::from_secs(1));
        self.token_with(role, &[], |token| token.expire_time = Some(past)).await
    }

    pub(crate) async fn revoked(&self, role: Role) -> Made {
        let made = self.token(role, &[]).await;
        self.revoke(&made).await;
        made
    }

    pub(crate) async fn revoke(&self, made: &Made) {
        self.tokens.revoke_token(made.token.id, clock::wall(), &event()).await.unwrap();
    }
}
