//! A run as REST tells it, and what must hold for all runs of a job together.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

/// What the tests look at; JSON prints 64-bit integers as strings.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub run_id: String,
    pub job_id: String,
    #[serde(default)]
    pub job_uid: String,
    pub trigger: String,
    pub state: String,
    pub reason: String,
    pub attempt: u32,
    pub agent_id: String,
    fencing_token: String,
    pub scheduled_time: DateTime<Utc>,
    pub first_scheduled_time: Option<DateTime<Utc>>,
    pub coalesced_count: u32,
    pub start_time: Option<DateTime<Utc>>,
    pub end_time: Option<DateTime<Utc>>,
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub number: u32,
    pub state: String,
    pub agent_id: String,
    pub slot: u64,
    fencing_token: String,
    pub create_time: DateTime<Utc>,
    pub not_started: bool,
}

impl Attempt {
    pub fn fencing_token(&self) -> u64 {
        number(&self.fencing_token)
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn read(value: Value) -> Self {
        Self::deserialize(&value).unwrap_or_else(|error| panic!("not a run ({error}): {value}"))
    }

    pub fn fencing_token(&self) -> u64 {
        number(&self.fencing_token)
    }

    pub fn succeeded(&self) -> bool {
        self.state == "SUCCEEDED"
    }

    pub fn ended(&self) -> bool {
        !matches!(self.state.as_str(), "PENDING" | "RUNNING")
    }

    /// The first of the instants that this record stands for.
    pub fn first(&self) -> DateTime<Utc> {
        self.first_scheduled_time.unwrap_or(self.scheduled_time)
    }
}

fn number(token: &str) -> u64 {
    token.parse().expect("because a token is a number")
}

/// Promises 1 and 2, for the scheduled runs of a job with one `every`: from its first instant on, each is covered by
/// one record, whatever became of it.
#[track_caller]
pub fn assert_no_gap(history: &[Run], first: DateTime<Utc>, every: TimeDelta) {
    let mut records: Vec<&Run> = history.iter().filter(|run| run.trigger == "SCHEDULE").collect();
    records.sort_by_key(|run| run.scheduled_time);
    let mut next = first;
    for run in records {
        assert_eq!(run.first(), next, "an instant is missing, or there twice, before {run:?}");
        assert_eq!(
            next + every * (run.coalesced_count as i32 - 1),
            run.scheduled_time,
            "the count is not that of the instants: {run:?}"
        );
        next = run.scheduled_time + every;
    }
}
