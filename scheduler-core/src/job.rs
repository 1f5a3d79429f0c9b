//! Jobs: what users define, and what the ledger adds to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::JobUid;
use crate::labels::Labels;
use crate::schedule::Schedule;
use crate::text_enum::text_enum;
use crate::time::{Timestamp, duration_micros, optional_duration_micros};

/// How users name a job. A deleted job's name is free for a new job, which gets a new [`JobUid`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct JobKey {
    pub namespace: String,
    pub job_id: String,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.job_id)
    }
}

/// A JSON object as text, as the handler gets it: compact, whole numbers written as integers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(pub Arc<str>);

impl Default for Payload {
    fn default() -> Self {
        Self(Arc::from("{}"))
    }
}

/// What to run: a task type that agents offer, and its payload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Task {
    #[serde(rename = "type")]
    pub task_type: String,
    pub payload: Payload,
}

text_enum! {
    /// What becomes of a due fire when `max_instances` runs are active.
    OverlapPolicy {
        /// A SKIPPED row.
        Skip = "SKIP",
        /// Waits for a slot, up to `max_queued`.
        Queue = "QUEUE",
        /// Ends the oldest active run.
        CancelRunning = "CANCEL_RUNNING",
    }
}

text_enum! {
    /// What becomes of a run whose attempt was lost with its agent.
    OnLost {
        /// Another attempt, which counts against `max_attempts`.
        Retry = "RETRY",
        /// The run fails.
        Fail = "FAIL",
    }
}

/// When and how often a failed attempt is followed by another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    #[serde(with = "duration_micros")]
    pub initial_backoff: Duration,
    pub backoff_multiplier: f64,
    #[serde(with = "duration_micros")]
    pub max_backoff: Duration,
    /// Error codes (`EXIT_1`, `HTTP_503`) after which there is no other attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_retryable_codes: Vec<String>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            initial_backoff: Duration::from_secs(1),
            backoff_multiplier: 2.0,
            max_backoff: Duration::from_secs(60),
            non_retryable_codes: Vec::new(),
        }
    }
}

/// How much of a job's history is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Retention {
    pub max_runs: u32,
    #[serde(with = "duration_micros")]
    pub max_age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_runs: 10_000, max_age: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// What users define: what to run, when and how. Defaults are filled in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Definition {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    #[serde(default)]
    pub schedule: Schedule,
    pub task: Task,
    pub queue: String,
    /// Labels that an agent must have, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agent_selector: BTreeMap<String, String>,
    pub priority: i32,
    pub max_instances: u32,
    #[serde(with = "duration_micros")]
    pub misfire_grace_time: Duration,
    pub coalesce: bool,
    pub overlap_policy: OverlapPolicy,
    pub max_queued: u32,
    pub retry: Retry,
    /// Of an attempt, from its start.
    #[serde(with = "duration_micros")]
    pub timeout: Duration,
    /// From the cancel of an attempt to its kill.
    #[serde(with = "duration_micros")]
    pub kill_grace: Duration,
    /// How long a run may wait after its `not_before`.
    #[serde(default, with = "optional_duration_micros", skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<Duration>,
    pub on_lost: OnLost,
    /// Consecutive failed runs after which the job pauses; 0 = never.
    pub pause_after_failures: u32,
    pub delete_after_completion: bool,
    pub retention: Retention,
    pub enabled: bool,
}

impl Definition {
    /// A definition of `task` with every default of API.md.
    pub fn new(task: Task) -> Self {
        Self {
            display_name: String::new(),
            description: String::new(),
            labels: Labels::default(),
            schedule: Schedule::default(),
            task,
            queue: "default".to_owned(),
            agent_selector: BTreeMap::new(),
            priority: 0,
            max_instances: 1,
            misfire_grace_time: Duration::from_secs(60),
            coalesce: true,
            overlap_policy: OverlapPolicy::Skip,
            max_queued: 100,
            retry: Retry::default(),
            timeout: Duration::from_secs(3600),
            kill_grace: Duration::from_secs(10),
            start_deadline: None,
            on_lost: OnLost::Retry,
            pause_after_failures: 0,
            delete_after_completion: false,
            retention: Retention::default(),
            enabled: true,
        }
    }
}

/// An operator's halt, outside the definition: manual triggers still work.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pause {
    pub note: String,
    pub author: String,
    pub time: Timestamp,
}

text_enum! {
    /// What a job shows; the first that applies: DELETED, DISABLED, PAUSED, COMPLETED, ACTIVE.
    JobState {
        Active = "ACTIVE",
        Paused = "PAUSED",
        Disabled = "DISABLED",
        /// Its schedule is not empty and has no fire left.
        Completed = "COMPLETED",
        Deleted = "DELETED",
    }
}

/// What is counted of a job, in the transaction that adds to it, for jobs whose definition asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Instants that have been decided, towards `max_fires`.
    pub fires: u64,
    /// Runs that failed since the last one that succeeded, towards `pause_after_failures`.
    pub failures: u32,
}

/// A job as the ledger has it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    pub uid: JobUid,
    pub key: JobKey,
    pub definition: Arc<Definition>,
    pub pause: Option<Pause>,
    /// Grows by one with every edit, pause, resume, enable, disable, delete and undelete.
    pub revision: i64,
    /// The engine's number of the change that made this revision, over all jobs and calendars. A term's are above those of
    /// every term before.
    pub change_seq: i64,
    /// Fires at or before this instant were settled by the change: nothing is decided for them any more.
    pub effective_from: Timestamp,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub delete_time: Option<Timestamp>,
    pub counts: Counts,
}

impl Job {
    /// How many instants may still be decided; `None`: any number.
    pub fn fires_left(&self) -> Option<u64> {
        let max = self.definition.schedule.max_fires?;
        Some(u64::from(max).saturating_sub(self.counts.fires))
    }

    /// Whether the schedule makes this job fire (whether or not it has a fire left).
    pub fn fires(&self) -> bool {
        self.delete_time.is_none() && self.definition.enabled && self.pause.is_none()
    }

    /// The shown state; `completed` says whether the schedule is not empty and has no fire left.
    pub fn state(&self, completed: bool) -> JobState {
        if self.delete_time.is_some() {
            JobState::Deleted
        } else if !self.definition.enabled {
            JobState::Disabled
        } else if self.pause.is_some() {
            JobState::Paused
        } else if completed {
            JobState::Completed
        } else {
            JobState::Active
        }
    }

    /// Changes with every revision and with nothing else.
    pub fn etag(&self) -> String {
        format!("{:x}-{}", self.uid.0.as_u128() as u32, self.revision)
    }
}
