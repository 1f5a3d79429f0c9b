//! Tokens and the audit in memory.

use async_trait::async_trait;
use ledger::{Audit, AuditFilter, Created, NewToken, Page, PageOf, SecretHash, Tokens, Unreadable};
use scheduler_core::access::Token;
use scheduler_core::audit::Event;
use scheduler_core::ids::{AuditEventId, TokenId};
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Failure;

use super::{Fake, page};

#[derive(Default)]
pub(super) struct Books {
    tokens: Vec<NewToken>,
    events: Vec<Event>,
}

#[async_trait]
impl Tokens for Fake {
    async fn token(&self, id: TokenId) -> Result<Option<(Token, SecretHash)>, Unreadable> {
        let world = self.world();
        let found = world.books.tokens.iter().find(|new| new.token.id == id);
        Ok(found.map(|new| (new.token.clone(), new.hash)))
    }

    async fn tokens(&self, good_at: Option<Timestamp>, asked: &Page<TokenId>) -> Result<PageOf<Token>, Unreadable> {
        let world = self.world();
        let mut tokens: Vec<Token> = world.books.tokens.iter().map(|new| new.token.clone()).collect();
        tokens.sort_by_key(|token| std::cmp::Reverse(token.id));
        let listed = tokens.into_iter().filter(|token| {
            good_at.is_none_or(|now| token.is_good_at(now)) && asked.after.is_none_or(|after| token.id < after)
        });
        Ok(page(listed, asked.size))
    }

    async fn create_token(&self, new: &NewToken) -> Result<Created, Failure> {
        let mut world = self.world();
        let earlier = world.books.tokens.iter().find(|made| made.request.key == new.request.key);
        if let Some(earlier) = earlier {
            let is_same = earlier.request.digest == new.request.digest;
            let token = Box::new(earlier.token.clone());
            return Ok(if is_same { Created::Repeated(token) } else { Created::NumberTaken });
        }
        world.books.events.push(new.event.clone());
        world.books.tokens.push(new.clone());
        Ok(Created::New)
    }

    async fn revoke_token(&self, id: TokenId, time: Timestamp, event: &Event) -> Result<Option<Token>, Failure> {
        let mut world = self.world();
        let Some(found) = world.books.tokens.iter_mut().find(|new| new.token.id == id) else { return Ok(None) };
        let is_new = found.token.revoke_time.is_none();
        found.token.revoke_time.get_or_insert(time);
        let token = found.token.clone();
        if is_new {
            world.books.events.push(event.clone());
        }
        Ok(Some(token))
    }
}

#[async_trait]
impl Audit for Fake {
    async fn events(&self, filter: &AuditFilter, asked: &Page<AuditEventId>) -> Result<PageOf<Event>, Unreadable> {
        let mut events = self.world().books.events.clone();
        events.sort_by_key(|event| std::cmp::Reverse(event.id));
        let listed = events.into_iter().filter(|event| {
            filter.namespace.as_ref().is_none_or(|namespace| *namespace == event.namespace)
                && asked.after.is_none_or(|after| event.id < after)
        });
        Ok(page(listed, asked.size))
    }

    async fn record(&self, events: &[Event]) -> Result<(), Failure> {
        self.world().books.events.extend_from_slice(events);
        Ok(())
    }

    async fn forget(&self, before: Timestamp, _: u32) -> Result<u64, Failure> {
        self.world().books.events.retain(|event| event.time >= before);
        Ok(0)
    }
}
