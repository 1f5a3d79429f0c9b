//! The table of long-lived tasks: every one is spawned here, named, and looked after. One that ends although
//! nobody asked it to ends the process, loudly.

use std::fmt;

use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

/// Every long-lived task of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskKind {
    /// Owns the engine. Woken by inputs and by the engine's own wake-ups. Its end: this node leads no more.
    Leader,
    /// Follows the leader of a cluster while that is another node. Its end: a dead leader is replaced only when its lease ends, by
    /// a node that must read all jobs.
    Follower,
    /// Accepts connections. Its end: nobody reaches this node.
    Port,
    /// Writes refused attempts to the audit, deletes old events. Woken by refusals and every ten minutes. Ends with the port.
    Audit,
    /// Looks after the lock on a ledger in Postgres, which ends with its session. Its end: another server has it.
    LedgerLock,
    /// Asks the coordinator how large its database is. Woken every half minute. Its end: the metric stays as it was.
    Sizes,
    /// Looks whether the files of the port's certificate have changed. Its end: they are not renewed any more.
    Certificates,
    /// Executes tasks in this process (`dev` only). Its end: nothing runs.
    EmbeddedAgent,
}

impl TaskKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Port => "port",
            Self::Audit => "audit",
            Self::LedgerLock => "lock on the ledger",
            Self::Sizes => "coordinator's size",
            Self::Certificates => "certificates",
            Self::EmbeddedAgent => "embedded agent",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a task ended: what it says of itself.
pub(crate) type Ended = Result<(), String>;

/// The tasks of this process.
#[derive(Default)]
pub(crate) struct Tasks {
    running: JoinSet<(TaskKind, Ended)>,
}

impl Tasks {
    pub(crate) fn spawn(&mut self, kind: TaskKind, task: impl Future<Output = Ended> + Send + 'static) {
        let span = tracing::info_span!("task", kind = kind.name());
        self.running.spawn(async move { (kind, task.await) }.instrument(span));
    }

    /// The next one to end; `None` when all have.
    pub(crate) async fn next_end(&mut self) -> Option<(TaskKind, Ended)> {
        match self.running.join_next().await? {
            Ok(ended) => Some(ended),
            Err(error) => Some((TaskKind::Leader, Err(panicked(&error)))),
        }
    }
}

fn panicked(error: &JoinError) -> String {
    format!("a task panicked: {error}")
}
