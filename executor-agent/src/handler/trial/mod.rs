//! One attempt as a test executes it: a handler, a payload, and all that it says.

pub(super) mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Context, Handler, LogStream};
use crate::clock;
use crate::session::{AttemptKey, Failure, Task, TaskEvent};
use crate::time::{Boot, Wall};

/// What tests of handlers and of `job-spec` agree on.
const CASES: &str = include_str!("../../../../job-spec/src/builtin/cases.json");

#[derive(Debug)]
pub(super) struct Trial {
    pub(super) task: Task,
    cancel: CancellationToken,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: Result<Value, Failure>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// An attempt with this payload.
pub(super) fn trial(payload: &Value) -> Trial {
    let task = Task {
        key: AttemptKey { run: Uuid::from_u128(7), attempt: 2 },
        namespace: "default".to_owned(),
        job_id: "nightly".to_owned(),
        task_type: "tried".to_owned(),
        payload: payload.to_string().into(),
        scheduled_time: Some(Wall(1_700_000_000_000_000)),
        fencing_token: 41,
        slot: 3,
        trace_parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        deadline: None,
        kill_grace: Duration::ZERO,
    };
    Trial { task, cancel: CancellationToken::new() }
}

impl Trial {
    /// With a deadline, at which it is cancelled as the session does it.
    pub(super) fn deadline(mut self, after: Duration) -> Self {
        self.task.deadline = Some(clock::boot() + after);
        self
    }

    /// Cancels the attempt, now or when it runs.
    pub(super) fn canceller(&self) -> CancellationToken {
        self.cancel.clone()
    }

    pub(super) async fn execute(self, handler: &impl Handler) -> Ended {
        let (events, mut said) = mpsc::channel(16);
        let (_right, run_until) = watch::channel(Boot(i64::MAX));
        let deadline = self.task.deadline;
        let context = Context {
            task: Arc::new(self.task),
            cancel: self.cancel.clone(),
            kill: CancellationToken::new(),
            events,
            run_until,
        };
        let logs = Mutex::new((Vec::new(), Vec::new()));
        let listen = async {
            while let Some((_, event)) = said.recv().await {
                let mut logs = logs.lock().expect("because no holder panics");
                match event {
                    TaskEvent::Log { stream: LogStream::Stdout, data } => logs.0.extend_from_slice(&data),
                    TaskEvent::Log { data, .. } => logs.1.extend_from_slice(&data),
                    TaskEvent::Started | TaskEvent::Progress { .. } | TaskEvent::Finished(_) => {}
                }
            }
        };
        let cancel_at_deadline = async {
            match deadline {
                Some(deadline) => tokio::time::sleep(deadline.since(clock::boot())).await,
                None => std::future::pending().await,
            }
            self.cancel.cancel();
            std::future::pending::<()>().await;
        };
        let executed = async {
            tokio::select! {
                biased;
                () = cancel_at_deadline => unreachable!("because it never ends"),
                completion = handler.execute(context) => completion,
            }
        };
        let (completion, ()) = tokio::join!(executed, listen);
        let (stdout, stderr) = logs.into_inner().expect("because no holder panics");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended {
            result: completion.result.map(|json| serde_json::from_slice(&json).expect("because results are JSON")),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }
}

impl Ended {
    #[track_caller]
    pub(super) fn failure(self) -> Failure {
        self.result.expect_err("the task should have failed")
    }

    #[track_caller]
    pub(super) fn value(self) -> Value {
        self.result.unwrap_or_else(|failure| panic!("the task failed: {failure:?}; {}", self.stderr))
    }
}

/// The payloads of a task type, each with whether it can be executed.
pub(super) fn cases(task_type: &str) -> Vec<(Vec<u8>, bool)> {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("because it is JSON");
    let own = cases.into_iter().filter(|case| case["type"] == task_type);
    own.map(|case| (case["payload"].to_string().into_bytes(), case.get("wrong").is_none())).collect()
}

/// The keys of a payload, by its schema.
pub(super) fn keys_of(schema: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).expect("because it is sent to servers");
    assert_eq!(schema["additionalProperties"], json!(false));
    schema["properties"].as_object().expect("because payloads are objects").keys().cloned().collect()
}
