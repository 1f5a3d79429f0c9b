//! CancelRun and RetryRun.

use super::*;

fn cancel(run_id: &str) -> v1::CancelRunRequest {
    v1::CancelRunRequest { run_id: run_id.to_owned(), ..Default::default() }
}

fn retry(run_id: &str, request_id: &str) -> v1::RetryRunRequest {
    v1::RetryRunRequest { run_id: run_id.to_owned(), request_id: request_id.to_owned(), ..Default::default() }
}

pub(super) fn expect(status: Status, code: Code, text: &str) {
    assert_eq!((status.code(), reason(&status).as_str()), (code, text));
}

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_run_that_has_not_ended_is_cancelled_once() {
    let server = Server::start().await;
    server.create("a").await;
    let run = server.trigger(trigger("a", "")).await.unwrap();
    let noted = |note: String| v1::CancelRunRequest { note, ..cancel(&run.run_id) };
    let too_long = server.runs().cancel_run(noted("n".repeat(1_025))).await;
    assert_eq!(fields(&too_long.unwrap_err()), ["note"]);
    let cancelled = server.runs().cancel_run(noted("why".to_owned())).await.unwrap().into_inner();
    let asked = server.fake.asked();
    let last = asked.last().map(|asked| asked.command.clone());
    assert!(matches!(last, Some(Command::CancelRun { note, .. }) if note == "why"));
    assert_eq!((cancelled.run_id.as_str(), cancelled.state()), (run.run_id.as_str(), v1::run::State::Cancelled));
    expect(server.runs().cancel_run(cancel(&run.run_id)).await.unwrap_err(), Code::FailedPrecondition, "RUN_ENDED");
    expect(server.runs().cancel_run(cancel(NOBODY)).await.unwrap_err(), Code::NotFound, "RUN_NOT_FOUND");
}

#[tokio::test]
async fn an_ended_run_is_retried_with_its_payload_and_labels() {
    let server = Server::start().await;
    server.create("a").await;
    let labels: std::collections::BTreeMap<_, _> = [("l".to_owned(), "1".to_owned())].into();
    let over = Some(payload("k", Kind::StringValue("v".to_owned())));
    let first = v1::TriggerJobRequest { labels: labels.clone(), payload: over, ..trigger("b", "") };
    let task = Some(v1::Task { r#type: "custom".to_owned(), payload: None });
    let request = v1::CreateJobRequest { job: Some(v1::Job { task, ..job("b") }), ..Default::default() };
    server.jobs().create_job(request).await.unwrap();
    let run = server.trigger(first).await.unwrap();
    let status = server.runs().retry_run(retry(&run.run_id, "")).await.unwrap_err();
    expect(status, Code::FailedPrecondition, "RUN_NOT_ENDED");

    server.fake.end(run.run_id.parse().unwrap());
    let retried = server.runs().retry_run(retry(&run.run_id, "r1")).await.unwrap().into_inner();
    assert_eq!((&retried.retry_of, retried.trigger()), (&run.run_id, v1::run::Trigger::Retry));
    assert_eq!(retried.labels, labels);
    let asked = server.fake.asked();
    let Some(Command::RetryRun { payload: Some(payload), .. }) = asked.last().map(|asked| asked.command.clone()) else {
        panic!("no retry was asked for with a payload");
    };
    assert_eq!(&*payload.0, r#"{"k":"v"}"#);
    let again = server.runs().retry_run(retry(&run.run_id, "r1")).await.unwrap().into_inner();
    assert_eq!(again.run_id, retried.run_id);
    expect(server.runs().retry_run(retry(NOBODY, "")).await.unwrap_err(), Code::NotFound, "RUN_NOT_FOUND");
}
