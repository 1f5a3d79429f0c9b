//! Bearer tokens, each written by a statement that commits itself, at whatever node.

use async_trait::async_trait;
use scheduler_core::access::Token;
use scheduler_core::audit::Event;
use scheduler_core::ids::TokenId;
use scheduler_core::time::{Timestamp, micros};
use scheduler_core::txn::Failure;
use sqlx::Row;

use super::leader::WRITE;
use super::records::{RememberedRequest, WrittenAuditEvent, WrittenToken, records};
use super::sessions::within;
use super::{Postgres, failure, sql};
use crate::bounds::REQUEST_MEMORY;
use crate::paging::{one_more, page_of};
use crate::reader::{Page, PageOf, Unreadable};
use crate::rows;
use crate::tokens::{Created, NewToken, SecretHash, Tokens};

#[async_trait]
impl Tokens for Postgres {
    async fn token(&self, id: TokenId) -> Result<Option<(Token, SecretHash)>, Unreadable> {
        let row = self.row(sqlx::query(sql::TOKEN).bind(id.0)).await?;
        Ok(row.map(|row| Ok::<_, sqlx::Error>((rows::token(&row)?, rows::secret_hash(&row)?))).transpose()?)
    }

    async fn tokens(&self, good_at: Option<Timestamp>, page: &Page<TokenId>) -> Result<PageOf<Token>, Unreadable> {
        let query = sqlx::query(sql::TOKENS)
            .bind(page.after.map(|after| after.0))
            .bind(good_at.map(Timestamp::as_micros))
            .bind(one_more(page.size));
        let tokens = self.rows(query).await?.iter().map(rows::token).collect::<sqlx::Result<_>>()?;
        Ok(page_of(tokens, page.size))
    }

    async fn create_token(&self, new: &NewToken) -> Result<Created, Failure> {
        let create = sqlx::query(sql::CREATE_TOKEN)
            .bind(records::<WrittenToken>([new]))
            .bind(records::<RememberedRequest>([&new.request]))
            .bind(records::<WrittenAuditEvent>([&new.event]))
            .bind(micros(REQUEST_MEMORY));
        let mut session = self.reading.take().await.map_err(failure::before_commit)?;
        let created = within(WRITE, create.fetch_one(&mut *session)).await;
        let row = session.after(created).map_err(failure::at_commit)?;
        let had = |column| row.try_get::<Option<String>, _>(column).map_err(failure::before_commit);
        let (Some(digest), Some(resource)) = (had("had_digest")?, had("had_resource")?) else {
            return Ok(Created::New);
        };
        let id = resource.parse().ok().filter(|_| digest == new.request.digest).map(TokenId);
        let made = match id {
            Some(id) => self.found(id).await?,
            None => None,
        };
        Ok(made.map_or(Created::NumberTaken, |token| Created::Repeated(Box::new(token))))
    }

    async fn revoke_token(&self, id: TokenId, time: Timestamp, event: &Event) -> Result<Option<Token>, Failure> {
        let revoke = sqlx::query(sql::REVOKE_TOKEN)
            .bind(id.0)
            .bind(time.as_micros())
            .bind(records::<WrittenAuditEvent>([event]));
        let mut session = self.reading.take().await.map_err(failure::before_commit)?;
        let revoked = within(WRITE, revoke.execute(&mut *session)).await;
        session.after(revoked).map_err(failure::at_commit)?;
        self.found(id).await
    }
}

impl Postgres {
    async fn found(&self, id: TokenId) -> Result<Option<Token>, Failure> {
        let found = self.token(id).await.map_err(|error| Failure::Unavailable(error.to_string()))?;
        Ok(found.map(|(token, _)| token))
    }
}
