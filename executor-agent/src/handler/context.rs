//! What a handler has of its attempt.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
pub use punctual_proto::v1::log_chunk::Stream as LogStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock;
use crate::session::{AttemptKey, LOG_CHUNK, Task, TaskEvent};
use crate::time::{Boot, Wall};

/// One attempt as its handler sees it: what it is, when it is to end, and the way to say how far it is.
///
/// A clone is the same attempt.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) task: Arc<Task>,
    pub(crate) cancel: CancellationToken,
    pub(crate) kill: CancellationToken,
    pub(crate) events: mpsc::Sender<(AttemptKey, TaskEvent)>,
    pub(crate) run_until: watch::Receiver<Boot>,
}

/// What the attempt is.
impl Context {
    /// The attempt's task, with its payload as it came.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Namespace of the job.
    pub fn namespace(&self) -> &str {
        &self.task.namespace
    }

    /// Id of the job in its namespace.
    pub fn job_id(&self) -> &str {
        &self.task.job_id
    }

    /// Id of the run. All attempts of a run have the same: a good key for what must be done once for each run.
    pub fn run_id(&self) -> Uuid {
        self.task.key.run
    }

    /// Number of this attempt in its run; the first is 1.
    pub fn attempt(&self) -> i32 {
        self.task.key.attempt
    }

    /// The instant of the schedule that the run stands for, or that of the request which started it.
    pub fn scheduled_time(&self) -> Option<SystemTime> {
        self.task.scheduled_time.map(system_time)
    }

    /// Which of the job's `max_instances` places the attempt has; the first is 0.
    pub fn slot(&self) -> i32 {
        self.task.slot
    }

    /// What the task writes to should refuse a lower token than the highest it has seen, for this job and slot.
    pub fn fencing_token(&self) -> i64 {
        self.task.fencing_token
    }

    /// The W3C `traceparent` that the task's own calls should carry.
    pub fn trace_parent(&self) -> Option<&str> {
        Some(self.task.trace_parent.as_str()).filter(|parent| !parent.is_empty())
    }
}

/// When the attempt is to end.
impl Context {
    /// When the task will have run as long as its job's `timeout`, and is cancelled; `None`: it has no such limit.
    pub fn deadline(&self) -> Option<SystemTime> {
        let left = self.time_left()?;
        system_time(clock::now().wall).checked_add(left)
    }

    /// From now to the [deadline](Self::deadline); zero when that has passed.
    pub fn time_left(&self) -> Option<Duration> {
        self.task.deadline.map(|deadline| deadline.since(clock::boot()))
    }

    /// Resolves when the task is to end: its deadline has come, its run was cancelled, or the agent's right to run ends.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether the task is to end; see [`Self::cancelled`].
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Resolves when the task is to be killed, the job's `kill_grace` after it was cancelled.
    pub async fn killed(&self) {
        self.kill.cancelled().await;
    }

    /// Whether the time to end by itself is over; see [`Self::killed`].
    pub fn is_killed(&self) -> bool {
        self.kill.is_cancelled()
    }
}

/// How far it is.
impl Context {
    /// Says how far the task is. Percent is 0 to 100.
    pub async fn progress(&self, percent: f64, message: impl Into<String>) {
        self.say(TaskEvent::Progress { percent, message: message.into() }).await;
    }

    /// Adds to the attempt's log.
    pub async fn log(&self, stream: LogStream, data: impl Into<Bytes>) {
        for piece in pieces(data.into()) {
            self.say(TaskEvent::Log { stream, data: piece }).await;
        }
    }

    /// Adds a line to the attempt's log.
    pub async fn log_line(&self, line: impl Into<String>) {
        self.log(LogStream::Stderr, with_end(line.into())).await;
    }

    /// Says that the task runs now.
    pub(crate) async fn started(&self) {
        self.say(TaskEvent::Started).await;
    }

    pub(crate) async fn say(&self, event: TaskEvent) {
        // Nobody listens any more only when the agent has ended; the task ends with it.
        let _ = self.events.send((self.task.key, event)).await;
    }

    /// As [`Self::say`], on a thread that may wait.
    pub(super) fn say_blocking(&self, event: TaskEvent) {
        let _ = self.events.blocking_send((self.task.key, event));
    }
}

pub(super) fn pieces(mut data: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!data.is_empty()).then(|| data.split_to(data.len().min(LOG_CHUNK))))
}

pub(super) fn with_end(mut line: String) -> String {
    line.push('\n');
    line
}

fn system_time(wall: Wall) -> SystemTime {
    let micros = Duration::from_micros(wall.0.unsigned_abs());
    if wall.0 < 0 { UNIX_EPOCH - micros } else { UNIX_EPOCH + micros }
}
