//! What a handler has of its attempt.

use std::sync::Arc;

use bytes::Bytes;
pub use punctual_proto::v1::log_chunk::Stream as LogStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::session::{AttemptKey, LOG_CHUNK, Task, TaskEvent};
use crate::time::Boot;

/// See the module.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) task: Arc<Task>,
    pub(crate) cancel: CancellationToken,
    pub(crate) kill: CancellationToken,
    pub(crate) events: mpsc::Sender<(AttemptKey, TaskEvent)>,
    pub(crate) run_until: watch::Receiver<Boot>,
}

impl Context {
    /// The attempt's task: payload, deadline, fencing token.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// What the task writes to should refuse a lower token than the highest it has seen, for this job and slot.
    pub fn fencing_token(&self) -> i64 {
        self.task.fencing_token
    }

    /// Resolves when the task is to end: its deadline has come, its run was cancelled, or the agent's right to run ends.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Resolves when the task is to be killed, `kill_grace` after it was cancelled.
    pub async fn killed(&self) {
        self.kill.cancelled().await;
    }

    /// Says how far the task is. Percent is 0 to 100.
    pub async fn progress(&self, percent: f64, message: impl Into<String>) {
        self.say(TaskEvent::Progress { percent, message: message.into() }).await;
    }

    /// Adds to the attempt's log.
    pub async fn log(&self, stream: LogStream, data: impl Into<Bytes>) {
        let mut data = data.into();
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(LOG_CHUNK));
            self.say(TaskEvent::Log { stream, data: piece }).await;
        }
    }

    /// Says that the task runs now.
    pub(crate) async fn started(&self) {
        self.say(TaskEvent::Started).await;
    }

    pub(crate) async fn say(&self, event: TaskEvent) {
        // Nobody listens any more only when the agent has ended; the task ends with it.
        let _ = self.events.send((self.task.key, event)).await;
    }
}
