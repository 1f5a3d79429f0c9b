//! What agent and supervisor say to each other: JSON, a line each, over the socket pair that is the supervisor's
//! standard input.

use serde::{Deserialize, Serialize};

use crate::isolation::{Hidden, Identity, TaskLimits};

/// From the agent.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// First, and once.
    Run(Box<Command>),
    /// Everything is to be dead by then: microseconds of the boot-time clock. Replaces the one before.
    Deadline(i64),
    /// The task is asked to end.
    Cancel,
    /// Everything is killed.
    Kill,
}

/// What to run. Its output goes where the supervisor's own goes.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Command {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    /// The whole environment.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) working_dir: Option<String>,
    pub(crate) stdin: Option<String>,
    /// Whose rights it has; `None`: the agent's.
    pub(crate) identity: Option<Identity>,
    pub(crate) limits: TaskLimits,
    /// What it may not read.
    pub(crate) hidden: Hidden,
    /// As in [`Order::Deadline`].
    pub(crate) deadline: i64,
}

/// From the supervisor.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Word {
    /// The task runs.
    Started,
    /// It could not be started.
    NotStarted { message: String, retryable: bool },
    /// The task ended by itself or was killed, and nothing that it started is left.
    Ended(End),
}

/// How the task's first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum End {
    Exit(i32),
    Signal(i32),
    /// It could not be seen.
    Unknown,
}

/// One line for the socket.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("because these are plain structs");
    line.push(b'\n');
    line
}
