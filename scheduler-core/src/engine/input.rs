//! What goes into the engine and what comes out.

use crate::agent::{Closed, FromAgent, Hello, StreamId, ToAgent};
use crate::txn::{Call, CallId, Done, Failure};

use super::request::{Answer, Refusal, Request};

/// A request's handle, by which the shell knows whom to answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestHandle(pub u64);

/// A question to the coordinator whether this node still leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProofId(pub u64);

/// Everything that the engine ever learns.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Wake,
    /// The coordinator made this node the leader.
    Elected,
    /// The coordinator says that this node leads no more.
    Unelected,
    /// Begin nothing new: the process is about to end. What the ledger has been asked for is followed up.
    Stop,
    /// This node led at some instant after the question was asked.
    LeadershipProved(ProofId),
    Called(CallId, Result<Done, Failure>),
    Hello(StreamId, Hello),
    FromAgent(StreamId, FromAgent),
    StreamClosed(StreamId),
    Request(RequestHandle, Request),
    /// Nobody waits for the answer any more. What has not begun is dropped.
    RequestAbandoned(RequestHandle),
}

/// Everything that the engine ever does. The shell starts effects in any order, concurrently: each is
/// emitted only when all that it depends on has been confirmed by an input.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Ask the coordinator for leadership.
    Campaign,
    /// Ask the coordinator whether this node still leads; no answer means no.
    ProveLeadership(ProofId),
    Call(CallId, Call),
    Send(StreamId, ToAgent),
    /// Close the stream after what was sent.
    Close(StreamId, Closed),
    Answer(RequestHandle, Result<Answer, Refusal>),
    /// Something that a human must hear of.
    Alert(Alert),
}

/// What a human must hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Alert {
    /// Another node has taken over; this one stops deciding.
    Deposed(String),
    /// The ledger and the engine disagree: the engine loads everything anew.
    Disagreement(String),
    /// The ledger did not do a call; it is repeated.
    LedgerFails(String),
    /// A new term has begun.
    TookOver { epoch: crate::ids::Epoch, jobs: usize, unended_runs: usize },
    /// A stored schedule cannot be evaluated: the job does not fire.
    UnusableSchedule { job: crate::job::JobKey, why: crate::Violations },
    /// A stored calendar cannot be understood: schedules that name it do not fire.
    UnusableCalendar { calendar: crate::calendar::CalendarKey, why: crate::Violations },
    /// An agent's attempts were given up.
    AgentLost { agent: crate::ids::AgentId, attempts: usize },
}
