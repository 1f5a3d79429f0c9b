//! Bearer tokens, each written in a transaction of its own.

use async_trait::async_trait;
use scheduler_core::access::Token;
use scheduler_core::audit::Event;
use scheduler_core::ids::TokenId;
use scheduler_core::time::Timestamp;
use scheduler_core::txn::Failure;
use sqlx::SqliteConnection;

use super::{Sqlite, failure, requests, sql, writer};
use crate::paging::{one_more, page_of};
use crate::reader::{Page, PageOf, Unreadable};
use crate::rows;
use crate::tokens::{Created, NewToken, SecretHash, Tokens};

#[async_trait]
impl Tokens for Sqlite {
    async fn token(&self, id: TokenId) -> Result<Option<(Token, SecretHash)>, Unreadable> {
        let row = sqlx::query(sql::TOKEN).bind(id.0).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| Ok::<_, sqlx::Error>((rows::token(&row)?, rows::secret_hash(&row)?))).transpose()?)
    }

    async fn tokens(&self, good_at: Option<Timestamp>, page: &Page<TokenId>) -> Result<PageOf<Token>, Unreadable> {
        let rows = sqlx::query(sql::TOKENS)
            .bind(page.after.map(|after| after.0))
            .bind(good_at.map(Timestamp::as_micros))
            .bind(one_more(page.size))
            .fetch_all(&self.readers)
            .await?;
        let tokens = rows.iter().map(rows::token).collect::<sqlx::Result<_>>()?;
        Ok(page_of(tokens, page.size))
    }

    async fn create_token(&self, new: &NewToken) -> Result<Created, Failure> {
        let mut turn = self.writer.turn().await;
        let mut writing = turn.begin().await?;
        let now = self.now();
        let key = std::slice::from_ref(&new.request.key);
        let earlier = requests::find(&mut writing, key, now).await.map_err(failure::before_commit)?.pop();
        if let Some(earlier) = earlier {
            let id = earlier.resource.parse().ok().filter(|_| earlier.digest == new.request.digest).map(TokenId);
            let made = match id {
                Some(id) => find(&mut writing, id).await.map_err(failure::before_commit)?,
                None => None,
            };
            return Ok(made.map_or(Created::NumberTaken, |token| Created::Repeated(Box::new(token))));
        }
        requests::remember(&mut writing, std::slice::from_ref(&new.request), now).await?;
        let put = |values: &mut _, new: &NewToken| rows::put_token(values, &new.token, &new.hash);
        let insert = sql::WRITE_TOKENS.run(&mut writing, std::slice::from_ref(new), put);
        insert.await.map_err(failure::before_commit)?;
        record(&mut writing, std::slice::from_ref(&new.event)).await.map_err(failure::before_commit)?;
        writer::commit(writing).await?;
        Ok(Created::New)
    }

    async fn revoke_token(&self, id: TokenId, time: Timestamp, event: &Event) -> Result<Option<Token>, Failure> {
        let mut turn = self.writer.turn().await;
        let mut writing = turn.begin().await?;
        let revoke = sqlx::query(sql::REVOKE_TOKEN).bind(time.as_micros()).bind(id.0);
        let revoked = revoke.execute(&mut *writing).await.map_err(failure::before_commit)?;
        if revoked.rows_affected() > 0 {
            record(&mut writing, std::slice::from_ref(event)).await.map_err(failure::before_commit)?;
        }
        let token = find(&mut writing, id).await.map_err(failure::before_commit)?;
        writer::commit(writing).await?;
        Ok(token)
    }
}

async fn find(connection: &mut SqliteConnection, id: TokenId) -> sqlx::Result<Option<Token>> {
    let row = sqlx::query(sql::TOKEN).bind(id.0).fetch_optional(connection).await?;
    row.as_ref().map(rows::token).transpose()
}

async fn record(connection: &mut SqliteConnection, events: &[Event]) -> sqlx::Result<u64> {
    sql::WRITE_AUDIT_EVENTS.run(connection, events, rows::put_audit_event).await
}
