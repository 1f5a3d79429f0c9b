//! Handlers that block: functions of a typed payload, each attempt on a thread of its own.
//!
//! Not on tokio's blocking threads: those are limited in number, shared with all else that blocks, and a runtime that
//! is dropped waits for them, however long the task goes on without the right to run.

use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Span;

use super::context::{pieces, with_end};
use super::{Context, Handler, LogStream, payload, schema};
use crate::session::{Completion, Failure, TaskEvent};

/// What a blocking handler has of its attempt: all of [`Context`], with methods that wait instead of those to be awaited.
///
/// Its thread is in the context of the runtime that the agent was started in: `Handle::current()` is that one's.
#[derive(Debug)]
pub struct BlockingContext {
    context: Context,
    runtime: Handle,
}

impl BlockingContext {
    /// Sleeps, but no longer than until the task is to end. False when it is: the handler should return then.
    pub fn sleep(&self, duration: Duration) -> bool {
        let cancelled = self.context.cancelled();
        let slept = async { tokio::time::timeout(duration, cancelled).await.is_err() };
        self.runtime.block_on(slept)
    }

    /// As [`Context::progress`].
    pub fn progress(&self, percent: f64, message: impl Into<String>) {
        self.context.say_blocking(TaskEvent::Progress { percent, message: message.into() });
    }

    /// As [`Context::log`].
    pub fn log(&self, stream: LogStream, data: impl Into<Bytes>) {
        for piece in pieces(data.into()) {
            self.context.say_blocking(TaskEvent::Log { stream, data: piece });
        }
    }

    /// As [`Context::log_line`].
    pub fn log_line(&self, line: impl Into<String>) {
        self.log(LogStream::Stderr, with_end(line.into()));
    }
}

impl Deref for BlockingContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

/// See [`Builder::blocking_handler`](crate::Builder::blocking_handler).
pub(crate) struct Blocking<F, P> {
    run: Arc<F>,
    schema: String,
    payload: PhantomData<fn() -> P>,
}

impl<F, P: JsonSchema> Blocking<F, P> {
    pub(crate) fn new(run: F) -> Self {
        Self { run: Arc::new(run), schema: schema::of::<P>(), payload: PhantomData }
    }
}

#[async_trait]
impl<F, P, T, E> Handler for Blocking<F, P>
where
    F: Fn(&BlockingContext, P) -> Result<T, E> + Send + Sync + 'static,
    P: DeserializeOwned + Send + 'static,
    T: Serialize,
    E: Into<Failure>,
{
    fn payload_schema(&self) -> Option<String> {
        Some(self.schema.clone())
    }

    /// A thread cannot be ended from outside.
    fn ends_when_dropped(&self) -> bool {
        false
    }

    async fn execute(&self, context: Context) -> Completion {
        let payload = match payload::read::<P>(&context.task().payload) {
            Ok(payload) => payload,
            Err(failure) => return failure.into(),
        };
        let run = Arc::clone(&self.run);
        let context = BlockingContext { context, runtime: Handle::current() };
        let on_thread = move || payload::completion(run(&context, payload).map_err(Into::into));
        match in_thread(on_thread) {
            Ok(ended) => match ended.await.expect("because the thread tells its end, even if it panics") {
                Ok(completion) => completion,
                Err(panicked) => panic::resume_unwind(panicked),
            },
            Err(error) => Failure::new("SPAWN_FAILED", format!("the task has no thread to run on: {error}")).into(),
        }
    }
}

/// Starts a thread; what comes back is what it returned, or what it panicked with.
fn in_thread<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<oneshot::Receiver<thread::Result<T>>> {
    let (ended, end) = oneshot::channel();
    let span = Span::current();
    let runtime = Handle::current();
    thread::Builder::new().name("punctual-task".to_owned()).spawn(move || {
        let _runtime = runtime.enter();
        let result = span.in_scope(|| panic::catch_unwind(AssertUnwindSafe(run)));
        // Not awaited any more only when the runtime is gone.
        let _ = ended.send(result);
    })?;
    Ok(end)
}
