//! What a session is told, and what it answers with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use punctual_proto::v1::agent_message::Message as AgentMessage;
use punctual_proto::v1::log_chunk::Stream;
use punctual_proto::v1::server_message::Message as ServerMessage;

use super::ids::{AttemptKey, StreamId};
use super::task::{Completion, Task};
use crate::time::Boot;

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// The stream that [`Effect::Connect`] asked for can take messages.
    Connected { stream: StreamId },
    /// The server sent a message.
    Message { stream: StreamId, message: Box<ServerMessage> },
    /// The stream is gone, or never came to be. Streams that the session closed itself need not be named.
    Closed { stream: StreamId, why: Closed },
    /// Time passed: [`Session::next_wakeup`](super::Session::next_wakeup) has come. Also the moment at which what has
    /// gathered is sent, so give it once all inputs at hand have been given.
    Tick,
    /// A task that was started said something.
    Task { attempt: AttemptKey, event: TaskEvent },
    /// Take no new work, finish what is held, leave.
    Drain,
    /// Kill what runs, report it, leave.
    Stop,
}

/// Why a stream is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The server refused the agent: another instance of its id is alive.
    AlreadyExists(String),
    /// Anything else, in words.
    Lost(String),
}

/// What a task says; nothing after `Finished`.
#[derive(Clone, Debug)]
pub enum TaskEvent {
    /// It runs.
    Started,
    /// How far it is: percent, and what it is doing.
    Progress { percent: f64, message: String },
    /// What it wrote.
    Log { stream: Stream, data: Bytes },
    /// It has ended, and nothing of it is left.
    Finished(Completion),
}

/// What the shell is to do. Effects are done in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Open a stream to this server; answer `Connected` or `Closed`.
    Connect { stream: StreamId, server: String },
    /// Close the stream, and drop what has not been read.
    Close { stream: StreamId },
    /// Send a message.
    Send { stream: StreamId, message: Box<AgentMessage> },
    /// Start the task.
    Start(Arc<Task>),
    /// Ask the task to end.
    Cancel { attempt: AttemptKey },
    /// Kill the task.
    Kill { attempt: AttemptKey },
    /// The right to run goes on until then: no task may live longer.
    RunUntil(Boot),
    /// A leader has had the proofs that earlier instances are gone for as long as it would have waited without them. What
    /// it made of them is in the ledger, or the next leader has to wait as well.
    ProofsTaken,
    /// Something that people should read.
    Say(Notice),
    /// A task in this process did not end when it was killed: end the process, hard.
    Abort { attempt: AttemptKey },
    /// All is done: leave.
    Exit,
}

/// What people should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// No server could be reached; said again once a minute.
    NoServer { tried: Vec<String>, last_error: String },
    /// A leader took the agent on.
    Welcomed { server: String, node: String },
    /// Another instance of this agent's id is alive; the agent goes on trying.
    AlreadyExists { server: String, message: String },
    /// The server's epoch is lower than one seen before.
    LeftStaleServer { server: String },
    /// The right to run is about to end: tasks are stopped.
    RightEnding { attempts: usize },
    /// This machine's wall clock is ahead of the server's, or behind it, by as much as this at least.
    ClockWrong { by: Duration, ahead: bool },
    /// It is not any more.
    ClockRight,
}
