//! Tokens. Any node creates and revokes them; the secret is made here, answered once, and kept nowhere.

use std::collections::BTreeSet;

use job_spec::time::proto_instant;
use ledger::{Created, NewToken, Page};
use punctual_proto::v1;
use scheduler_core::Violations;
use scheduler_core::access::{Role, Token};
use scheduler_core::audit::{Event, Image};
use scheduler_core::engine::{Away, Refusal};
use scheduler_core::ids::{AuditEventId, TokenId};
use scheduler_core::txn::{Failure, RequestKey, RequestRow};
use uuid::Uuid;

use super::{Call, Error, Service, clean, digest, lists, page};
use crate::access::Secret;

const LONGEST_NAME: usize = 128;
const MOST_NAMES: usize = 100;

impl Service {
    pub async fn create_token(&self, call: &Call, request: v1::CreateTokenRequest) -> Result<v1::Token, Error> {
        const METHOD: &str = "CreateToken";
        let given = request.token.as_ref().ok_or_else(|| Error::field("token", "is required"))?;
        let (token, request_id) = self.new_token(call, given, &request.request_id)?;
        let secret = Secret::new(token.id).map_err(|_| Error::Misanswered("the system for randomness"))?;
        let asked = v1::CreateTokenRequest { request_id: String::new(), ..request.clone() };
        let id = token.id;
        let event = Event {
            request_id: request_id.clone().unwrap_or_default(),
            after: Some(Image::Token(Box::new(token.clone()))),
            ..self.event_of_token(call, id)
        };
        // Without a number of its own it has that of the token, which nobody else has.
        let request_id = request_id.unwrap_or_else(|| id.to_string());
        let key = RequestKey { namespace: String::new(), method: METHOD.to_owned(), request_id: request_id.clone() };
        let digest = digest::text(METHOD, &asked);
        let request = RequestRow { key, digest, resource: id.to_string(), time: token.create_time };
        let new = NewToken { token, hash: secret.hash(), request, event };
        let created = match self.access.tokens.create_token(&new).await {
            // The same again tells what became of it.
            Err(Failure::Unknown(_)) => self.access.tokens.create_token(&new).await,
            created => created,
        };
        match created.map_err(|failure| not_written(failure, METHOD, Some(&request_id)))? {
            Created::New => Ok(v1::Token { secret: secret.reveal(), ..shown(&new.token) }),
            Created::Repeated(token) if token.id == id => Ok(v1::Token { secret: secret.reveal(), ..shown(&token) }),
            Created::Repeated(token) => Ok(shown(&token)),
            Created::NumberTaken => Err(Error::Refused(Refusal::RequestIdReused(request_id))),
        }
    }

    pub async fn list_tokens(&self, request: v1::ListTokensRequest) -> Result<v1::ListTokensResponse, Error> {
        let asked = Page { size: page::size(&request)?, after: page::after::<TokenId, _>(&request)? };
        let good_at = (!request.show_ended).then(|| self.now());
        let found = self.access.tokens.tokens(good_at, &asked).await?;
        let next = found.items.last().filter(|_| found.more).map(|token| token.id);
        Ok(v1::ListTokensResponse {
            tokens: found.items.iter().map(shown).collect(),
            next_page_token: next.map(|last| page::token(&request, &last)).unwrap_or_default(),
        })
    }

    pub async fn revoke_token(&self, call: &Call, request: v1::RevokeTokenRequest) -> Result<v1::Token, Error> {
        let id = match request.token_id.parse::<TokenId>() {
            Ok(id) => id,
            Err(_) if request.token_id.is_empty() => return Err(Error::field("token_id", "is required")),
            Err(_) => return Err(Error::field("token_id", "is no UUID, as the ids of tokens are")),
        };
        let (before, _) = self.access.tokens.token(id).await?.ok_or(Error::TokenNotFound(id))?;
        let event = self.event_of_token(call, id);
        let after = Token { revoke_time: Some(event.time), ..before.clone() };
        let image = |token: Token| Some(Image::Token(Box::new(token)));
        let event = Event { before: image(before), after: image(after), ..event };
        let revoked = self.access.tokens.revoke_token(id, event.time, &event).await;
        let revoked = revoked.map_err(|failure| not_written(failure, "RevokeToken", None))?;
        revoked.as_ref().map(shown).ok_or(Error::TokenNotFound(id))
    }

    fn new_token(&self, call: &Call, given: &v1::Token, request_id: &str) -> Result<(Token, Option<String>), Error> {
        let mut violations = Violations::default();
        let violated = &mut violations;
        let request_id = clean::request_id(request_id, violated);
        let now = self.now();
        let role = match given.role() {
            v1::token::Role::Viewer => Some(Role::Viewer),
            v1::token::Role::Operator => Some(Role::Operator),
            v1::token::Role::Admin => Some(Role::Admin),
            v1::token::Role::Agent => Some(Role::Agent),
            v1::token::Role::Unspecified => None,
        };
        if role.is_none() {
            violated.add("token.role", "is required: VIEWER, OPERATOR, ADMIN or AGENT");
        }
        if !given.display_name.is_empty()
            && let Err(description) = is_given(&given.display_name)
        {
            violated.add("token.display_name", description);
        }
        let namespaces = names("token.namespaces", &given.namespaces, job_spec::id, violated);
        let agent_ids = names("token.agent_ids", &given.agent_ids, is_given, violated);
        let queues = names("token.queues", &given.queues, is_given, violated);
        if role == Some(Role::Agent) && !namespaces.is_empty() {
            violated.add("token.namespaces", "agents serve all namespaces: limit the token by agent_ids and queues");
        }
        for (field, names) in [("token.agent_ids", &agent_ids), ("token.queues", &queues)] {
            if role.is_some_and(|role| role != Role::Agent) && !names.is_empty() {
                violated.add(field, "is for the role AGENT only");
            }
        }
        let expire_time = lists::instant("token.expire_time", given.expire_time.as_ref(), violated);
        if expire_time.is_some_and(|expires| expires <= now) {
            violated.add("token.expire_time", "is not later than now");
        }
        let token = role.map(|role| Token {
            id: TokenId::at(now, Uuid::new_v4().as_u128()),
            display_name: given.display_name.clone(),
            role,
            namespaces,
            agent_ids,
            queues,
            expire_time,
            author: call.author(),
            create_time: now,
            revoke_time: None,
        });
        let token = violations.or(token).map_err(Error::Invalid)?;
        Ok((token.ok_or_else(|| Error::field("token.role", "is required"))?, request_id))
    }

    fn event_of_token(&self, call: &Call, id: TokenId) -> Event {
        let time = self.now();
        Event {
            id: AuditEventId::at(time, Uuid::new_v4().as_u128()),
            time,
            origin: call.origin(),
            namespace: String::new(),
            resource: format!("tokens/{id}"),
            request_id: String::new(),
            refusal: String::new(),
            before: None,
            after: None,
        }
    }
}

fn names(
    field: &str,
    given: &[String],
    check: fn(&str) -> Result<(), String>,
    violations: &mut Violations,
) -> BTreeSet<String> {
    if given.len() > MOST_NAMES {
        violations.add(field, format!("has more than {MOST_NAMES} names"));
    }
    for (at, name) in given.iter().take(MOST_NAMES).enumerate() {
        if let Err(description) = check(name) {
            violations.add(format!("{field}[{at}]"), description);
        }
    }
    given.iter().cloned().collect()
}

fn is_given(name: &str) -> Result<(), String> {
    let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if is_name { Ok(()) } else { Err(format!("must have 1 to {LONGEST_NAME} printable characters")) }
}

/// Without its secret, which nobody has any more.
pub(super) fn shown(token: &Token) -> v1::Token {
    let role = match token.role {
        Role::Viewer => v1::token::Role::Viewer,
        Role::Operator => v1::token::Role::Operator,
        Role::Admin => v1::token::Role::Admin,
        Role::Agent => v1::token::Role::Agent,
    };
    let names = |names: &BTreeSet<String>| names.iter().cloned().collect();
    v1::Token {
        token_id: token.id.to_string(),
        display_name: token.display_name.clone(),
        role: role.into(),
        namespaces: names(&token.namespaces),
        expire_time: token.expire_time.map(proto_instant),
        secret: String::new(),
        author: token.author.clone(),
        create_time: Some(proto_instant(token.create_time)),
        revoke_time: token.revoke_time.map(proto_instant),
        agent_ids: names(&token.agent_ids),
        queues: names(&token.queues),
    }
}

/// What a client is told of a write that this node made itself.
pub(super) fn not_written(failure: Failure, method: &'static str, request_id: Option<&str>) -> Error {
    match failure {
        Failure::Unavailable(_) => Error::Refused(Refusal::Unavailable(Away::Ledger)),
        Failure::Unknown(_) => Error::OutcomeUnknown { request_id: request_id.map(str::to_owned) },
        Failure::Refused(why) => Error::Refused(Refusal::RefusedByLedger(why)),
        // No epoch, election, fire or watermark is in it.
        Failure::Deposed { .. }
        | Failure::LaterElection(_)
        | Failure::Conflict { .. }
        | Failure::Clock { .. }
        | Failure::WentBack { .. } => Error::Misanswered(method),
    }
}
