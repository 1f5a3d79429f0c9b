//! Calendars as users keep them; what their dates mean to a schedule is [`crate::schedule`]'s.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::schedule;
use crate::time::Timestamp;

/// How users name a calendar. Schedules name it by its id, within their namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CalendarKey {
    pub namespace: String,
    pub calendar_id: String,
}

impl fmt::Display for CalendarKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.calendar_id)
    }
}

/// What users define. Its dates are `dates`, whose name is the calendar's id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Definition {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub dates: schedule::Calendar,
}

/// A calendar as the ledger has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Calendar {
    pub key: CalendarKey,
    pub definition: Definition,
    /// Grows by one with every change.
    pub revision: i64,
    /// The engine's number of the change, over all jobs and calendars.
    pub change_seq: i64,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
}

impl Calendar {
    /// Changes with every revision and with nothing else.
    pub fn etag(&self) -> String {
        // A calendar that was deleted and created anew has another time of creation.
        format!("{:x}-{}", self.create_time.as_micros() as u32, self.revision)
    }
}
