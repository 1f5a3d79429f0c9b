use scheduler_core::access::Token;
use scheduler_core::ids::TokenId;

use super::{Columns, Values, id, json, optional_time, stored_json, stored_time, text, time, undecodable};
use crate::tokens::SecretHash;

pub(crate) fn put_token(values: &mut impl Values, token: &Token, hash: &SecretHash) {
    values
        .put(token.id.0)
        .put(hash.as_slice())
        .put(token.display_name.as_str())
        .put(token.role.as_str())
        .put(stored_json(&token.namespaces))
        .put(stored_json(&token.agent_ids))
        .put(stored_json(&token.queues))
        .put(stored_time(token.expire_time))
        .put(token.author.as_str())
        .put(token.create_time.as_micros())
        .put(stored_time(token.revoke_time));
}

pub(crate) fn token(row: &impl Columns) -> sqlx::Result<Token> {
    Ok(Token {
        id: id(row, "id", TokenId)?,
        display_name: row.get("display_name")?,
        role: text(row, "role")?,
        namespaces: json(row, "namespaces")?,
        agent_ids: json(row, "agent_ids")?,
        queues: json(row, "queues")?,
        expire_time: optional_time(row, "expire_time")?,
        author: row.get("author")?,
        create_time: time(row, "create_time")?,
        revoke_time: optional_time(row, "revoke_time")?,
    })
}

pub(crate) fn secret_hash(row: &impl Columns) -> sqlx::Result<SecretHash> {
    let stored: &[u8] = row.get("hash")?;
    stored.try_into().map_err(|error| undecodable("hash", error))
}
