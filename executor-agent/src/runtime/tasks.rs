//! The one way in which this crate spawns: every task has a name and is tracked.
//!
//! | task | where | ends |
//! |---|---|---|
//! | `session` | a thread of its own, so that no task can hold up heartbeats | when the session leaves; the agent ends with it |
//! | `stream` | the session's thread, one for each stream | when the session closes it, or it breaks |
//! | `attempt` | the caller's runtime, one for each attempt | with its task |

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Spawns on one runtime.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    runtime: Handle,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { tracker: TaskTracker::new(), runtime }
    }

    /// Every task answers for its own end: none returns anything.
    pub(crate) fn spawn(&self, span: tracing::Span, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task.instrument(span), &self.runtime);
    }

    /// Resolves when all have ended. Nothing more should be spawned.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
