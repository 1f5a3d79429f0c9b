//! Tokens as text.

use chrono::{DateTime, Utc};
use punctual_proto::v1::{ListTokensResponse, Token};

use super::table::{Cell, Fit, Table};
use super::when::{instant, relative};
use super::{BAD, GOOD, Scene};

pub(crate) fn tokens(page: &ListTokensResponse, scene: &Scene) -> String {
    let mut table = Table::new(vec![
        ("TOKEN", Fit::Whole),
        ("NAME", Fit::Cut),
        ("ROLE", Fit::Whole),
        ("STATE", Fit::Whole),
        ("GOOD FOR", Fit::Cut),
        ("EXPIRES", Fit::Drop(2)),
        ("CREATED", Fit::Drop(1)),
        ("BY", Fit::Drop(0)),
    ]);
    for token in &page.tokens {
        table.row(vec![
            token.token_id.as_str().into(),
            token.display_name.as_str().into(),
            token.role().as_str_name().into(),
            state(token, scene.now),
            good_for(token).into(),
            relative(token.expire_time.as_ref(), scene.now).into(),
            relative(token.create_time.as_ref(), scene.now).into(),
            token.author.as_str().into(),
        ]);
    }
    table.render(scene.width)
}

fn state(token: &Token, now: DateTime<Utc>) -> Cell {
    let has_expired = token.expire_time.as_ref().and_then(instant).is_some_and(|expires| expires <= now);
    match token.revoke_time {
        Some(_) => Cell::styled("REVOKED", BAD),
        None if has_expired => Cell::styled("EXPIRED", BAD),
        None => Cell::styled("GOOD", GOOD),
    }
}

fn good_for(token: &Token) -> String {
    let listed = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(",")));
    let limits =
        [listed("namespaces", &token.namespaces), listed("agents", &token.agent_ids), listed("queues", &token.queues)];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "all".to_owned() } else { limits.join("; ") }
}
