//! Who calls.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::access::{Role, Token};
use scheduler_core::agent::Hello;
use scheduler_core::audit::Origin;

use super::{Clocks, Proved};
use crate::peers::CalledFrom;

/// Who acts where nobody signs in, in revisions and pauses.
const ANONYMOUS: &str = "anonymous";
/// How soon a stream ends whose token has.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who calls, proved by the port; it travels with the request.
#[derive(Clone)]
pub struct Caller {
    bearer: Option<Bearer>,
    address: Option<IpAddr>,
    has_certificate: bool,
}

/// A token that was good when the call came in.
#[derive(Clone)]
struct Bearer {
    token: Arc<Token>,
    tokens: Arc<Proved>,
    clocks: Clocks,
}

/// A call that the gate has let through.
#[derive(Clone, Debug)]
pub struct Admission {
    pub caller: Caller,
    /// `JobService/UpdateJob`
    pub method: &'static str,
}

impl Admission {
    /// Of a call that comes to the services by another way than the port, where nobody signs in.
    pub fn of_anyone(method: &'static str) -> Self {
        Self { caller: Caller::anyone(None), method }
    }
}

/// Namespaces that a caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    All,
    Only(BTreeSet<String>),
}

impl Reach {
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(namespaces) => namespaces.contains(namespace),
        }
    }
}

impl Caller {
    /// Somebody at a server where nobody signs in: they may do everything.
    pub fn anyone(address: Option<IpAddr>) -> Self {
        Self { bearer: None, address, has_certificate: false }
    }

    pub(super) fn bearer(token: Arc<Token>, tokens: Arc<Proved>, clocks: Clocks, address: Option<IpAddr>) -> Self {
        Self { bearer: Some(Bearer { token, tokens, clocks }), address, has_certificate: false }
    }

    /// Whether their connection showed a client's certificate.
    #[must_use]
    pub fn with_certificate(self, has_certificate: bool) -> Self {
        Self { has_certificate, ..self }
    }

    pub fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    /// What the leader is told of them when their call is passed on.
    pub fn called_from(&self) -> Option<CalledFrom> {
        Some(CalledFrom { address: self.address?, has_certificate: self.has_certificate })
    }

    /// `None` where nobody signs in.
    pub fn token(&self) -> Option<&Token> {
        self.bearer.as_ref().map(|bearer| &*bearer.token)
    }

    /// As whom they act.
    pub fn author(&self) -> String {
        self.token().map_or_else(|| ANONYMOUS.to_owned(), Token::principal)
    }

    /// `method` as `JobService/UpdateJob`.
    pub fn origin(&self, method: &str) -> Origin {
        Origin {
            principal: self.token().map(Token::principal).unwrap_or_default(),
            token: self.token().map(|token| token.id),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            method: method.to_owned(),
        }
    }

    pub fn reach(&self) -> Reach {
        match self.token() {
            Some(token) if !token.namespaces.is_empty() => Reach::Only(token.namespaces.clone()),
            _ => Reach::All,
        }
    }

    /// Whether their role is this one, or has all that it has.
    pub fn may_act_as(&self, role: Role) -> bool {
        let Some(token) = self.token() else { return true };
        match (token.role, role) {
            (Role::Agent, role) | (_, role @ Role::Agent) => token.role == role,
            (has, needed) => has >= needed,
        }
    }

    /// Whether their token is good for such an agent; if not, why.
    pub fn may_be(&self, hello: &Hello) -> Result<(), String> {
        let Some(token) = self.token() else { return Ok(()) };
        if !token.agent_ids.is_empty() && !token.agent_ids.contains(hello.agent_id.as_str()) {
            return Err(format!("the token is not good for an agent with the id {}", hello.agent_id));
        }
        match hello.queues.iter().find(|queue| !token.queues.is_empty() && !token.queues.contains(*queue)) {
            Some(queue) => Err(format!("the token is not good for the queue {queue}")),
            None => Ok(()),
        }
    }

    /// Waits until the token has expired or is revoked; for ever where nobody signs in. While the ledger does not answer,
    /// nothing has been revoked.
    pub async fn signed_out(&self) {
        let Some(Bearer { token, tokens, clocks }) = &self.bearer else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let now = clocks();
            match tokens.find(token.id, now.boot).await {
                Ok(Some((token, _))) if token.is_good_at(now.wall) => {}
                Err(_) if token.is_good_at(now.wall) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("author", &self.author()).field("address", &self.address).finish_non_exhaustive()
    }
}
