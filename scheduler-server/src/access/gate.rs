//! Whether a caller may call: the table of [`rules`](super::rules), applied.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::LazyLock;

use axum::http::HeaderMap;
use prost_reflect::DescriptorPool;
use scheduler_core::access::Role;

use super::refusals::Refusals;
use super::rules::{self, Entry, Place, RULES, Rule};
use super::wire::text_at;
use super::{Caller, Reach, SignIn, SignInError};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(punctual_proto::FILE_DESCRIPTOR_SET)
        .expect("because the descriptor set is built in and whole")
});

/// Where requests have their namespace, as numbers of fields.
static PATHS: LazyLock<HashMap<&'static str, Vec<u32>>> = LazyLock::new(|| {
    let path = |rule: &Rule| {
        let (Place::In(field) | Place::Among(field)) = rule.place else { return None };
        let (service, method) = rule.method.split_once('/')?;
        let service = POOL.get_service_by_name(service)?;
        let method = service.methods().find(|described| described.name() == method)?;
        Some((rule.method, numbers(method.input().full_name(), field)))
    };
    RULES.iter().filter_map(path).collect()
});

/// The numbers of the fields on a path of names.
pub(super) fn numbers(message: &str, path: &str) -> Vec<u32> {
    let mut message = POOL.get_message_by_name(message);
    let numbers = path.split('.').filter_map(|name| {
        let field = message.as_ref()?.get_field_by_name(name)?;
        message = field.kind().as_message().cloned();
        Some(field.number())
    });
    numbers.collect()
}

/// Why a call goes no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error("{0}")]
    NotAllowed(String),
    #[error("there is no such method")]
    NoMethod,
    #[error("the request cannot be read")]
    Unreadable,
}

/// What must still be looked at before a service sees the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// Nothing.
    Wholly(&'static Rule),
    /// The namespace that the request names.
    ByNamespace(&'static Rule),
}

impl Admitted {
    /// Of the method, as `JobService/GetJob`.
    pub fn method(self) -> &'static str {
        let (Self::Wholly(rule) | Self::ByNamespace(rule)) = self;
        short(rule)
    }
}

/// See the module.
pub struct Gate {
    /// `None`: nobody signs in.
    sign_in: Option<SignIn>,
    refusals: Refusals,
    /// Roles whose bearers must show a client's certificate, too.
    certified: BTreeSet<Role>,
}

impl Gate {
    pub fn new(sign_in: Option<SignIn>, refusals: Refusals) -> Self {
        Self { sign_in, refusals, certified: BTreeSet::new() }
    }

    /// Tokens of these roles are good only on a connection with a client's certificate.
    #[must_use]
    pub fn certified(self, roles: BTreeSet<Role>) -> Self {
        Self { certified: roles, ..self }
    }

    /// Whether the caller's connection shows what the role asks for.
    pub fn check_certificate(&self, caller: &Caller) -> Result<(), Denied> {
        match caller.token().map(|token| token.role) {
            Some(role) if !caller.has_certificate() && self.certified.contains(&role) => {
                let error = SignInError::NoCertificate(role);
                self.refusals.note(caller.origin("SignIn"), "", &error.to_string());
                Err(error.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Of a server where nobody signs in.
    pub fn open() -> Self {
        Self::new(None, Refusals::nowhere())
    }

    /// Who comes in at a path with these headers; `None`: whoever it is, they need not say.
    pub async fn caller(
        &self,
        entry: Entry,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>, Denied> {
        let Some(sign_in) = &self.sign_in else { return Ok(Some(Caller::anyone(address))) };
        let role = match entry {
            Entry::Open => return Ok(None),
            Entry::SignedIn => None,
            Entry::Role(role) => Some(role),
        };
        let caller = match sign_in.caller(headers, address).await {
            Ok(caller) => caller,
            Err(error) => {
                if matches!(error, SignInError::NotRight(_) | SignInError::Ended) {
                    self.refusals.note(Caller::anyone(address).origin("SignIn"), "", &error.to_string());
                }
                return Err(error.into());
            }
        };
        match role {
            Some(role) => self.act_as(&caller, role, "this path").map(|()| Some(caller)),
            None => Ok(Some(caller)),
        }
    }

    /// Whether the caller may call the method at all.
    pub fn admit(&self, caller: Option<&Caller>, path: &str) -> Result<Admitted, Denied> {
        let rule = rules::of_method(path);
        let Some(caller) = caller else {
            let open = rule.filter(|rule| rule.role.is_none());
            return open.map(Admitted::Wholly).ok_or_else(|| SignInError::NoToken.into());
        };
        let rule = rule.ok_or(Denied::NoMethod)?;
        if let Some(role) = rule.role {
            self.act_as(caller, role, short(rule))?;
        }
        match (rule.place, caller.reach()) {
            (Place::Cluster, _) | (_, Reach::All) => Ok(Admitted::Wholly(rule)),
            (Place::In(_) | Place::Among(_), Reach::Only(_)) => Ok(Admitted::ByNamespace(rule)),
            (Place::Whole, Reach::Only(_)) => {
                let why = format!("{} is for tokens of all namespaces", short(rule));
                Err(self.refuse(caller, short(rule), "", why))
            }
        }
    }

    /// Whether the caller may call it in the namespace that the request names.
    pub fn admit_to_namespace(&self, caller: &Caller, rule: &'static Rule, message: &[u8]) -> Result<(), Denied> {
        let path = PATHS.get(rule.method).ok_or(Denied::NoMethod)?;
        let named = text_at(message, path).map_err(|_| Denied::Unreadable)?;
        let namespace = if named.is_empty() { job_spec::DEFAULT_NAMESPACE } else { &named };
        let is_all = named == "-" && matches!(rule.place, Place::Among(_));
        if is_all || caller.reach().covers(namespace) {
            return Ok(());
        }
        // What is no name is not repeated, in logs least of all.
        let shown = if job_spec::id(namespace).is_ok() { namespace } else { "" };
        let why = format!("the token is not good for the namespace {shown}").trim_end().to_owned();
        Err(self.refuse(caller, short(rule), shown, why))
    }

    fn act_as(&self, caller: &Caller, role: Role, what: &str) -> Result<(), Denied> {
        if caller.may_act_as(role) {
            return Ok(());
        }
        let has = caller.token().map(|token| token.role.as_str()).unwrap_or_default();
        Err(self.refuse(caller, what, "", format!("{what} needs the role {role}; the token's is {has}")))
    }

    fn refuse(&self, caller: &Caller, method: &str, namespace: &str, why: String) -> Denied {
        self.refusals.note(caller.origin(method), namespace, &why);
        Denied::NotAllowed(why)
    }
}

/// `JobService/GetJob`
fn short(rule: &Rule) -> &'static str {
    rule.method.strip_prefix("punctual.v1.").unwrap_or(rule.method)
}
