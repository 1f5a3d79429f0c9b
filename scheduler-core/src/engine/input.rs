//! What goes into the engine and what comes out.

use std::time::Duration;

use crate::agent::{Closed, FromAgent, Hello, StreamId, ToAgent};
use crate::ids::{AgentId, AgentInstance, Epoch, NodeId};
use crate::lock::HeldLock;
use crate::time::Skew;
use crate::txn::{Call, CallId, Done, Election, Failure};

use super::clock::{ClockJump, MachineClock};
use super::config::MAX_CLOCK_SKEW;
use super::publication::Publication;
use super::request::{Answer, Refusal, Request};

/// A request's handle, by which the shell knows whom to answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestHandle(pub u64);

/// One of this node's candidacies: from asking for leadership until it is given up or lost. What the coordinator says
/// of an earlier one means nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CandidacyId(pub u64);

/// One renewal of the lease on which a candidacy stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeepAliveId(pub u64);

/// A leader's request to the coordinator for a lease for an agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LoanId(pub u64);

/// A leader's question to the coordinator about locks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockCallId(pub u64);

/// Another node that stands for election, or leads: so it reaches the ledger, and its clock is right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Other {
    pub node: NodeId,
    pub schedule_version: String,
}

/// A question to the coordinator whether this node still leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProofId(pub u64);

/// Everything that the engine ever learns.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Wake,
    /// The coordinator made this node the leader; by which election, where there is one.
    Elected(CandidacyId, Option<Election>),
    /// The candidacy is over: its key is gone.
    Unelected(CandidacyId),
    /// The lease was renewed at some instant after the keep-alive was sent.
    KeptAlive(KeepAliveId),
    /// The other nodes that stand or lead, all of them, whenever that has changed.
    Others(Vec<Other>),
    /// The leader of this epoch, to whom this node had a connection, is gone: its address refuses, or another process answers
    /// there.
    LeaderDied {
        epoch: Epoch,
        instance: String,
    },
    /// The leader whose key was deleted for dead lives: it stands again.
    LeaderSeen {
        instance: String,
    },
    /// The leader says that every change of a job or calendar up to this number is in the ledger.
    ChangesTold(i64),
    /// The process is about to end: begin nothing new, follow up what the ledger has been asked for, then give
    /// leadership up.
    Stop,
    /// This node led at some instant after the question was asked; at which revision of the coordinator, where it has them.
    LeadershipProved(ProofId, Option<i64>),
    /// The agent has a lease, from some instant after it was asked for, and how long it lasts after each renewal.
    LeaseLent(LoanId, AgentInstance, Duration),
    /// All locks that are held, at some instant after they were asked for.
    LocksRead(LockCallId, Vec<HeldLock>),
    /// Locks are taken, but for those that are held otherwise: these, as they are.
    LocksTaken(LockCallId, Vec<HeldLock>),
    /// The agent has no lease: no lock was taken.
    LocksNotTaken(LockCallId),
    /// Nobody has these locks under the holders named.
    LocksReleased(LockCallId),
    /// The leases of these agents have ended, and their locks with them.
    LeasesEnded(Vec<AgentInstance>),
    /// The leases of these agents may not have been renewed with this question, whose answer follows.
    LeasesUnrenewed(ProofId, Vec<AgentInstance>),
    Called(CallId, Result<Done, Failure>),
    Hello(StreamId, Hello),
    FromAgent(StreamId, FromAgent),
    StreamClosed(StreamId),
    /// This agent cannot connect to this node, as it has told another one.
    Unreached(AgentId),
    Request(RequestHandle, Request),
    /// Nobody waits for the answer any more. What has not begun is dropped.
    RequestAbandoned(RequestHandle),
}

/// Everything that the engine ever does. The shell starts effects in any order, concurrently: each is
/// emitted only when all that it depends on has been confirmed by an input.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Ask the coordinator for leadership.
    Campaign(CandidacyId),
    /// Renew the lease; no answer means no.
    KeepAlive(CandidacyId, KeepAliveId),
    /// Renew these agents' leases, and ask the coordinator then whether this node still leads; no answer means no.
    ProveLeadership(CandidacyId, ProofId, Vec<AgentInstance>),
    /// Give an agent a lease of this length, or renew the one that it has.
    LendLease(CandidacyId, LoanId, AgentInstance, Duration),
    /// Read all locks.
    ReadLocks(CandidacyId, LockCallId),
    /// Take locks for one agent, on its lease; no answer means that they may have been taken.
    TakeLocks(CandidacyId, LockCallId, Vec<HeldLock>),
    /// Give locks up, those of them that still have the holder named; no answer means that they may have been.
    ReleaseLocks(CandidacyId, LockCallId, Vec<HeldLock>),
    /// Give the candidacy up, or the leadership that it has won, so that another need not wait.
    Resign(CandidacyId),
    /// Delete the leadership key of this process, if it has one.
    Bury(String),
    /// End the process: another one has the ledger, which nobody else may have.
    Quit(String),
    Call(CallId, Call),
    Send(StreamId, ToAgent),
    /// Close the stream after what was sent.
    Close(StreamId, Closed),
    Answer(RequestHandle, Result<Answer, Refusal>),
    /// Tell those who watch runs.
    Publish(Publication),
    /// Something that a human must hear of.
    Alert(Alert),
}

/// What a human must hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Alert {
    /// This node leads no more.
    Deposed(String),
    /// It has given leadership up, and leaves it to others for a while.
    Resigned(&'static str),
    /// It cannot confirm that it leads: it decides no fires and hands nothing out.
    Suspended,
    /// It can again.
    Resumed,
    /// It does not stand for election, or no more.
    DoesNotStand(Bar),
    /// The ledger and the engine disagree: the engine loads everything anew.
    Disagreement(String),
    /// The ledger did not do a call; it is repeated.
    LedgerFails(String),
    /// A new term has begun, with so many jobs, of which so many had to be read.
    TookOver { epoch: crate::ids::Epoch, jobs: usize, read: usize, unended_runs: usize },
    /// What this node knew of jobs before it leads is not what the ledger has, as after a restore: it reads all.
    MemoryDiffers,
    /// A stored schedule cannot be evaluated: the job does not fire.
    UnusableSchedule { job: crate::job::JobKey, why: crate::Violations },
    /// A stored calendar cannot be understood: schedules that name it do not fire.
    UnusableCalendar { calendar: crate::calendar::CalendarKey, why: crate::Violations },
    /// A row of the ledger cannot be understood: what it is about is left alone.
    Unreadable { row: String, why: String },
    /// The ledger refuses its data: this is not in it, and will not be.
    RefusedByLedger { what: String, why: String },
    /// The ledger refuses the fires of a job, which is therefore paused.
    JobOutOfService { job: crate::job::JobKey, why: String },
    /// The ledger's wall clock was set.
    ClockJumped(ClockJump),
    /// The machine's differs from the ledger's, or does so no more.
    MachineClock(MachineClock),
    /// An agent's attempts were given up.
    AgentLost { agent: crate::ids::AgentId, attempts: usize },
}

/// Why a node does not stand for election.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Bar {
    #[error("the ledger does not answer")]
    Ledger,
    #[error("its machine's clock is {0}, and {MAX_CLOCK_SKEW:?} are the most; set it right, or the ledger's")]
    Clock(Skew),
    #[error("the ledger has the later schedule version {0}, and a node with it may be there")]
    ScheduleVersion(String),
    #[error("it has resigned, and leaves it to others for a while")]
    StandsBack,
}
