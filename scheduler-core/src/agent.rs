//! The agent's stream as the engine sees it: the messages of PROTOCOL.md section 5, without their wire format.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, AgentInstance, AttemptId, Epoch, FencingToken};
use crate::job::{JobKey, Payload};
use crate::run::{Progress, TaskError};
use crate::text_enum::text_enum;
use crate::time::Timestamp;

/// One connection of an agent to this server. Numbered by the shell, ascending, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// A named kind of work, and what its payload must look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskType {
    pub name: String,
    /// JSON Schema text.
    pub payload_schema: Option<String>,
}

/// How an agent presents itself on a new stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    pub agent_id: AgentId,
    pub instance: AgentInstance,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub queues: Vec<String>,
    pub task_types: Vec<TaskType>,
    /// How many attempts it runs at a time.
    pub slots: u32,
    pub highest_epoch_seen: Epoch,
    /// Earlier instances that are gone with all their tasks: the agent holds the lock that each of them
    /// and its supervisors held.
    pub instances_proved_gone: Vec<AgentInstance>,
}

/// What an agent has at the moment it joins: the truth about what was really handed out.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inventory {
    pub held: Vec<AttemptId>,
    pub reports: Vec<Report>,
}

/// What an agent says of an attempt, numbered per attempt: the same number is always the same report.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub attempt: AttemptId,
    pub sequence: u64,
    pub time: Timestamp,
    pub event: ReportEvent,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ReportEvent {
    Started,
    Progress(Progress),
    Finished(Finished),
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    pub outcome: Outcome,
    /// JSON text.
    pub result: Option<String>,
    pub error: Option<TaskError>,
    pub exit_code: Option<i32>,
    /// Whether the handler thinks that another attempt may do better.
    pub retryable: bool,
    /// When the task was started, where that was not reported before.
    pub start_time: Option<Timestamp>,
}

text_enum! {
    /// What an agent says of an attempt that is over.
    Outcome {
        Succeeded = "SUCCEEDED",
        Failed = "FAILED",
        TimedOut = "TIMED_OUT",
        Cancelled = "CANCELLED",
        /// The agent stopped it because its right to run was ending.
        Lost = "LOST",
    }
}

/// A piece of a task's output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogChunk {
    pub attempt: AttemptId,
    /// From 1, ascending per attempt.
    pub sequence: u64,
    pub source: LogSource,
    pub time: Timestamp,
    pub data: Vec<u8>,
    /// Bytes that were cut before this chunk, by the rate or the size limit.
    pub cut_bytes: u64,
}

text_enum! {
    /// Where a log chunk was read.
    LogSource {
        Stdout = "STDOUT",
        Stderr = "STDERR",
    }
}

/// What an agent says after its Hello.
#[derive(Clone, PartialEq, Debug)]
pub enum FromAgent {
    Inventory(Inventory),
    Heartbeat {
        n: u64,
        /// By its machine's wall clock, if it says.
        sent_time: Option<Timestamp>,
    },
    Reports(Vec<Report>),
    Logs(Vec<LogChunk>),
    /// It did not take an attempt: it is not started and never will be.
    Rejected {
        attempt: AttemptId,
        reason: String,
    },
    /// The answer to a revoke.
    Revoked {
        attempt: AttemptId,
        not_started: bool,
    },
    /// It takes no new work and leaves when it has finished what it holds.
    Draining,
}

/// What a server says to an agent.
#[derive(Clone, PartialEq, Debug)]
pub enum ToAgent {
    Welcome(Welcome),
    /// With the server's clock when the heartbeat came and now, for the agent to measure its own by.
    HeartbeatConfirmed {
        n: u64,
        received_time: Timestamp,
        sent_time: Timestamp,
    },
    Assign(Vec<Assign>),
    Cancel {
        attempt: AttemptId,
        reason: CancelReason,
    },
    Ack(Vec<Ack>),
    LogAck(Vec<LogAck>),
    /// Take no new work, finish what there is, and leave.
    Drain,
}

/// Who keeps new work from an agent, when and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cordon {
    pub note: String,
    pub author: String,
    pub time: Timestamp,
}

text_enum! {
    /// Why an agent is asked to end an attempt.
    CancelReason {
        Requested = "REQUESTED",
        /// A later fire takes its place.
        Overlap = "OVERLAP",
        /// The ledger has ended it, or does not know it.
        NotHeld = "NOT_HELD",
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// `None`: the node is elected and has not taken over; another Welcome follows.
    pub epoch: Option<Epoch>,
    pub agent_ttl: Duration,
    pub heartbeat_interval: Duration,
    pub server_time: Timestamp,
}

/// The order to execute an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assign {
    pub epoch: Epoch,
    pub instance: AgentInstance,
    pub attempt: AttemptId,
    pub fencing_token: FencingToken,
    pub slot: u32,
    pub job: JobKey,
    pub task_type: String,
    pub payload: Payload,
    pub scheduled_time: Timestamp,
    /// Not before this instant of the server's clock; `None`: at once.
    pub start_at: Option<Timestamp>,
    pub timeout: Duration,
    pub kill_grace: Duration,
}

/// A report is in the ledger, or never will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    pub attempt: AttemptId,
    /// This report and all before it.
    pub sequence: u64,
    /// The attempt had ended, or is unknown.
    pub refused: bool,
}

/// Log chunks up to this one are in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogAck {
    pub attempt: AttemptId,
    pub sequence: u64,
}

/// Why a stream is closed by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// Another instance of the same id beats.
    AlreadyExists,
    /// The same instance opened a newer stream.
    Replaced,
    /// It said something that its state does not allow.
    Protocol(&'static str),
    /// This node does not lead.
    NotLeading,
}
