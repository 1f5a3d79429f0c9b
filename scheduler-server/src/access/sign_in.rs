//! Says who calls: proves the token that comes with a request.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use scheduler_core::access::Role;
use scheduler_core::ids::TokenId;

use super::rates::Rates;
use super::{Caller, Clocks, Proved, Rate, Secret};

/// Tokens that are not right, an address. They cannot be guessed; it is for the ledger's peace.
const FAILURES: Rate = Rate { per_second: 1.0 / 6.0, burst: 10.0 };
const SCHEME: &str = "Bearer";

/// Why nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    #[error("sign in with a token: Authorization: Bearer pct_…")]
    NoToken,
    #[error("{0}")]
    NotRight(String),
    #[error("the token has expired or was revoked: ask for a new one")]
    Ended,
    #[error("a token of the role {0} is good only with a client's certificate: give one with --tls-cert and --tls-key")]
    NoCertificate(Role),
    #[error("too many tokens that are not right came from this address: try again in {} s", .0.as_secs().max(1))]
    TooManyFailures(Duration),
    #[error("more requests than this token may make: try again in {} ms", .0.as_millis().max(1))]
    TooFast(Duration),
    #[error("the token cannot be looked up: {0}")]
    Unavailable(String),
}

/// See the module.
pub struct SignIn {
    tokens: Arc<Proved>,
    clocks: Clocks,
    failures: Rates<IpAddr>,
    requests: Rates<TokenId>,
}

impl SignIn {
    /// `rate` is how often one token may call.
    pub fn new(tokens: Arc<Proved>, clocks: Clocks, rate: Rate) -> Self {
        Self { tokens, clocks, failures: Rates::new(FAILURES), requests: Rates::new(rate) }
    }

    /// Who calls with these headers from this address. Who has proved a token before is not held up by the failures of
    /// others behind the same address.
    pub async fn caller(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Caller, SignInError> {
        let from = network(address);
        let now = (self.clocks)();
        let failed = |error| {
            // What is counted is refused anyway.
            let _ = self.failures.take(from, now.boot);
            Err(error)
        };
        let secret = bearer(headers)?;
        let is_known = self.tokens.remembered(secret.id()).is_some_and(|(_, hash, _)| secret.is_of(&hash));
        if let Some(wait) = self.failures.wait(from, now.boot).filter(|_| !is_known) {
            return Err(SignInError::TooManyFailures(wait));
        }
        let found = self.tokens.find(secret.id(), now.boot).await;
        let found = found.map_err(|error| SignInError::Unavailable(error.to_string()))?;
        let Some((token, _)) = found.filter(|(_, hash)| secret.is_of(hash)) else {
            return failed(SignInError::NotRight("there is no such token".to_owned()));
        };
        if !token.is_good_at(now.wall) {
            // Who has the secret does not guess.
            return Err(SignInError::Ended);
        }
        self.requests.take(token.id, now.boot).map_err(SignInError::TooFast)?;
        Ok(Caller::bearer(token, Arc::clone(&self.tokens), Arc::clone(&self.clocks), address))
    }
}

/// The one token of the headers. What is no token at all is refused without a look at the ledger, and is nobody's guess: it
/// does not count as a failure.
fn bearer(headers: &HeaderMap) -> Result<Secret, SignInError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    let first = first.ok_or(SignInError::NoToken)?;
    let text = first.to_str().ok().filter(|_| second.is_none()).and_then(|text| text.split_once(' '));
    let Some((_, token)) = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME)) else {
        let why = "the Authorization must be given once, as Bearer and a token";
        return Err(SignInError::NotRight(why.to_owned()));
    };
    Secret::read(token.trim()).map_err(|error| SignInError::NotRight(error.to_string()))
}

/// Whose failures are counted together: of IPv6 the network, whose addresses one machine may use in turn.
pub(super) fn network(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        Some(address) => address,
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests;
