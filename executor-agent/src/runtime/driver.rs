//! The loop that gives the session its inputs and does its effects.

use tokio::sync::mpsc;

use super::executor::Executor;
use super::notices;
use super::streams::Streams;
use crate::clock;
use crate::session::{AttemptKey, Closed, Effect, Input, Session, TaskEvent};
use crate::state_dir::StateDir;

/// Inputs that are given before what has gathered is sent.
const BURST: usize = 256;

pub(super) struct Driver {
    session: Session,
    streams: Streams,
    executor: Executor,
    state: StateDir,
    /// Ends of tasks that took no time.
    ended: Vec<Input>,
    left: bool,
}

impl Driver {
    pub(super) fn new(session: Session, streams: Streams, executor: Executor, state: StateDir) -> Self {
        Self { session, streams, executor, state, ended: Vec::new(), left: false }
    }

    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Input>,
        mut inputs: mpsc::Receiver<Input>,
        mut events: mpsc::Receiver<(AttemptKey, TaskEvent)>,
    ) {
        self.give(Input::Tick);
        while !self.left {
            self.give_what_waits(&mut inputs, &mut events);
            if self.left {
                break;
            }
            let now = clock::boot();
            let wakeup = self.session.next_wakeup();
            if wakeup.is_some_and(|at| at <= now) {
                self.give(Input::Tick);
                // The streams live on this thread, too.
                tokio::task::yield_now().await;
                continue;
            }
            let sleep = async {
                match wakeup {
                    Some(at) => tokio::time::sleep(at.since(now)).await,
                    None => std::future::pending().await,
                }
            };
            let input = tokio::select! {
                biased;
                Some(order) = orders.recv() => order,
                Some(input) = inputs.recv() => input,
                Some(event) = events.recv() => of_task(event),
                () = sleep => Input::Tick,
            };
            self.give(input);
        }
    }

    /// What the servers say comes before what tasks say: a confirmation must not wait behind a log.
    fn give_what_waits(
        &mut self,
        inputs: &mut mpsc::Receiver<Input>,
        events: &mut mpsc::Receiver<(AttemptKey, TaskEvent)>,
    ) {
        for _ in 0..BURST {
            let input = inputs.try_recv().ok().or_else(|| events.try_recv().ok().map(of_task));
            let Some(input) = input.filter(|_| !self.left) else { return };
            self.give(input);
        }
    }

    fn give(&mut self, input: Input) {
        self.give_one(input);
        while let Some(input) = self.ended.pop() {
            self.give_one(input);
        }
    }

    fn give_one(&mut self, input: Input) {
        if let Input::Task { attempt, event: TaskEvent::Finished(_) } = &input {
            self.executor.ended(*attempt);
        }
        for effect in self.session.handle(clock::now(), input) {
            self.apply(effect);
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { stream, server } => self.streams.connect(stream, server),
            Effect::Close { stream } => self.streams.close(stream),
            Effect::Send { stream, message } => {
                if !self.streams.send(stream, *message) {
                    let why = Closed::Lost("the server does not read".to_owned());
                    self.ended.push(Input::Closed { stream, why });
                }
            }
            Effect::Start(task) => {
                if let Some(completion) = self.executor.start(&task) {
                    let attempt = task.key;
                    // Taken from the end: started comes first.
                    self.ended.push(Input::Task { attempt, event: TaskEvent::Finished(completion) });
                    self.ended.push(Input::Task { attempt, event: TaskEvent::Started });
                }
            }
            Effect::Cancel { attempt } => self.executor.cancel(attempt),
            Effect::Kill { attempt } => self.executor.kill(attempt),
            Effect::RunUntil(end) => self.executor.run_until(end),
            Effect::ProofsTaken => self.state.forget_proofs(),
            Effect::Say(notice) => notices::log(&notice),
            Effect::Abort { attempt } => {
                tracing::error!(%attempt, "a task did not end when it was killed: the agent aborts, so that nothing outlives its right");
                std::process::abort();
            }
            Effect::Exit => self.left = true,
        }
    }
}

fn of_task((attempt, event): (AttemptKey, TaskEvent)) -> Input {
    Input::Task { attempt, event }
}
