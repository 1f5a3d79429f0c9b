//! What becomes of the server's answer.

use axum::Router;
use axum::http::header::{CONTENT_TYPE, ETAG, SET_COOKIE};
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

use super::http;
use crate::handler::trial::server::serve;
use crate::handler::trial::{Ended, trial};

async fn answered(answer: impl IntoResponse + Clone + Send + Sync + 'static, more: Value) -> Ended {
    let url = serve(Router::new().fallback(move || async move { answer })).await;
    let mut payload = json!({ "url": url });
    payload.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    trial(&payload).execute(&http()).await
}

#[tokio::test]
async fn json_is_a_value_and_other_text_a_string() {
    let ended = answered(
        ([(CONTENT_TYPE, "application/json"), (ETAG, "\"1\""), (SET_COOKIE, "a=b")], "{\"a\": [1]}"),
        json!({}),
    )
    .await;
    assert_eq!(ended.stdout, "{\"a\": [1]}\n", "as it came, and the line is ended");
    assert!(ended.stderr.contains("GET http://127.0.0.1:") && ended.stderr.contains("200 OK"), "{}", ended.stderr);
    assert_eq!(
        ended.value(),
        json!({"status": 200, "headers": {"content-type": "application/json", "etag": "\"1\""}, "body": {"a": [1]}})
    );
    let problem = answered(([(CONTENT_TYPE, "application/problem+json; charset=utf-8")], "{}"), json!({})).await;
    assert_eq!(problem.value()["body"], json!({}));
    let broken = answered(([(CONTENT_TYPE, "application/json")], "{"), json!({})).await;
    assert_eq!(broken.value()["body"], "{");
    let text = answered("a\nb\n", json!({})).await;
    assert_eq!(text.stdout, "a\nb\n");
    assert_eq!(text.value()["body"], "a\nb\n");
}

#[tokio::test]
async fn what_is_no_text_is_not_logged() {
    let ended = answered(([(CONTENT_TYPE, "image/png")], vec![0xff, 0xfe]), json!({})).await;
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("(2 bytes that are no text)"), "{}", ended.stderr);
    assert_eq!(ended.value()["body_base64"], "//4=");
}

#[tokio::test]
async fn a_body_is_cut_where_the_payload_says_and_says_so() {
    let ended = answered("abcdé", json!({ "max_response_bytes": 5 })).await;
    assert!(ended.stderr.contains("cut after 5 bytes"), "{}", ended.stderr);
    let value = ended.value();
    assert_eq!((&value["body"], &value["truncated"]), (&json!("abcd"), &json!(true)), "not within a character");
    let whole = answered("abcdé", json!({ "max_response_bytes": 6 })).await.value();
    assert_eq!((&whole["body"], whole.get("truncated")), (&json!("abcdé"), None));
    let none = answered("a", json!({ "max_response_bytes": 0 })).await.value();
    assert_eq!((&none["body"], &none["truncated"]), (&json!(""), &json!(true)));
}

#[tokio::test]
async fn a_result_fits_into_the_ledger_whatever_the_body_is() {
    let large = json!(["x".repeat(300_000)]).to_string();
    let json_body = ([(CONTENT_TYPE, "application/json")], large.clone());
    let ended = answered(json_body, json!({})).await;
    assert_eq!(ended.stdout.len(), large.len() + 1, "the log has all of it");
    let value = ended.value();
    assert_eq!(value["truncated"], true);
    assert!(value["body"].as_str().is_some_and(|body| body.len() > 200_000 && large.starts_with(body)));
    assert!(value.to_string().len() <= 256 << 10);
    // JSON writes each of these with six characters.
    let value = answered("\u{1}".repeat(100_000), json!({})).await.value();
    assert!(value.to_string().len() <= 256 << 10 && value["truncated"] == true);
    let nested = ([(CONTENT_TYPE, "application/json")], "[".repeat(60) + &"]".repeat(60));
    assert!(answered(nested, json!({})).await.value()["body"].is_string(), "no client could decode it");
}

#[tokio::test]
async fn statuses_are_codes_and_the_servers_own_faults_are_worth_another_attempt() {
    let router = Router::new().fallback(|uri: Uri| async move {
        let status = uri.path()[1..].parse::<u16>().expect("a number");
        (StatusCode::from_u16(status).expect("a status"), "why")
    });
    let url = serve(router).await;
    for (status, retryable) in
        [(500, true), (503, true), (429, true), (408, true), (400, false), (404, false), (409, false), (304, false)]
    {
        let ended = trial(&json!({ "url": format!("{url}/{status}") })).execute(&http()).await;
        if status != 304 {
            assert_eq!(ended.stdout, "why\n", "an error's body is in the log");
        }
        let failure = ended.failure();
        assert_eq!((failure.code, failure.retryable), (format!("HTTP_{status}"), retryable));
    }
    for status in [201, 204, 299] {
        assert_eq!(
            trial(&json!({ "url": format!("{url}/{status}") })).execute(&http()).await.value()["status"],
            status
        );
    }
    let expected = |status: u16| json!({"url": format!("{url}/{status}"), "success_statuses": [404]});
    assert_eq!(trial(&expected(404)).execute(&http()).await.value()["status"], 404);
    assert_eq!(trial(&expected(200)).execute(&http()).await.failure().code, "HTTP_200");
}

#[tokio::test]
async fn a_large_body_is_streamed_into_the_log() {
    let size = 8 << 20;
    let router = Router::new().route("/", get(move || async move { "x".repeat(size) }));
    let url = serve(router).await;
    let ended = trial(&json!({ "url": url, "max_response_bytes": size })).execute(&http()).await;
    assert_eq!(ended.stdout.len(), size + 1);
    let cut = trial(&json!({ "url": url })).execute(&http()).await;
    assert_eq!(cut.stdout.len(), (1 << 20) + 1, "the default is 1 MiB");
}
