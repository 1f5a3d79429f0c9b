//! Tokens: their secrets' hashes, their ends, the numbers of their requests, and what the audit has of them.

use std::time::Duration;

use ledger::{AuditFilter, Created, NewToken, Page};
use scheduler_core::access::{Role, Token};
use scheduler_core::audit::{Event, Image};
use scheduler_core::ids::TokenId;
use scheduler_core::txn::RequestRow;

use super::samples::{NOW, event, request, seconds_after};
use super::{Access, AccessBackend};

fn token(n: u128) -> Token {
    Token {
        id: TokenId::at(NOW, n),
        display_name: format!("token {n}"),
        role: Role::Operator,
        namespaces: ["team-a", "te\"am"].map(str::to_owned).into(),
        agent_ids: ["a1".to_owned()].into(),
        queues: ["heavy".to_owned()].into(),
        expire_time: Some(seconds_after(100)),
        author: "alice".to_owned(),
        create_time: NOW,
        revoke_time: None,
    }
}

pub(crate) fn new(n: u128) -> NewToken {
    let token = token(n);
    let row = request(&format!("t{n}"));
    let request = RequestRow { resource: token.id.to_string(), ..row };
    let after = Some(Image::Token(Box::new(token.clone())));
    NewToken { hash: [u8::try_from(n).unwrap(); 32], request, event: Event { after, ..event(n) }, token }
}

async fn events(ledger: &dyn Access) -> Vec<Event> {
    ledger.events(&AuditFilter::default(), &Page { size: 100, after: None }).await.unwrap().items
}

pub(crate) async fn a_token_comes_back_whole_with_its_hash_and_its_event(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    let new = new(1);
    assert_eq!(ledger.create_token(&new).await.unwrap(), Created::New);
    assert_eq!(ledger.token(new.token.id).await.unwrap(), Some((new.token.clone(), new.hash)));
    assert_eq!(ledger.token(TokenId::at(NOW, 2)).await.unwrap(), None);
    assert_eq!(events(&*ledger).await, [new.event]);
}

pub(crate) async fn a_token_asked_for_again_is_the_one_that_was_made(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    let first = new(1);
    assert_eq!(ledger.create_token(&first).await.unwrap(), Created::New);
    let again =
        NewToken { request: RequestRow { resource: new(2).token.id.to_string(), ..first.request.clone() }, ..new(2) };
    assert_eq!(ledger.create_token(&again).await.unwrap(), Created::Repeated(Box::new(first.token.clone())));
    assert_eq!(ledger.create_token(&first).await.unwrap(), Created::Repeated(Box::new(first.token.clone())));
    let other = NewToken { request: RequestRow { digest: "other".to_owned(), ..again.request.clone() }, ..again };
    assert_eq!(ledger.create_token(&other).await.unwrap(), Created::NumberTaken);
    assert_eq!(ledger.token(other.token.id).await.unwrap(), None, "neither made a second");
    assert_eq!(events(&*ledger).await.len(), 1);
    backend.set_clock(seconds_after(25 * 3_600)).await;
    assert_eq!(ledger.create_token(&other).await.unwrap(), Created::New, "numbers are remembered for a day");
}

pub(crate) async fn a_token_is_revoked_once_and_stays_so(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    let made = new(1);
    ledger.create_token(&made).await.unwrap();
    let (id, at) = (made.token.id, seconds_after(5));
    let revoked = Token { revoke_time: Some(at), ..made.token.clone() };
    assert_eq!(ledger.revoke_token(id, at, &event(50)).await.unwrap(), Some(revoked.clone()));
    assert_eq!(ledger.revoke_token(id, seconds_after(6), &event(51)).await.unwrap(), Some(revoked.clone()));
    assert_eq!(ledger.revoke_token(TokenId::at(NOW, 9), at, &event(52)).await.unwrap(), None);
    assert_eq!(ledger.token(id).await.unwrap(), Some((revoked, made.hash)));
    assert_eq!(events(&*ledger).await, [event(50), made.event], "what changed nothing is no change");
}

pub(crate) async fn lists_of_tokens_are_the_newest_first_and_leave_out_those_that_ended(backend: &dyn AccessBackend) {
    let ledger = backend.access().await;
    for n in 1..=5 {
        let mut new = new(n);
        match n {
            2 => new.token.expire_time = Some(NOW.saturating_sub(Duration::from_secs(1))),
            3 => new.token.expire_time = None,
            _ => {}
        }
        ledger.create_token(&new).await.unwrap();
    }
    ledger.revoke_token(token(4).id, NOW, &event(60)).await.unwrap();
    let listed = async |good_at, size, after: Option<u128>| {
        let page = Page { size, after: after.map(|n| token(n).id) };
        let found = ledger.tokens(good_at, &page).await.unwrap();
        let numbers: Vec<u128> =
            found.items.iter().map(|found| (1..=5).find(|n| token(*n).id == found.id).unwrap()).collect();
        (numbers, found.more)
    };
    assert_eq!(listed(None, 9, None).await, (vec![5, 4, 3, 2, 1], false));
    assert_eq!(listed(Some(NOW), 2, None).await, (vec![5, 3], true));
    assert_eq!(listed(Some(NOW), 2, Some(3)).await, (vec![1], false));
    assert_eq!(listed(Some(seconds_after(100)), 9, None).await, (vec![3], false), "expired at its very instant");
}
