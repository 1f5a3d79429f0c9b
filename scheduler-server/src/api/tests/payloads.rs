//! Payloads of task types that agents brought, against the schemas that they offer.

use std::collections::BTreeMap;

use scheduler_core::agent::{Hello, TaskType};
use scheduler_core::engine::AgentStatus;
use scheduler_core::ids::{AgentId, AgentInstance, Epoch};
use uuid::Uuid;

use super::*;

const WHOLE: &str = r#"{"type":"object","required":["amount"],"properties":{"amount":{"type":"integer"}}}"#;
const TEXT: &str = r#"{"type":"object","required":["amount"],"properties":{"amount":{"type":"string"}}}"#;

/// One that is connected and was heard of so many seconds after another.
fn agent(id: &str, heard: i64, schema: Option<&str>) -> AgentStatus {
    let instance = AgentInstance(Uuid::from_u128(heard.unsigned_abs().into()));
    let hello = Hello {
        agent_id: AgentId(id.to_owned()),
        instance,
        version: String::new(),
        labels: BTreeMap::new(),
        queues: vec!["default".to_owned()],
        task_types: vec![TaskType { name: "shop/order".to_owned(), payload_schema: schema.map(str::to_owned) }],
        slots: 1,
        highest_epoch_seen: Epoch(0),
        instances_proved_gone: Vec::new(),
    };
    AgentStatus {
        id: AgentId(id.to_owned()),
        instance: Some(instance),
        cordon: None,
        connect_time: Some(NOW),
        hello: Some(hello),
        heartbeat_time: Some(scheduler_core::time::Timestamp::from_secs(NOW.as_secs() + heard)),
        skew: None,
        is_stale: false,
        running: 0,
        draining: false,
    }
}

fn amount(kind: Kind) -> Option<Struct> {
    Some(payload("amount", kind))
}

fn number() -> Option<Struct> {
    amount(Kind::NumberValue(3.0))
}

fn text() -> Option<Struct> {
    amount(Kind::StringValue("three".to_owned()))
}

fn order(job_id: &str, payload: Option<Struct>) -> v1::Job {
    v1::Job { task: Some(v1::Task { r#type: "shop/order".to_owned(), payload }), ..job(job_id) }
}

fn create(job: v1::Job, request_id: &str) -> v1::CreateJobRequest {
    v1::CreateJobRequest { job: Some(job), request_id: request_id.to_owned(), ..Default::default() }
}

impl Server {
    async fn created(&self, request: v1::CreateJobRequest) -> Result<v1::Job, Status> {
        self.jobs().create_job(request).await.map(tonic::Response::into_inner)
    }
}

#[tokio::test]
async fn a_payload_that_does_not_fit_the_schema_is_refused_with_the_path_of_its_field() {
    let server = Server::start().await;
    server.fake.has_agents(vec![agent("a", 0, Some(WHOLE))]);
    let dry = v1::CreateJobRequest { validate_only: true, ..create(order("a", text()), "") };
    for request in [create(order("a", text()), ""), create(order("a", None), ""), dry] {
        let status = server.created(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert_eq!(fields(&status), ["job.task.payload.amount"]);
    }
    let allowed = v1::UpdateJobRequest { job: Some(order("a", text())), allow_missing: true, ..Default::default() };
    let status = server.jobs().update_job(allowed).await.unwrap_err();
    assert_eq!(fields(&status), ["job.task.payload.amount"]);

    let stored = server.created(create(order("a", number()), "")).await.unwrap();
    let status = server.update(order("a", text()), &["task"]).await.unwrap_err();
    assert_eq!(fields(&status), ["job.task.payload.amount"]);
    let dry = v1::UpdateJobRequest { job: Some(order("a", text())), validate_only: true, ..Default::default() };
    assert_eq!(fields(&server.jobs().update_job(dry).await.unwrap_err()), ["job.task.payload.amount"]);

    let over = |payload| v1::TriggerJobRequest { payload, ..trigger("a", "") };
    assert_eq!(fields(&server.trigger(over(text())).await.unwrap_err()), ["payload.amount"]);
    // It is the merged payload that counts.
    server.trigger(over(Some(payload("more", Kind::BoolValue(true))))).await.unwrap();
    let get = v1::GetJobRequest { job_id: "a".to_owned(), ..Default::default() };
    assert_eq!(server.jobs().get_job(get).await.unwrap().into_inner().etag, stored.etag, "refusals change nothing");
}

#[tokio::test]
async fn nothing_is_checked_where_no_agent_is_there_to_say_what_fits() {
    let server = Server::start().await;
    let away = AgentStatus { connect_time: None, ..agent("a", 0, Some(WHOLE)) };
    let stale = AgentStatus { is_stale: true, ..agent("a", 0, Some(WHOLE)) };
    let without = agent("a", 0, None);
    for (i, agents) in [vec![], vec![away], vec![stale], vec![without]].into_iter().enumerate() {
        server.fake.has_agents(agents);
        server.created(create(order(&format!("a{i}"), text()), "")).await.unwrap();
    }
    server.fake.has_agents(vec![agent("a", 0, Some(WHOLE))]);
    let other = v1::Task { r#type: "shop/other".to_owned(), payload: text() };
    server.created(create(v1::Job { task: Some(other), ..job("other") }, "")).await.unwrap();
}

#[tokio::test]
async fn of_agents_that_disagree_the_one_heard_of_last_counts() {
    let server = Server::start().await;
    for agents in [
        [agent("old", 1, Some(TEXT)), agent("new", 2, Some(WHOLE))],
        [agent("new", 2, Some(WHOLE)), agent("old", 1, Some(TEXT))],
    ] {
        server.fake.has_agents(agents.to_vec());
        assert!(server.created(create(order("a", text()), "")).await.is_err());
        let dry = v1::CreateJobRequest { validate_only: true, ..create(order("a", number()), "") };
        server.created(dry).await.unwrap();
    }
}

#[tokio::test]
async fn a_schema_that_comes_later_hinders_no_change_of_anything_else() {
    let server = Server::start().await;
    server.created(create(order("a", text()), "")).await.unwrap();
    server.fake.has_agents(vec![agent("a", 0, Some(WHOLE))]);
    let changed = server.update(v1::Job { priority: 7, ..order("a", None) }, &["priority"]).await.unwrap();
    let whole = v1::Job { priority: 8, ..changed };
    assert_eq!(server.update(whole, &["*"]).await.unwrap().priority, 8);
    // As a schedule's fires do, a trigger without a payload takes the job's as it is.
    server.trigger(trigger("a", "")).await.unwrap();
}

#[tokio::test]
async fn a_restore_is_refused_like_an_update_and_a_retry_is_not() {
    let server = Server::start().await;
    server.created(create(order("a", text()), "")).await.unwrap();
    server.update(order("a", number()), &["task"]).await.unwrap();
    let run_id = server.trigger(v1::TriggerJobRequest { payload: number(), ..trigger("a", "") }).await.unwrap().run_id;
    server.fake.has_agents(vec![agent("a", 0, Some(TEXT))]);
    let restore = |revision| v1::RestoreJobRevisionRequest { job_id: "a".to_owned(), revision, ..Default::default() };
    // It has the payload that the job has now.
    server.jobs().restore_job_revision(restore(2)).await.unwrap();
    server.fake.has_agents(vec![agent("a", 0, Some(WHOLE))]);
    let status = server.jobs().restore_job_revision(restore(1)).await.unwrap_err();
    assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["revision".to_owned()]));
    assert!(status.message().contains("task.payload.amount"), "{status}");
    server.fake.has_agents(vec![agent("a", 0, Some(TEXT))]);
    server.fake.end(run_id.parse().unwrap());
    server.runs().retry_run(v1::RetryRunRequest { run_id, ..Default::default() }).await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_taken_before_a_schema_came_is_answered_the_same_again() {
    let server = Server::start().await;
    let made = server.created(create(order("a", text()), "r1")).await.unwrap();
    let over = |request_id| v1::TriggerJobRequest { payload: text(), ..trigger("a", request_id) };
    let run = server.trigger(over("r1")).await.unwrap();
    server.fake.has_agents(vec![agent("a", 0, Some(WHOLE))]);
    assert_eq!(server.created(create(order("a", text()), "r1")).await.unwrap().uid, made.uid);
    assert_eq!(server.trigger(over("r1")).await.unwrap().run_id, run.run_id);

    assert_eq!(
        fields(&server.created(create(order("b", text()), "r2")).await.unwrap_err()),
        ["job.task.payload.amount"]
    );
    assert_eq!(fields(&server.trigger(over("r2")).await.unwrap_err()), ["payload.amount"]);
    let reused = server.created(create(order("c", text()), "r1")).await.unwrap_err();
    assert_eq!((reason(&reused).as_str(), fields(&reused)), ("REQUEST_ID_REUSED", vec!["request_id".to_owned()]));
    let list = v1::ListJobsRequest::default();
    assert_eq!(server.jobs().list_jobs(list).await.unwrap().into_inner().jobs.len(), 1);
}

#[tokio::test]
async fn built_in_task_types_cost_no_question_to_the_leader() {
    let server = Server::start().await;
    server.create("a").await;
    let over = payload("duration", Kind::StringValue("1s".to_owned()));
    server.trigger(v1::TriggerJobRequest { payload: Some(over), ..trigger("a", "") }).await.unwrap();
    let asked = server.fake.asked();
    assert!(!asked.iter().any(|request| matches!(request.command, Command::Agents)), "{asked:?}");
}
