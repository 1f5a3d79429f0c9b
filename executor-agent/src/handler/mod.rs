//! The seam between the agent and what executes a task: one [`Handler`] for each task type.
//!
//! Thin on purpose: a handler sees its task, is told when to end, says how far it is and what it logs, and returns how it
//! ended. Deadlines, reports and the right to run are the session's.

mod asynchronous;
mod blocking;
mod context;
mod grpc;
mod http;
mod noop;
mod outgoing;
mod payload;
mod process;
mod result;
mod schema;
mod secrets;
#[cfg(test)]
mod trial;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

pub(crate) use self::asynchronous::Async;
pub(crate) use self::blocking::Blocking;
pub use self::blocking::BlockingContext;
pub use self::context::{Context, LogStream};
pub(crate) use self::grpc::Grpc;
pub(crate) use self::http::Http;
pub use self::noop::Noop;
pub(crate) use self::process::Process;
pub(crate) use self::secrets::Secrets;
use crate::session::{Completion, OfferedTaskType, Task};

/// Executes the tasks of one type.
///
/// Most programs register functions of typed payloads instead, with [`Builder::async_handler`](crate::Builder::async_handler)
/// and [`Builder::blocking_handler`](crate::Builder::blocking_handler).
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// JSON Schema of the payload, as JSON text.
    fn payload_schema(&self) -> Option<String> {
        None
    }

    /// Whether tasks run in this process: one that has not ended soon after it is killed makes the agent abort. A handler
    /// that answers false ends its task itself once [`Context::killed`] resolves.
    fn in_process(&self) -> bool {
        true
    }

    /// Whether a task that is killed ends when the future of [`Self::execute`] is dropped, as async code does. If it goes
    /// on elsewhere, say on a thread, then no: its end is awaited, so that none is reported that has not come.
    fn ends_when_dropped(&self) -> bool {
        self.in_process()
    }

    /// The end of a task that takes no time at all, so that none is spawned for it. Called on the thread that keeps the
    /// agent's right to run alive: it must not block.
    fn immediate(&self, _task: &Task) -> Option<Completion> {
        None
    }

    /// Executes one attempt. It should end soon after [`Context::cancelled`] resolves.
    async fn execute(&self, context: Context) -> Completion;
}

/// The handlers of an agent, by task type.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    handlers: BTreeMap<String, Arc<dyn Handler>>,
}

impl Registry {
    pub(crate) fn insert(&mut self, task_type: String, handler: Arc<dyn Handler>) {
        self.handlers.insert(task_type, handler);
    }

    pub(crate) fn get(&self, task_type: &str) -> Option<&Arc<dyn Handler>> {
        self.handlers.get(task_type)
    }

    pub(crate) fn offered(&self) -> Vec<OfferedTaskType> {
        let offered = self.handlers.iter().map(|(name, handler)| OfferedTaskType {
            name: name.clone(),
            payload_schema: handler.payload_schema(),
            in_process: handler.in_process(),
        });
        offered.collect()
    }
}
