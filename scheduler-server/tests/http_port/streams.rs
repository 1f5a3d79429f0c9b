use http_body_util::BodyExt;

use crate::client::{begin, request, rest, send};
use crate::server::Server;

#[tokio::test]
async fn a_stream_is_server_sent_events_with_the_token_as_id() {
    let server = Server::start().await;
    let events = rest(&server, "GET /api/v1/scheduler/runs/events?resumeToken=t0", "").await;
    assert_eq!((events.status.as_u16(), events.header("content-type")), (200, "text/event-stream"));
    let lines: Vec<&str> = events.text().lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines[0].starts_with("data: {\"run\":{") && lines[0].contains("\"runId\":\"t0\""), "{}", lines[0]);
    assert_eq!(&lines[1..4], ["id: t1", "data: {\"resumeToken\":\"t2\"}", "id: t2"]);
    assert_eq!(lines[4], "event: error");
    assert!(lines[5].contains("\"status\":\"UNAVAILABLE\""), "{}", lines[5]);
}

#[tokio::test]
async fn a_browser_that_comes_back_goes_on_after_its_last_event() {
    let server = Server::start().await;
    let mut back = request(&server, "GET /api/v1/scheduler/runs/events?resumeToken=t0", "");
    back.headers_mut().insert("last-event-id", "t9".parse().unwrap());
    assert!(send(&server, back).await.text().contains("\"runId\":\"t9\""));
}

#[tokio::test]
async fn a_refusal_comes_before_the_stream_begins() {
    let server = Server::start().await;
    let refused = rest(&server, "GET /api/v1/scheduler/runs/events?resumeToken=old", "").await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"]["status"].as_str()), (400, Some("OUT_OF_RANGE")));
}

#[tokio::test]
async fn a_drain_closes_streams_at_its_deadline() {
    let limits = scheduler_server::http::Limits { drain: std::time::Duration::from_millis(200), ..Default::default() };
    let mut server = Server::with(scheduler_server::http::HostPolicy::Loopback, limits).await;
    let line = "GET /api/v1/scheduler/runs/events?resumeToken=forever";
    let (response, _connection) = begin(&server, request(&server, line, "")).await;
    server.drain.cancel();
    server.tasks.join_next().await.expect("the server's task").expect("it ends well");
    response.into_body().collect().await.expect_err("the stream was cut, not ended");
}
