//! Handlers of the program's own: functions of typed payloads, in the process that embeds the agent.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executor_agent::schemars::JsonSchema;
use executor_agent::{Agent, BlockingContext, Builder, Context, Failure, Running};
use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::log_chunk::Stream;
use punctual_proto::v1::rejected::Reason;
use punctual_proto::v1::report::Event;
use punctual_proto::v1::report::finished::Outcome;
use punctual_proto::v1::server_message::Message as ToAgent;
use punctual_proto::v1::{Assign, Cancel, Progress};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::fake::{Fake, Peer, patiently};
use crate::machine::until;

/// Where [`stuck_worker`] connects to, and keeps its state.
const STUCK: [&str; 2] = ["STUCK_WORKER_SERVER", "STUCK_WORKER_STATE"];

#[derive(Deserialize, JsonSchema)]
struct Amounts {
    amounts: Vec<u32>,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// An agent in this process; it ends with the test's.
struct Worker {
    running: Running,
    _folder: TempDir,
}

fn worker(fake: &Fake, set_up: impl FnOnce(Builder) -> Builder) -> Worker {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Agent::builder("tested").servers([&fake.url]).task_types([] as [&str; 0]).state_dir(folder.path());
    let running = set_up(builder).build().expect("set up well").start().expect("it starts");
    Worker { running, _folder: folder }
}

async fn sum(_: Context, payload: Amounts) -> Result<u32, Failure> {
    Ok(payload.amounts.iter().sum())
}

fn sum_blocking(_: &BlockingContext, payload: Amounts) -> Result<u32, Failure> {
    Ok(payload.amounts.iter().sum())
}

async fn outcome(peer: &mut Peer, task_type: &str, payload: &Value) -> (Outcome, Value, Option<(String, bool)>) {
    peer.give(&peer.assign(task_type, payload)).await;
    let finished = peer.finished().await;
    let result = serde_json::from_slice(&finished.result).unwrap_or_default();
    let failure = finished.error.clone().map(|error| {
        (format!("{} {}", error.code, error.message), finished.retryable.expect("failures say whether to try again"))
    });
    (finished.outcome(), result, failure)
}

/// Reads and acknowledges reports until one of progress.
async fn progress(peer: &mut Peer) -> Progress {
    loop {
        let FromAgent::Reports(reports) = peer.next().await else { continue };
        let mut progress = None;
        for report in reports.reports {
            peer.ack(&report).await;
            if let Some(Event::Progress(given)) = report.event {
                progress = Some(given);
            }
        }
        if let Some(progress) = progress {
            return progress;
        }
    }
}

#[tokio::test]
async fn task_types_are_offered_with_the_schemas_of_their_payloads() {
    let mut fake = Fake::start().await;
    let _worker = worker(&fake, |agent| agent.async_handler("sum", sum).blocking_handler("sum-blocking", sum_blocking));
    let (_, hello) = fake.greeted().await;
    let names: Vec<_> = hello.task_types.iter().map(|offered| offered.name.as_str()).collect();
    assert_eq!(names, ["sum", "sum-blocking"]);
    for offered in &hello.task_types {
        let schema: Value = serde_json::from_str(offered.payload_schema()).expect("JSON");
        assert_eq!(schema["properties"]["amounts"]["items"]["type"], "integer", "{schema}");
    }
}

#[tokio::test]
async fn a_payload_that_does_not_fit_fails_for_good_with_the_path_of_its_field() {
    let mut fake = Fake::start().await;
    let _worker = worker(&fake, |agent| agent.async_handler("sum", sum).blocking_handler("sum-blocking", sum_blocking));
    let (mut peer, _) = fake.welcomed(1).await;
    for task_type in ["sum", "sum-blocking"] {
        let (ended, result, _) = outcome(&mut peer, task_type, &json!({ "amounts": [1, 2] })).await;
        assert_eq!((ended, result), (Outcome::Succeeded, json!(3)), "{task_type}");
        let (ended, _, failure) = outcome(&mut peer, task_type, &json!({ "amounts": [1, -2] })).await;
        let (words, retryable) = failure.expect("a payload that cannot be read");
        assert!(words.starts_with("PAYLOAD_INVALID payload.amounts[1]: "), "{task_type}: {words}");
        assert_eq!((ended, retryable), (Outcome::Failed, false), "{task_type}");
    }
}

#[derive(Serialize)]
struct Seen {
    job: String,
    run_id: String,
    attempt: i32,
    slot: i32,
    fencing_token: i64,
    trace_parent: Option<String>,
    scheduled_secs: u64,
    in_time: bool,
}

async fn look(context: Context, _: Nothing) -> Result<Seen, Failure> {
    let scheduled = context.scheduled_time().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let left = context.time_left().expect("the assignment has a timeout");
    Ok(Seen {
        job: format!("{}/{}", context.namespace(), context.job_id()),
        run_id: context.run_id().to_string(),
        attempt: context.attempt(),
        slot: context.slot(),
        fencing_token: context.fencing_token(),
        trace_parent: context.trace_parent().map(str::to_owned),
        scheduled_secs: scheduled.unwrap_or_default().as_secs(),
        in_time: left <= Duration::from_secs(60) && !left.is_zero() && context.deadline().is_some(),
    })
}

#[tokio::test]
async fn a_handler_is_told_all_about_its_attempt() {
    let mut fake = Fake::start().await;
    let _worker = worker(&fake, |agent| agent.async_handler("look", look));
    let (mut peer, _) = fake.welcomed(1).await;
    let assign = Assign {
        attempt: 3,
        slot: 2,
        trace_parent: "00-1-2-01".to_owned(),
        scheduled_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        ..peer.assign("look", &json!({}))
    };
    peer.give(&assign).await;
    let seen: Value = serde_json::from_slice(&peer.finished().await.result).expect("JSON");
    let expected = json!({
        "job": "default/job", "run_id": assign.run_id, "attempt": 3, "slot": 2, "fencing_token": 7,
        "trace_parent": "00-1-2-01", "scheduled_secs": 1_700_000_000, "in_time": true,
    });
    assert_eq!(seen, expected);
}

fn until_cancelled(context: &BlockingContext, _: Nothing) -> Result<(), Failure> {
    context.progress(50.0, "half way");
    context.log_line("on its way");
    while context.sleep(Duration::from_secs(600)) {}
    assert!(context.is_cancelled() && !context.is_killed());
    Err(Failure::new("CANCELLED", "ended early"))
}

#[tokio::test]
async fn a_blocking_handler_reports_as_it_goes_and_is_woken_by_its_cancel() {
    let mut fake = Fake::start().await;
    let _worker = worker(&fake, |agent| agent.blocking_handler("wait", until_cancelled));
    let (mut peer, _) = fake.welcomed(1).await;
    let assign = peer.assign("wait", &json!({}));
    peer.give(&assign).await;
    let progress = progress(&mut peer).await;
    assert_eq!((progress.percent, progress.message.as_str()), (50.0, "half way"));
    peer.send(ToAgent::Cancel(Cancel { run_id: assign.run_id.clone(), attempt: 1, reason: 1 })).await;
    assert_eq!(peer.finished().await.outcome(), Outcome::Cancelled);
    assert_eq!(peer.text(&assign, Stream::Stderr), "on its way\n");
}

/// An error type of the program's own.
struct Full;

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        Self::permanent("DISK_FULL", "no room")
    }
}

#[tokio::test]
async fn failures_keep_their_code_and_a_panic_costs_its_attempt_only() {
    let mut fake = Fake::start().await;
    let _worker = worker(&fake, |agent| {
        agent
            .async_handler("full", async |_: Context, _: Nothing| Err::<(), _>(Full))
            .blocking_handler("full-blocking", |_: &BlockingContext, _: Nothing| Err::<(), _>(Full))
            .async_handler("panic", async |_: Context, _: Nothing| -> Result<(), Failure> { panic!("of my own") })
            .blocking_handler("panic-blocking", |_: &BlockingContext, _: Nothing| -> Result<(), Failure> {
                panic!("of my own")
            })
    });
    let (mut peer, _) = fake.welcomed(1).await;
    for task_type in ["full", "full-blocking", "panic", "panic-blocking"] {
        let (ended, _, failure) = outcome(&mut peer, task_type, &json!({})).await;
        let (words, retryable) = failure.expect("it fails");
        if task_type.starts_with("full") {
            assert_eq!((words.as_str(), retryable), ("DISK_FULL no room", false), "{task_type}");
        } else {
            assert!(words.starts_with("PANIC") && words.ends_with("of my own") && retryable, "{task_type}: {words}");
        }
        assert_eq!(ended, Outcome::Failed, "{task_type}");
    }
}

#[tokio::test]
async fn an_agent_that_its_program_drains_finishes_what_it_has_and_leaves() {
    let mut fake = Fake::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let mut worker = worker(&fake, |agent| {
        let gate = Arc::clone(&gate);
        agent.async_handler("gate", move |context: Context, _: Nothing| {
            let gate = Arc::clone(&gate);
            async move {
                context.progress(1.0, "waiting").await;
                drop(gate.acquire().await);
                Ok::<_, Failure>(())
            }
        })
    });
    let (mut peer, _) = fake.welcomed(1).await;
    peer.give(&peer.assign("gate", &json!({}))).await;
    progress(&mut peer).await;
    worker.running.drain();
    loop {
        if matches!(peer.next().await, FromAgent::Draining(_)) {
            break;
        }
    }
    peer.give(&peer.assign("gate", &json!({}))).await;
    let rejected = loop {
        if let FromAgent::Rejected(rejected) = peer.next().await {
            break rejected;
        }
    };
    assert_eq!(rejected.reason(), Reason::Draining);
    gate.add_permits(1);
    assert_eq!(peer.finished().await.outcome(), Outcome::Succeeded);
    patiently(worker.running.ended()).await.expect("it leaves in peace");
}

/// No test: the worker of the one below, which is to abort, so that it must be a process of its own.
#[tokio::test]
async fn stuck_worker() {
    let [Ok(server), Ok(folder)] = STUCK.map(env::var) else { return };
    let agent = Agent::builder("tested").servers([server]).state_dir(folder).blocking_handler(
        "stuck",
        |_: &BlockingContext, _: Nothing| -> Result<(), Failure> {
            loop {
                thread::park();
            }
        },
    );
    let mut running = agent.build().expect("set up well").start().expect("it starts");
    running.ended().await.expect("it ends otherwise");
}

#[tokio::test]
async fn an_agent_whose_blocking_handler_does_not_return_aborts_and_tells_no_end() {
    let mut fake = Fake::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut worker = Command::new(env::current_exe().expect("this test"));
    worker
        .args(["handlers::stuck_worker", "--exact", "--nocapture"])
        .env(STUCK[0], &fake.url)
        .env(STUCK[1], folder.path());
    let mut worker = worker.stdin(Stdio::null()).spawn().expect("this test runs");
    let (mut peer, _) = fake.welcomed(1).await;
    let assign = Assign {
        timeout: Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 }),
        kill_grace: Some(prost_types::Duration::default()),
        ..peer.assign("stuck", &json!({}))
    };
    peer.give(&assign).await;
    peer.started().await;
    let mut ended = None;
    // Heartbeats are confirmed all the time: the agent has the right to run, and aborts for its task alone.
    while let Some(message) = peer.until_closed().await {
        assert!(!matches!(message, FromAgent::Reports(_)), "an end that has not come is not told: {message:?}");
    }
    until("the worker has ended", || {
        ended = worker.try_wait().expect("a child");
        ended.is_some()
    })
    .await;
    assert_eq!(ended.and_then(|status| status.signal()), Some(Signal::ABORT.as_raw()));
}
