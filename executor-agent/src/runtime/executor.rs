//! Runs the tasks that the session starts, through their handlers.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info_span;

use super::tasks::Tasks;
use crate::handler::{Context, Handler, Registry};
use crate::session::{AttemptKey, Completion, Failure, Task, TaskEvent};
use crate::time::Boot;

pub(super) struct Executor {
    handlers: Registry,
    tasks: Tasks,
    events: mpsc::Sender<(AttemptKey, TaskEvent)>,
    run_until: watch::Sender<Boot>,
    running: BTreeMap<AttemptKey, Running>,
}

struct Running {
    cancel: CancellationToken,
    kill: CancellationToken,
}

impl Executor {
    pub(super) fn new(handlers: Registry, tasks: Tasks, events: mpsc::Sender<(AttemptKey, TaskEvent)>) -> Self {
        Self { handlers, tasks, events, run_until: watch::Sender::new(Boot::default()), running: BTreeMap::new() }
    }

    /// Starts a task, or executes it right here when it takes no time.
    pub(super) fn start(&mut self, task: &Arc<Task>) -> Option<Completion> {
        let key = task.key;
        let Some(handler) = self.handlers.get(&task.task_type).cloned() else {
            let message = format!("the agent does not offer the task type {:?}", task.task_type);
            return Some(Failure::permanent("UNKNOWN_TASK_TYPE", message).into());
        };
        let immediate = catch_unwind(AssertUnwindSafe(|| handler.immediate(task)));
        if let Some(completion) = immediate.unwrap_or_else(|panic| Some(panicked(panic))) {
            return Some(completion);
        }
        let running = Running { cancel: CancellationToken::new(), kill: CancellationToken::new() };
        let context = Context {
            task: Arc::clone(task),
            cancel: running.cancel.clone(),
            kill: running.kill.clone(),
            events: self.events.clone(),
            run_until: self.run_until.subscribe(),
        };
        self.running.insert(key, running);
        let span = info_span!("attempt", run_id = %key.run, attempt = key.attempt, job_id = %task.job_id);
        self.tasks.spawn(span, execute(handler, context));
        None
    }

    pub(super) fn cancel(&self, key: AttemptKey) {
        if let Some(running) = self.running.get(&key) {
            running.cancel.cancel();
        }
    }

    pub(super) fn kill(&self, key: AttemptKey) {
        if let Some(running) = self.running.get(&key) {
            running.cancel.cancel();
            running.kill.cancel();
        }
    }

    pub(super) fn ended(&mut self, key: AttemptKey) {
        self.running.remove(&key);
    }

    pub(super) fn run_until(&self, end: Boot) {
        self.run_until.send_replace(end);
    }
}

async fn execute(handler: Arc<dyn Handler>, context: Context) {
    if handler.in_process() {
        context.started().await;
    }
    let task = AssertUnwindSafe(handler.execute(context.clone())).catch_unwind();
    let completion = if handler.in_process() {
        tokio::select! {
            biased;
            completion = task => completion,
            () = context.killed() => Ok(Failure::new("KILLED", "the task did not end in time and was dropped").into()),
        }
    } else {
        task.await
    };
    let completion = completion.unwrap_or_else(panicked);
    context.say(TaskEvent::Finished(completion)).await;
}

fn panicked(panic: Box<dyn Any + Send>) -> Completion {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    Failure::new("PANIC", format!("the task's handler panicked: {text}")).into()
}
