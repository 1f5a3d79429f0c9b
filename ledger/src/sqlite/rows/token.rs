use scheduler_core::access::Token;
use scheduler_core::ids::TokenId;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite};

use super::{id, json, optional_time, stored_json, stored_time, text, time, undecodable};
use crate::tokens::SecretHash;

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

pub(in crate::sqlite) fn bind_token<'q>(query: Query<'q>, token: &Token, hash: &SecretHash) -> Query<'q> {
    query
        .bind(token.id.0)
        .bind(hash.to_vec())
        .bind(token.display_name.clone())
        .bind(token.role.as_str())
        .bind(stored_json(&token.namespaces))
        .bind(stored_json(&token.agent_ids))
        .bind(stored_json(&token.queues))
        .bind(stored_time(token.expire_time))
        .bind(token.author.clone())
        .bind(token.create_time.as_micros())
        .bind(stored_time(token.revoke_time))
}

pub(in crate::sqlite) fn token(row: &SqliteRow) -> sqlx::Result<Token> {
    Ok(Token {
        id: id(row, "id", TokenId)?,
        display_name: row.try_get("display_name")?,
        role: text(row, "role")?,
        namespaces: json(row, "namespaces")?,
        agent_ids: json(row, "agent_ids")?,
        queues: json(row, "queues")?,
        expire_time: optional_time(row, "expire_time")?,
        author: row.try_get("author")?,
        create_time: time(row, "create_time")?,
        revoke_time: optional_time(row, "revoke_time")?,
    })
}

pub(in crate::sqlite) fn secret_hash(row: &SqliteRow) -> sqlx::Result<SecretHash> {
    let stored: &[u8] = row.try_get("hash")?;
    stored.try_into().map_err(|error| undecodable("hash", error))
}
