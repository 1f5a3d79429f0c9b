//! Schedules: what gives a job its fire times.
//!
//! [`Schedule`] is the definition, plain data as the ledger stores it; [`Compiled`] is what the engine asks
//! for the next and the previous fire. Neither reads a clock, and neither knows of runs: what becomes of a
//! fire is the engine's business.

mod calendar;
mod check;
mod civil;
mod compiled;
mod cron;
mod describe;
mod dst;
mod every;
mod hash;
mod jitter;
mod serde_micros;
mod words;
mod zone;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub use calendar::{Calendar, Date, DateRange, Exclusion};
pub use compiled::{Compiled, Count};
pub use dst::{ChangeKind, DstChange};
pub use words::duration as duration_in_words;

/// What decides which instants a schedule has: the time zone data, then the number of the evaluation itself,
/// to be raised with every change of it. Orders as text (PROTOCOL.md, rule 11).
pub static VERSION: LazyLock<String> = LazyLock::new(|| format!("{}-{EVALUATION:03}", chrono_tz::IANA_TZDB_VERSION));

const EVALUATION: u32 = 1;

/// Shorter periods than this are refused, whatever the server allows.
pub const SHORTEST_EVERY: Duration = Duration::from_millis(100);

/// A definition: the fire times are the union of `cron`, `every` and `at`, ascending, without duplicates.
/// Empty means manual only.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", with = "serde_micros::list")]
    pub every: Vec<Duration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Timestamp>,
    /// Stands alone: the delay from the end of one scheduled run to the next.
    #[serde(skip_serializing_if = "Option::is_none", with = "serde_micros::option")]
    pub after_completion: Option<Duration>,
    /// A name of the IANA time zone database; empty is UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
    /// No fire before this instant; `every` counts from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// No fire after this instant; one at it fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// The longest delay that is added to a fire, by hash.
    #[serde(skip_serializing_if = "Option::is_none", with = "serde_micros::option")]
    pub jitter: Option<Duration>,
    #[serde(skip_serializing_if = "Dst::is_default")]
    pub dst: Dst,
    /// Names of calendars whose dates have no fires.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_calendars: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fires: Option<u32>,
}

impl Schedule {
    /// Manual only: there is nothing that fires.
    pub fn is_empty(&self) -> bool {
        self.cron.is_empty() && self.every.is_empty() && self.at.is_empty() && self.after_completion.is_none()
    }
}

/// What becomes of the fixed-time fires that a change of the clocks swallows or repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dst {
    pub gap: Gap,
    pub overlap: Overlap,
}

impl Dst {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// For a civil time that does not exist, since the clocks were put forward over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Gap {
    /// One fire at the first instant after the gap, however many civil times it swallowed.
    #[default]
    NextValid,
    Skip,
}

/// For a civil time that occurs twice, since the clocks were put back over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Overlap {
    #[default]
    First,
    Last,
    Both,
}

/// What a schedule needs from outside itself to be compiled.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// `namespace/job_id`, which `H` is hashed from; without it `H` is refused.
    pub hash_key: Option<&'a str>,
    /// What `every` counts from where there is no `start_time`; previews without a job pass their `after`.
    pub create_time: Timestamp,
    /// The server's shortest period.
    pub min_every: Duration,
    /// Finds a calendar of the job's namespace by name.
    pub calendars: &'a dyn Fn(&str) -> Option<Arc<Exclusion>>,
}

impl Context<'static> {
    /// For a schedule without a job: no `H`, no calendars, `every` counts from `after`.
    pub fn preview(after: Timestamp) -> Self {
        Self { hash_key: None, create_time: after, min_every: SHORTEST_EVERY, calendars: &|_| None }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("hash_key", &self.hash_key)
            .field("create_time", &self.create_time)
            .field("min_every", &self.min_every)
            .finish_non_exhaustive()
    }
}
