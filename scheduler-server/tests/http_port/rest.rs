use axum::body::Body;
use axum::http::Version;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{request, rest, send, send_h2};
use crate::server::Server;

const JOB: &str = r#"{"jobId": "a", "schedule": {"every": ["1s"]}, "labels": {"b": "2", "a": "1"},
                      "task": {"type": "noop", "payload": {"n": 3.0}}}"#;

#[tokio::test]
async fn a_job_is_created_read_and_listed() {
    let server = Server::start().await;
    let created = rest(&server, "POST /api/v1/scheduler/jobs?requestId=r1", JOB).await;
    assert_eq!(created.status, 200, "{}", created.text());
    assert_eq!(created.version, Version::HTTP_11);
    assert_eq!(created.header("content-type"), "application/json");
    assert_eq!(created.header("etag"), "\"e1\"");
    let job = created.json();
    assert_eq!((&job["jobId"], &job["uid"]), (&json!("a"), &json!("r1")));
    assert_eq!(job["schedule"]["every"], json!(["1s"]));
    assert_eq!(job["schedule"]["cron"], json!([]));
    assert_eq!(job["labels"].to_string(), r#"{"a":"1","b":"2"}"#);
    assert_eq!(job["task"]["payload"].to_string(), r#"{"n":3}"#);
    assert_eq!(rest(&server, "GET /api/v1/scheduler/jobs/a", "").await.json(), job);
    let list = rest(&server, "GET /api/v1/scheduler/jobs?pageSize=5", "").await.json();
    assert_eq!(list, json!({"jobs": [job], "nextPageToken": ""}));
}

#[tokio::test]
async fn rest_is_served_over_http2_too() {
    let server = Server::start().await;
    let created = send_h2(&server, request(&server, "POST /api/v1/scheduler/jobs", JOB)).await;
    assert_eq!((created.status.as_u16(), created.version), (200, Version::HTTP_2));
    assert_eq!(created.json()["jobId"], "a");
}

#[tokio::test]
async fn refusals_of_services_name_the_field_in_the_body() {
    let server = Server::start().await;
    let refused = rest(&server, "POST /api/v1/scheduler/jobs", r#"{"jobId": "a", "maxInstances": 0}"#).await;
    assert_eq!(refused.status, 400);
    let expected = json!({"error": {
        "code": 400,
        "status": "INVALID_ARGUMENT",
        "message": "maxInstances: 0 is below 1",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_FIELDS", "domain": "punctual"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest",
             "fieldViolations": [{"field": "maxInstances", "description": "0 is below 1"}]},
        ],
    }});
    assert_eq!(refused.json(), expected);
    let missing = rest(&server, "GET /api/v1/scheduler/jobs/nope", "").await;
    assert_eq!((missing.status.as_u16(), &missing.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn bad_bodies_are_refused_before_any_service_sees_them() {
    let server = Server::start().await;
    let jobs = "POST /api/v1/scheduler/jobs";
    let strict = rest(&server, jobs, r#"{"jobId": "a", "nope": 1, "timeout": "5m"}"#).await;
    assert_eq!(strict.status, 400);
    let fields: Vec<String> = strict.violations().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["nope", "timeout"]);
    let malformed = rest(&server, jobs, "{\"jobId\": ").await.json();
    assert_eq!(malformed["error"]["details"][0]["reason"], "MALFORMED_REQUEST");
    assert!(malformed["error"]["message"].as_str().unwrap().contains("line 1 column"), "{malformed}");
    let large = rest(&server, jobs, &format!("{{\"description\": \"{}\"}}", "x".repeat(1 << 20))).await;
    assert_eq!((large.status.as_u16(), &large.json()["error"]["status"]), (413, &json!("RESOURCE_EXHAUSTED")));
    let list = rest(&server, "GET /api/v1/scheduler/jobs", "").await.json();
    assert_eq!(list["jobs"], json!([]));
}

/// Python's clients do: they send all of the body before they look for an answer.
#[tokio::test]
async fn who_writes_a_large_body_to_its_end_gets_the_answer() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let length = 10 << 20;
    let head = format!(
        "POST /api/v1/scheduler/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; length]).await.expect("the server reads on");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("TOO_LARGE"), "{answer}");
}

#[tokio::test]
async fn payloads_are_as_deep_as_protobuf_takes_them() {
    let server = Server::start().await;
    let create = async |levels: usize| {
        let payload = format!("{}{{}}{}", "{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
        let job = format!(r#"{{"jobId": "deep", "task": {{"type": "noop", "payload": {payload}}}}}"#);
        rest(&server, "POST /api/v1/scheduler/jobs", &job).await
    };
    let deepest = create(30).await;
    assert_eq!(deepest.status, 200, "{}", deepest.text());
    let deeper = create(31).await;
    assert_eq!((deeper.status.as_u16(), deeper.violations().len()), (400, 1));
    let (field, description) = deeper.violations().remove(0);
    assert_eq!(description, "a payload may be nested 30 deep");
    assert!(field.starts_with("task.payload.a.a."), "{field}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_json_errors() {
    let server = Server::start().await;
    for path in ["/api", "/api/v1/nope", "/api/v1/scheduler/nope", "/api/v1/scheduler/jobs/%ff"] {
        let missing = rest(&server, &format!("GET {path}"), "").await;
        assert_eq!((missing.status.as_u16(), &missing.json()["error"]["code"]), (404, &json!(404)), "{path}");
        assert_eq!(missing.json()["error"]["details"][0]["reason"], "PATH_NOT_FOUND");
    }
    let wrong = rest(&server, "POST /api/v1/scheduler/jobs/a", "{}").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "DELETE, GET, PATCH, PUT"));
    assert_eq!(wrong.json()["error"]["code"], 405);
    let wrong = rest(&server, "GET /api/v1/scheduler/jobs/a/action", "").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "POST"));
}

#[tokio::test]
async fn patch_and_put_tell_the_service_what_to_change() {
    let server = Server::start().await;
    let body = r#"{"schedule": {"timeZone": "UTC"}, "priority": 2}"#;
    let patched = rest(&server, "PATCH /api/v1/scheduler/jobs/a", body).await.json();
    assert_eq!((&patched["jobId"], &patched["description"]), (&json!("a"), &json!("schedule.time_zone,priority")));
    let put = rest(&server, "PUT /api/v1/scheduler/jobs/a", body).await.json();
    assert_eq!(put["description"], "*");
    let mut conditional = request(&server, "PATCH /api/v1/scheduler/jobs/a", "{}");
    conditional.headers_mut().insert("if-match", "\"e7\"".parse().unwrap());
    assert_eq!(send(&server, conditional).await.json()["etag"], "e7");
}

#[tokio::test]
async fn the_trace_and_the_callers_token_are_passed_on() {
    let server = Server::start().await;
    let mut pause = request(&server, "POST /api/v1/scheduler/jobs/a/pause", r#"{"note": "why"}"#);
    pause.headers_mut().insert("authorization", "Bearer x".parse().unwrap());
    pause.headers_mut().insert("traceparent", "00-01-02-03".parse().unwrap());
    let job = send(&server, pause).await.json();
    assert_eq!(job["pause"]["author"], "Bearer x 00-01-02-03");
    assert_eq!(job["pause"]["note"], "why (peer known: true)");
}

#[tokio::test]
async fn actions_are_the_methods_they_name() {
    let server = Server::start().await;
    let action = "POST /api/v1/scheduler/jobs/a/action";
    let paused = rest(&server, action, r#"{"action": "pause", "note": "x"}"#).await.json();
    assert_eq!((&paused["jobId"], &paused["pause"]["note"]), (&json!("a"), &json!("x (peer known: true)")));
    let body = r#"{"action": "trigger", "requestId": "r", "payload": {"deep": [1, 2.5]}}"#;
    let run = rest(&server, action, body).await.json();
    assert_eq!((&run["jobId"], &run["runId"], &run["result"]), (&json!("a"), &json!("r"), &json!({"deep": [1, 2.5]})));
    let large = r#"{"action": "trigger", "payload": {"n": 9007199254740993}}"#;
    assert_eq!(rest(&server, action, large).await.violations()[0].0, "payload.n");
    let unknown = rest(&server, action, r#"{"action": "explode"}"#).await;
    assert_eq!((unknown.status.as_u16(), unknown.violations()[0].0.as_str()), (400, "action"));
}

#[tokio::test]
async fn a_panic_is_an_error_of_500() {
    let server = Server::start().await;
    let failed = rest(&server, "POST /api/v1/scheduler/jobs/a/explain", "{}").await;
    assert_eq!((failed.status.as_u16(), &failed.json()["error"]["status"]), (500, &json!("INTERNAL")));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    let head = rest(&server, "HEAD /api/v1/scheduler/jobs", "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let missing = rest(&server, "HEAD /api/v1/scheduler/jobs/nope", "").await;
    assert_eq!((missing.status.as_u16(), missing.body.len()), (404, 0));
}

#[tokio::test]
async fn logs_are_text_as_written_unless_json_is_asked_for() {
    let server = Server::start().await;
    let logs = "GET /api/v1/scheduler/runs/x/logs";
    let text = rest(&server, logs, "").await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(&text.body[..], b"first\n\xff\x00last");
    let accepting = async |accept: &str| {
        let mut request = request(&server, logs, "");
        request.headers_mut().insert("accept", accept.parse().unwrap());
        send(&server, request).await
    };
    let json = accepting("application/json").await.json();
    assert_eq!((&json["chunks"][0]["data"], &json["nextPageToken"]), (&json!("Zmlyc3QK"), &json!("2")));
    assert_eq!(accepting("*/*").await.header("content-type"), "text/plain; charset=utf-8");
    let paged = rest(&server, "GET /api/v1/scheduler/runs/x/logs?pageSize=5", "").await;
    assert_eq!((paged.status.as_u16(), paged.violations()[0].0.as_str()), (400, "pageSize"));
    let refused = rest(&server, "GET /api/v1/scheduler/runs/none/logs", "").await;
    assert_eq!((refused.status.as_u16(), refused.violations()[0].0.as_str()), (400, "runId"));
}

#[tokio::test]
async fn a_body_of_another_type_is_refused_in_the_shape_of_errors() {
    let server = Server::start().await;
    let mut request = request(&server, "POST /api/v1/scheduler/jobs", "");
    *request.body_mut() = Body::from(JOB);
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    let refused = send(&server, request).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (415, &json!(415)));
}
