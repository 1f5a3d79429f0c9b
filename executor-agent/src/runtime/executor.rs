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
    let completion = if handler.ends_when_dropped() {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemars::JsonSchema;
    use serde::Deserialize;
    use tokio::runtime::Handle;

    use super::*;
    use crate::handler::{Async, Blocking, BlockingContext};

    #[derive(Deserialize, JsonSchema)]
    struct Nothing {}

    fn task(task_type: &str) -> Arc<Task> {
        Arc::new(Task {
            key: AttemptKey { run: uuid::Uuid::nil(), attempt: 1 },
            namespace: String::new(),
            job_id: String::new(),
            task_type: task_type.to_owned(),
            payload: "{}".into(),
            scheduled_time: None,
            fencing_token: 1,
            slot: 0,
            trace_parent: String::new(),
            deadline: None,
            kill_grace: Duration::ZERO,
        })
    }

    /// Long enough, on the one thread of a test's runtime, for all that can go on to have gone on.
    async fn settled() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_killed_task_has_ended_when_async_code_is_dropped_but_not_before_a_blocking_one_returns() {
        let (stopped, mut stops) = mpsc::channel::<()>(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let block = move |context: &BlockingContext, _: Nothing| {
            while context.sleep(Duration::from_secs(600)) {}
            stopped.blocking_send(()).expect("the test waits");
            released.lock().expect("one holder").recv().expect("the test lets it go on");
            Ok::<_, Failure>(())
        };
        let wait = async |_: Context, _: Nothing| std::future::pending::<Result<(), Failure>>().await;
        let mut handlers = Registry::default();
        handlers.insert("blocking".to_owned(), Arc::new(Blocking::new(block)));
        handlers.insert("async".to_owned(), Arc::new(Async::new(wait)));
        let (events, mut said) = mpsc::channel(8);
        let mut executor = Executor::new(handlers, Tasks::new(Handle::current()), events);
        for task_type in ["async", "blocking"] {
            let task = task(task_type);
            assert_eq!(executor.start(&task), None);
            assert!(matches!(said.recv().await, Some((_, TaskEvent::Started))));
            settled().await;
            executor.kill(task.key);
            if task_type == "blocking" {
                stops.recv().await.expect("it is told");
                settled().await;
                assert!(said.try_recv().is_err(), "it is still there");
                release.send(()).expect("it waits");
            }
            let Some((_, TaskEvent::Finished(_))) = said.recv().await else { panic!("{task_type}: the end is told") };
        }
    }
}
