//! Typed identifiers: none is a bare string or integer across a seam.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A UUIDv7 for `time` with the given random bits.
            pub fn at(time: Timestamp, random: u128) -> Self {
                Self(uuid_v7(time, random))
            }

            /// The millisecond that the id was made for.
            pub fn time(self) -> Timestamp {
                Timestamp::from_millis(i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

uuid_id! {
    /// A job through all its revisions; a job created anew under the same name gets another.
    JobUid
}
uuid_id! {
    /// One run. UUIDv7 of its `decided_at`, so that rows entered since an instant are a range of ids.
    RunId
}
uuid_id! {
    /// One request for runs of past instants.
    BackfillId
}
uuid_id! {
    /// One start of an agent process: lease, locks and attempts belong to it.
    AgentInstance
}
uuid_id! {
    /// One bearer token.
    TokenId
}
uuid_id! {
    /// One event of the audit.
    AuditEventId
}
string_id! {
    /// What operators call an agent; outlives its instances.
    AgentId
}
string_id! {
    /// What operators call a server.
    NodeId
}

/// The leader's term. Grows with every take-over, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `(epoch << 20) + n`, n counting the attempts handed out in the epoch: a later attempt always has a
/// higher token than an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub i64);

impl FencingToken {
    /// In which it was handed out, or a little above: see [`Self::nth`].
    pub fn epoch(self) -> Epoch {
        Epoch(self.0 >> 20)
    }

    /// The n-th token of an epoch. Past 2^20 attempts the count runs into the epoch's bits, which is
    /// why a take-over starts above the `token_ceiling`.
    pub fn nth(epoch: Epoch, n: i64) -> Self {
        Self((epoch.0 << 20) + n)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One execution of a run: its run and its number, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptId {
    pub run: RunId,
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.number)
    }
}

/// UUIDv7 (RFC 9562, section 5.7) of a millisecond and 74 random bits.
fn uuid_v7(time: Timestamp, random: u128) -> Uuid {
    let millis = u128::from(u64::try_from(time.as_millis()).unwrap_or(0)) & 0xffff_ffff_ffff;
    let rand_a = (random >> 62) & 0xfff;
    let rand_b = random & 0x3fff_ffff_ffff_ffff;
    Uuid::from_u128((millis << 80) | (0x7 << 76) | (rand_a << 64) | (0x2 << 62) | rand_b)
}
