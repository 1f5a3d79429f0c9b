//! Roles, and the tokens that give them. Who may call what is the server's to say, by its table of rules.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::TokenId;
use crate::text_enum::text_enum;
use crate::time::Timestamp;

text_enum! {
    /// What the bearer of a token may do.
    Role {
        /// Read.
        Viewer = "VIEWER",
        /// Read, and steer what is defined.
        Operator = "OPERATOR",
        /// Everything but being an agent.
        Admin = "ADMIN",
        /// Open an agent's stream, and nothing else.
        Agent = "AGENT",
    }
}

/// A bearer token without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub display_name: String,
    pub role: Role,
    /// Empty: all.
    pub namespaces: BTreeSet<String>,
    /// Of an agent's token: the agents that it is good for. Empty: any.
    pub agent_ids: BTreeSet<String>,
    /// Of an agent's token: the queues that its agents may serve. Empty: any.
    pub queues: BTreeSet<String>,
    /// `None`: never.
    pub expire_time: Option<Timestamp>,
    pub author: String,
    pub create_time: Timestamp,
    pub revoke_time: Option<Timestamp>,
}

impl Token {
    /// Whether it has neither expired nor been revoked.
    pub fn is_good_at(&self, now: Timestamp) -> bool {
        self.revoke_time.is_none() && self.expire_time.is_none_or(|expires| now < expires)
    }

    /// What its bearer is called where it acts: in revisions, pauses and the audit.
    pub fn principal(&self) -> String {
        if self.display_name.is_empty() { self.id.to_string() } else { self.display_name.clone() }
    }
}
