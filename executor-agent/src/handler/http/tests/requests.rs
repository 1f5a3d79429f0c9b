//! What arrives at the server.

use axum::Router;
use serde_json::{Value, json};

use super::{http, with_secret};
use crate::handler::Secrets;
use crate::handler::http::Http;
use crate::handler::trial::server::{echo, serve, serve_tls};
use crate::handler::trial::trial;

async fn echoed(more: Value) -> Value {
    let url = serve(Router::new().fallback(echo)).await;
    let mut payload = json!({ "url": format!("{url}/a?b=c") });
    payload.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let mut result = trial(&payload).execute(&http()).await.value();
    assert_eq!(result["status"], 200);
    result["body"].take()
}

#[tokio::test]
async fn a_task_without_more_is_a_get_with_the_data_of_its_run() {
    let echoed = echoed(json!({})).await;
    assert_eq!((&echoed["method"], &echoed["uri"], &echoed["body"]), (&json!("GET"), &json!("/a?b=c"), &json!("")));
    let headers = &echoed["headers"];
    for (name, value) in [
        ("punctual-namespace", "default"),
        ("punctual-job-id", "nightly"),
        ("punctual-run-id", "00000000-0000-0000-0000-000000000007"),
        ("punctual-attempt", "2"),
        ("punctual-scheduled-time", "2023-11-14T22:13:20Z"),
        ("punctual-fencing-token", "41"),
        ("punctual-slot", "3"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("accept", "*/*"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(headers["user-agent"].as_str().is_some_and(|agent| agent.starts_with("punctual/")), "{headers}");
}

#[tokio::test]
async fn a_string_is_sent_as_it_is_and_other_json_as_json() {
    let sent = |body: Value| async move {
        let echoed = echoed(json!({"method": "POST", "body": body})).await;
        (echoed["body"].clone(), echoed["headers"]["content-type"].clone())
    };
    assert_eq!(sent(json!("a b")).await, (json!("a b"), json!("text/plain; charset=utf-8")));
    assert_eq!(sent(json!({"b": [1], "a": 2})).await, (json!("{\"b\":[1],\"a\":2}"), json!("application/json")));
    assert_eq!(sent(json!(false)).await, (json!("false"), json!("application/json")));
    assert_eq!(sent(Value::Null).await, (json!(""), Value::Null));
    let own = echoed(json!({"method": "PUT", "body": "<a/>", "headers": {"Content-Type": "application/xml"}})).await;
    assert_eq!((&own["method"], &own["headers"]["content-type"]), (&json!("PUT"), &json!("application/xml")));
}

#[tokio::test]
async fn a_method_of_ones_own_and_a_host_of_ones_own_arrive() {
    let echoed = echoed(json!({"method": "PROPFIND", "headers": {"Host": "other.test", "Accept": "text/plain"}})).await;
    assert_eq!(echoed["method"], "PROPFIND");
    assert_eq!(
        (&echoed["headers"]["host"], &echoed["headers"]["accept"]),
        (&json!("other.test"), &json!("text/plain"))
    );
}

#[tokio::test]
async fn a_secret_arrives_and_is_in_nothing_that_the_agent_writes() {
    let (http, secret) = with_secret();
    let url = serve(Router::new().fallback(echo)).await;
    let payload = json!({"url": format!("{url}/?x"), "method": "POST", "headers": {"Authorization": "Bearer ${env:PATH}"},
        "body": {"key": "${env:PATH}"}, "success_statuses": [200]});
    let ended = trial(&payload).execute(&http).await;
    let said = format!("{ended:?}");
    assert!(!said.contains(&secret), "{said}");
    let value = ended.value();
    assert_eq!(value["body"]["headers"]["authorization"], "Bearer [secret]", "it did arrive");
    assert_eq!(value["body"]["body"], "{\"key\":\"[secret]\"}");
}

#[tokio::test]
async fn a_secret_in_the_address_is_in_no_error() {
    let (http, secret) = with_secret();
    let url = serve(Router::new()).await;
    let ended = trial(&json!({ "url": format!("{url}/${{env:PATH}}") })).execute(&http).await;
    assert!(ended.stderr.contains("/${env:PATH}\n"), "{}", ended.stderr);
    assert!(!format!("{ended:?}").contains(&secret));
    let failure = ended.failure();
    assert_eq!(failure.code, "HTTP_404");
    assert!(failure.message.contains("/${env:PATH} answered 404 Not Found"), "{}", failure.message);
}

#[tokio::test]
async fn a_secret_that_cannot_be_resolved_ends_the_attempt_for_good_and_nothing_is_sent() {
    let payload = json!({"url": "http://127.0.0.1:1", "headers": {"a": "${file:token}"}});
    let failure = trial(&payload).execute(&http()).await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("SECRET_UNAVAILABLE", false));
    assert!(failure.message.starts_with("headers.a: ${file:token} "), "{}", failure.message);
}

#[tokio::test]
async fn tls_by_a_known_authority_is_spoken_and_by_an_unknown_one_is_not() {
    let (url, roots) = serve_tls(Router::new().fallback(echo)).await;
    let payload = json!({ "url": url });
    let http_with_root = Http::trusting(roots, Secrets::default());
    let value = trial(&payload).execute(&http_with_root).await.value();
    assert_eq!(value["body"]["version"], "HTTP/2.0", "negotiated: {value}");

    let failure = trial(&payload).execute(&http()).await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("HTTP_CONNECT", true));
    assert!(failure.message.contains("UnknownIssuer"), "{}", failure.message);
    let other_name = json!({ "url": url.replace("localhost", "127.0.0.1") });
    assert_eq!(trial(&other_name).execute(&http_with_root).await.failure().code, "HTTP_CONNECT");
}
