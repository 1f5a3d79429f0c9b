//! The services over a real channel, with a leader and a ledger in memory: shapes of errors, paging, masks,
//! numbered requests, deadlines.

mod backfills;
mod calendars;
mod lives;
mod payloads;
mod real;
mod retries;
mod watch;

use ledger::LoggedChunk;
use prost_types::value::Kind;
use prost_types::{Duration as ProtoDuration, FieldMask, Struct, Value};
use punctual_proto::v1;
use scheduler_core::agent::LogSource;
use scheduler_core::engine::Command;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use v1::job_service_client::JobServiceClient;
use v1::run_service_client::RunServiceClient;
use v1::scheduler_service_client::SchedulerServiceClient;

use super::services;
use crate::access::Admission;
use crate::service::fakes::{Behaviour, Fake, NOW, SHORT};

/// A server on a port of its own.
struct Server {
    fake: Fake,
    channel: Channel,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the task ends with the test")]
    async fn start() -> Self {
        let fake = Fake::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(&fake);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { fake, channel, task }
    }

    fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel.clone())
    }

    fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone())
    }

    async fn create(&self, job_id: &str) -> v1::Job {
        let request = v1::CreateJobRequest { job: Some(job(job_id)), ..Default::default() };
        self.jobs().create_job(request).await.unwrap().into_inner()
    }

    async fn update(&self, job: v1::Job, mask: &[&str]) -> Result<v1::Job, Status> {
        let update_mask = FieldMask { paths: mask.iter().map(|path| (*path).to_owned()).collect() };
        let request = v1::UpdateJobRequest { job: Some(job), update_mask: Some(update_mask), ..Default::default() };
        self.jobs().update_job(request).await.map(tonic::Response::into_inner)
    }

    async fn trigger(&self, request: v1::TriggerJobRequest) -> Result<v1::Run, Status> {
        self.jobs().trigger_job(request).await.map(tonic::Response::into_inner)
    }
}

fn job(job_id: &str) -> v1::Job {
    let every = vec![ProtoDuration { seconds: 5, nanos: 0 }];
    v1::Job {
        job_id: job_id.to_owned(),
        schedule: Some(v1::Schedule { every, ..Default::default() }),
        task: Some(v1::Task { r#type: "noop".to_owned(), payload: None }),
        ..Default::default()
    }
}

fn trigger(job_id: &str, request_id: &str) -> v1::TriggerJobRequest {
    v1::TriggerJobRequest { job_id: job_id.to_owned(), request_id: request_id.to_owned(), ..Default::default() }
}

fn payload(key: &str, value: Kind) -> Struct {
    Struct { fields: [(key.to_owned(), Value { kind: Some(value) })].into() }
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().expect("because every refusal has one");
    assert_eq!(info.domain, "punctual");
    info.reason
}

fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().expect("because fields are wrong");
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn a_created_job_comes_back_with_every_default_and_its_next_fire() {
    let server = Server::start().await;
    let created = server.create("a").await;
    assert_eq!((created.namespace.as_str(), created.max_instances, created.enabled), ("default", Some(1), Some(true)));
    assert_eq!(created.state(), v1::job::State::Active);
    assert_eq!(created.next_fire_time.unwrap().seconds, NOW.as_secs() + 5);
    assert_eq!(created.schedule_text, "every 5 seconds");
    let request = v1::GetJobRequest { job_id: "a".to_owned(), ..Default::default() };
    assert_eq!(server.jobs().get_job(request).await.unwrap().into_inner(), created);
}

#[tokio::test]
async fn wrong_fields_are_named_by_their_path_in_the_request() {
    let server = Server::start().await;
    let wrong = v1::Job {
        max_instances: Some(0),
        schedule: Some(v1::Schedule { every: vec![ProtoDuration::default()], ..Default::default() }),
        ..job("A")
    };
    let request = v1::CreateJobRequest { job: Some(wrong), request_id: "é".to_owned(), ..Default::default() };
    let status = server.jobs().create_job(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    assert_eq!(fields(&status), ["request_id", "job.job_id", "job.schedule.every[0]", "job.max_instances"]);
    assert_eq!(server.fake.asked(), []);
}

#[tokio::test]
async fn thousands_of_violations_still_fit_into_a_status() {
    let server = Server::start().await;
    let labels = (0..5_000).map(|i| (format!("={i}"), String::new())).collect();
    let request = v1::CreateJobRequest { job: Some(v1::Job { labels, ..job("a") }), ..Default::default() };
    let status = server.jobs().create_job(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "5001 fields are wrong");
    assert_eq!(fields(&status)[0], "job.labels");
}

#[tokio::test]
async fn a_payload_that_is_too_large_has_a_status_of_its_own() {
    let server = Server::start().await;
    let large = Kind::StringValue("x".repeat(300_000));
    let task = v1::Task { r#type: "custom".to_owned(), payload: Some(payload("a", large.clone())) };
    let request = v1::CreateJobRequest { job: Some(v1::Job { task: Some(task), ..job("a") }), ..Default::default() };
    let status = server.jobs().create_job(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_LARGE"));
    assert_eq!(fields(&status), ["job.task.payload"]);
    let request = v1::TriggerJobRequest { payload: Some(payload("a", large)), ..trigger("a", "") };
    assert_eq!(fields(&server.trigger(request).await.unwrap_err()), ["payload"]);
}

#[tokio::test]
async fn every_refusal_of_the_leader_has_its_code_and_reason() {
    let server = Server::start().await;
    let created = server.create("a").await;
    let expect = |status: Status, code: Code, name: &str| {
        assert_eq!((status.code(), reason(&status).as_str()), (code, name));
    };

    let again = v1::CreateJobRequest { job: Some(job("a")), ..Default::default() };
    let status = server.jobs().create_job(again).await.unwrap_err();
    expect(status, Code::AlreadyExists, "JOB_ALREADY_EXISTS");

    let delete = |etag: &str| v1::DeleteJobRequest { job_id: "a".into(), etag: etag.into(), ..Default::default() };
    let status = server.jobs().delete_job(delete("stale")).await.unwrap_err();
    expect(status, Code::Aborted, "ETAG_MISMATCH");

    let disable = v1::DisableJobRequest { job_id: "a".to_owned(), ..Default::default() };
    let disabled = server.jobs().disable_job(disable).await.unwrap().into_inner();
    assert_ne!(disabled.etag, created.etag);
    expect(server.trigger(trigger("a", "")).await.unwrap_err(), Code::FailedPrecondition, "JOB_DISABLED");

    server.jobs().delete_job(delete(&disabled.etag)).await.unwrap();
    expect(server.trigger(trigger("a", "")).await.unwrap_err(), Code::FailedPrecondition, "JOB_DELETED");
    expect(server.trigger(trigger("b", "")).await.unwrap_err(), Code::NotFound, "JOB_NOT_FOUND");

    server.fake.behave(Behaviour::NoLeader);
    expect(server.trigger(trigger("a", "")).await.unwrap_err(), Code::Unavailable, "NO_LEADER");
}

#[tokio::test]
async fn a_call_that_did_not_come_through_the_gate_is_answered_nothing() {
    let routes = services(Fake::default().service(), &CancellationToken::new());
    let status = JobServiceClient::new(routes).list_jobs(v1::ListJobsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_history_of_a_job_that_never_was_is_not_an_empty_one() {
    let server = Server::start().await;
    server.create("a").await;
    let expect = retries::expect;
    let history = |job_id: &str| v1::ListRunsRequest { job_id: job_id.to_owned(), ..Default::default() };
    assert_eq!(server.runs().list_runs(history("a")).await.unwrap().into_inner().runs, []);
    expect(server.runs().list_runs(history("b")).await.unwrap_err(), Code::NotFound, "JOB_NOT_FOUND");
    let stats = |job_id: &str| v1::GetRunStatsRequest { job_id: job_id.to_owned(), ..Default::default() };
    assert_eq!(server.runs().get_run_stats(stats("a")).await.unwrap().into_inner().counts, []);
    expect(server.runs().get_run_stats(stats("b")).await.unwrap_err(), Code::NotFound, "JOB_NOT_FOUND");
    let bucket = Some(ProtoDuration { seconds: 1, nanos: 0 });
    let status = server.runs().get_run_stats(v1::GetRunStatsRequest { bucket, ..stats("a") }).await.unwrap_err();
    assert_eq!(fields(&status), ["bucket"]);
}

#[tokio::test]
async fn jobs_are_listed_by_the_state_that_they_show() {
    let server = Server::start().await;
    for job_id in ["a", "b", "c", "d"] {
        server.create(job_id).await;
    }
    let pause = v1::PauseJobRequest { job_id: "b".to_owned(), ..Default::default() };
    server.jobs().pause_job(pause).await.unwrap();
    let delete = v1::DeleteJobRequest { job_id: "d".to_owned(), ..Default::default() };
    server.jobs().delete_job(delete).await.unwrap();
    use v1::job::State::{Active, Completed, Deleted, Paused};
    let cases: [(&[v1::job::State], bool, &[&str]); 5] = [
        (&[], false, &["a", "b", "c"]),
        (&[], true, &["a", "b", "c", "d"]),
        (&[Active], false, &["a", "c"]),
        (&[Paused, Completed], false, &["b"]),
        (&[Completed, Deleted], false, &[]),
    ];
    for (states, show_deleted, expected) in cases {
        let expected = if states.contains(&Deleted) { &["d"] } else { expected };
        let show_deleted = show_deleted || states.contains(&Deleted);
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let states = states.iter().map(|state| i32::from(*state)).collect();
            let request = v1::ListJobsRequest { states, show_deleted, page_size: 1, page_token, ..Default::default() };
            let page = server.jobs().list_jobs(request).await.unwrap().into_inner();
            found.extend(page.jobs.into_iter().map(|job| job.job_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{states:?}");
    }
}

#[tokio::test]
async fn get_then_put_changes_nothing_not_even_the_etag() {
    let server = Server::start().await;
    let created = server.create("a").await;
    let asked = server.fake.asked().len();
    assert_eq!(server.update(created.clone(), &["*"]).await.unwrap(), created);
    assert_eq!(server.update(created.clone(), &[]).await.unwrap(), created);
    assert_eq!(server.fake.asked().len(), asked);
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names() {
    let server = Server::start().await;
    let created = server.create("a").await;
    let change = v1::Job { priority: 9, description: "d".to_owned(), ..job("a") };
    let updated = server.update(change, &["priority"]).await.unwrap();
    assert_eq!((updated.priority, updated.description.as_str()), (9, ""));
    assert_eq!(updated.schedule, created.schedule);
    assert_ne!(updated.etag, created.etag);

    let stale = v1::Job { etag: created.etag, priority: 1, ..job("a") };
    assert_eq!(server.update(stale, &["priority"]).await.unwrap_err().code(), Code::Aborted);
    let status = server.update(job("a"), &["nothing"]).await.unwrap_err();
    assert_eq!(fields(&status), ["update_mask"]);
}

#[tokio::test]
async fn an_overtaken_update_without_an_etag_is_laid_over_the_other_change() {
    let server = Server::start().await;
    server.create("a").await;
    server.fake.behave(Behaviour::OvertakenBy(2));
    let change = v1::Job { description: "d".to_owned(), ..job("a") };
    let updated = server.update(change, &["description"]).await.unwrap();
    assert_eq!((updated.priority, updated.description.as_str()), (2, "d"));
}

#[tokio::test]
async fn an_update_of_a_missing_job_creates_it_only_when_it_may() {
    let server = Server::start().await;
    assert_eq!(server.update(job("a"), &[]).await.unwrap_err().code(), Code::NotFound);
    let request = v1::UpdateJobRequest { job: Some(job("a")), allow_missing: true, ..Default::default() };
    assert_eq!(server.jobs().update_job(request).await.unwrap().into_inner().revision, 1);
}

#[tokio::test]
async fn validate_only_creates_nothing() {
    let server = Server::start().await;
    let request = v1::CreateJobRequest { job: Some(job("a")), validate_only: true, ..Default::default() };
    assert_eq!(server.jobs().create_job(request).await.unwrap().into_inner().job_id, "a");
    let get = v1::GetJobRequest { job_id: "a".to_owned(), ..Default::default() };
    let status = server.jobs().get_job(get).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "JOB_NOT_FOUND"));
}

#[tokio::test]
async fn a_numbered_request_is_done_once() {
    let server = Server::start().await;
    server.create("a").await;
    let first = server.trigger(trigger("a", "r1")).await.unwrap();
    assert_eq!(server.trigger(trigger("a", "r1")).await.unwrap().run_id, first.run_id);
    assert_ne!(server.trigger(trigger("a", "r2")).await.unwrap().run_id, first.run_id);

    let labels = [("l".to_owned(), "1".to_owned())].into();
    let status = server.trigger(v1::TriggerJobRequest { labels, ..trigger("a", "r1") }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    assert_eq!(fields(&status), ["request_id"]);
    let status = server.trigger(trigger("a", &"r".repeat(37))).await.unwrap_err();
    assert_eq!(fields(&status), ["request_id"]);
}

#[tokio::test]
async fn a_write_with_an_unknown_outcome_can_be_repeated_with_the_id_that_the_refusal_names() {
    let server = Server::start().await;
    server.create("a").await;
    server.fake.behave(Behaviour::LoseTheAnswer);
    let status = server.trigger(trigger("a", "")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unknown, "OUTCOME_UNKNOWN"));
    let request_id = status.get_details_error_info().unwrap().metadata["request_id"].clone();

    server.trigger(trigger("a", &request_id)).await.unwrap();
    let list = server.runs().list_runs(v1::ListRunsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.runs.len(), 1);
}

/// In process: a client's own timer would be faster than the server's answer.
fn in_process(fake: &Fake) -> JobServiceClient<axum::Router> {
    JobServiceClient::new(router(fake))
}

/// The services behind a gate that is open.
fn router(fake: &Fake) -> axum::Router {
    let admission = axum::Extension(Admission::of_anyone("Test"));
    services(fake.service(), &CancellationToken::new()).prepare().into_axum_router().layer(admission)
}

fn in_a_hurry<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(SHORT);
    request
}

#[tokio::test]
async fn a_write_that_the_deadline_cuts_off_has_an_unknown_outcome() {
    let fake = Fake::default();
    fake.behave(Behaviour::Never);
    let status = in_process(&fake).trigger_job(in_a_hurry(trigger("a", "r1"))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unknown, "OUTCOME_UNKNOWN"));
    assert_eq!(status.get_details_error_info().unwrap().metadata["request_id"], "r1");
}

#[tokio::test]
async fn status_is_answered_without_a_leader() {
    let server = Server::start().await;
    server.create("a").await;
    let mut client = SchedulerServiceClient::new(server.channel.clone());
    let status = client.get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.leader, status.jobs, status.nodes.len()), (None, None, 1));
}

#[tokio::test]
async fn a_triggers_payload_is_laid_over_the_jobs_and_checked() {
    let server = Server::start().await;
    let command = Kind::ListValue(prost_types::ListValue {
        values: vec![Value { kind: Some(Kind::StringValue("true".to_owned())) }],
    });
    let task = v1::Task { r#type: "process".to_owned(), payload: Some(payload("command", command)) };
    let request = v1::CreateJobRequest { job: Some(v1::Job { task: Some(task), ..job("a") }), ..Default::default() };
    server.jobs().create_job(request).await.unwrap();

    let over = payload("stdin", Kind::StringValue("x".to_owned()));
    server.trigger(v1::TriggerJobRequest { payload: Some(over), ..trigger("a", "") }).await.unwrap();
    let asked = server.fake.asked();
    let Some(Command::TriggerJob { payload: Some(merged), .. }) = asked.last().map(|asked| asked.command.clone())
    else {
        panic!("no trigger was asked for");
    };
    assert_eq!(&*merged.0, r#"{"command":["true"],"stdin":"x"}"#);

    let wrong = payload("shell", Kind::StringValue("x".to_owned()));
    let status = server.trigger(v1::TriggerJobRequest { payload: Some(wrong), ..trigger("a", "") }).await.unwrap_err();
    assert_eq!(fields(&status), ["payload.shell"]);
}

#[tokio::test]
async fn a_list_is_read_page_by_page_with_a_token_that_belongs_to_it() {
    let server = Server::start().await;
    for job_id in ["a", "b", "c"] {
        server.create(job_id).await;
    }
    let list = |page_size: i32, page_token: &str, query: &str| v1::ListJobsRequest {
        page_size,
        page_token: page_token.to_owned(),
        query: query.to_owned(),
        ..Default::default()
    };
    let mut jobs = server.jobs();
    let first = jobs.list_jobs(list(2, "", "")).await.unwrap().into_inner();
    let rest = jobs.list_jobs(list(5, &first.next_page_token, "")).await.unwrap().into_inner();
    let ids: Vec<&str> = first.jobs.iter().chain(&rest.jobs).map(|job| job.job_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(rest.next_page_token, "");

    let status = jobs.list_jobs(list(2, &first.next_page_token, "b")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
    assert_eq!(fields(&status), ["page_token"]);
    assert_eq!(fields(&jobs.list_jobs(list(-1, "", "")).await.unwrap_err()), ["page_size"]);
}

#[tokio::test]
async fn a_run_is_found_in_its_own_namespace_only() {
    let server = Server::start().await;
    server.create("a").await;
    let run = server.trigger(trigger("a", "")).await.unwrap();
    let get = |namespace: &str, run_id: &str| v1::GetRunRequest { namespace: namespace.into(), run_id: run_id.into() };
    let found = server.runs().get_run(get("", &run.run_id)).await.unwrap().into_inner();
    assert_eq!((found.run_id.as_str(), found.trigger()), (run.run_id.as_str(), v1::run::Trigger::Manual));
    let status = server.runs().get_run(get("other", &run.run_id)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RUN_NOT_FOUND"));
    assert_eq!(fields(&server.runs().get_run(get("", "x")).await.unwrap_err()), ["run_id"]);
}

#[tokio::test]
async fn a_filter_by_a_state_that_does_not_exist_is_refused() {
    let server = Server::start().await;
    for state in [0, 99] {
        let list = v1::ListRunsRequest { states: vec![1, state], ..Default::default() };
        assert_eq!(fields(&server.runs().list_runs(list).await.unwrap_err()), ["states[1]"]);
    }
}

#[tokio::test]
async fn logs_of_one_attempt_and_stream_are_read_to_the_end() {
    let server = Server::start().await;
    server.create("a").await;
    let run = server.trigger(trigger("a", "")).await.unwrap();
    let chunk = |attempt: u32, sequence: u64, source: LogSource| LoggedChunk {
        attempt,
        sequence,
        source,
        time: NOW,
        data: format!("{attempt}.{sequence} ").into_bytes(),
        cut_bytes: 0,
    };
    let (out, err) = (LogSource::Stdout, LogSource::Stderr);
    server.fake.log(vec![
        chunk(1, 1, out),
        chunk(2, 1, out),
        chunk(2, 2, err),
        chunk(2, 3, out),
        chunk(2, 4, err),
        chunk(2, 5, out),
        chunk(3, 1, out),
    ]);
    for (attempt, stream, expected) in [
        (0, 0, "1.1 2.1 2.2 2.3 2.4 2.5 3.1 "),
        (2, 0, "2.1 2.2 2.3 2.4 2.5 "),
        (2, 1, "2.1 2.3 2.5 "),
        (0, 2, "2.2 2.4 "),
        (9, 0, ""),
    ] {
        let mut request =
            v1::GetRunLogsRequest { run_id: run.run_id.clone(), attempt, stream, page_size: 2, ..Default::default() };
        let mut written = Vec::new();
        loop {
            let page = server.runs().get_run_logs(request.clone()).await.unwrap().into_inner();
            assert!(page.chunks.len() <= 2);
            written.extend(page.chunks.into_iter().flat_map(|chunk| chunk.data));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(String::from_utf8(written).unwrap(), expected, "{attempt} {stream}");
    }
}

#[tokio::test]
async fn a_preview_needs_no_job_and_shows_what_is_wrong() {
    let server = Server::start().await;
    let preview = |schedule: Option<v1::Schedule>, count: Option<i32>| v1::PreviewScheduleRequest {
        schedule,
        count,
        ..Default::default()
    };
    let fires = |response: v1::PreviewScheduleResponse| -> Vec<i64> {
        response.fire_times.iter().map(|time| time.seconds - NOW.as_secs()).collect()
    };
    let response = server.jobs().preview_schedule(preview(job("a").schedule, Some(3))).await.unwrap().into_inner();
    assert!(response.description.contains("every 5"), "{}", response.description);
    assert_eq!(fires(response), [5, 10, 15]);

    let wrong = v1::Schedule { cron: vec!["61 * * * *".to_owned()], ..Default::default() };
    let status = server.jobs().preview_schedule(preview(Some(wrong), None)).await.unwrap_err();
    assert_eq!(fields(&status), ["schedule.cron[0]"]);
    let status = server.jobs().preview_schedule(preview(job("a").schedule, Some(0))).await.unwrap_err();
    assert_eq!(fields(&status), ["count"]);
    let status = server.jobs().preview_schedule(preview(None, None)).await.unwrap_err();
    assert_eq!(fields(&status), ["schedule"]);

    server.create("a").await;
    let of_job = v1::PreviewScheduleRequest { job_id: "a".to_owned(), ..Default::default() };
    let response = server.jobs().preview_schedule(of_job).await.unwrap().into_inner();
    assert_eq!(fires(response), [5, 10, 15, 20, 25]);
}

#[tokio::test]
async fn a_paused_job_shows_who_paused_it_and_no_next_fire() {
    let server = Server::start().await;
    server.create("a").await;
    let pause = v1::PauseJobRequest { job_id: "a".to_owned(), note: "why\0".to_owned(), ..Default::default() };
    let paused = server.jobs().pause_job(pause).await.unwrap().into_inner();
    assert_eq!(paused.pause.clone().unwrap().note, "why\u{fffd}");
    assert_eq!((paused.state(), paused.next_fire_time), (v1::job::State::Paused, None));
    let resume = v1::ResumeJobRequest { job_id: "a".to_owned(), ..Default::default() };
    let resumed = server.jobs().resume_job(resume).await.unwrap().into_inner();
    assert_eq!((resumed.state(), resumed.pause), (v1::job::State::Active, None));
}
