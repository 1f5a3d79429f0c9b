//! Where redirects lead, and where they do not.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::routing::any;
use serde_json::json;

use super::http;
use crate::handler::Secrets;
use crate::handler::http::Http;
use crate::handler::trial::server::{echo, serve, serve_tls};
use crate::handler::trial::{Ended, trial};

/// A server whose `/from` redirects to `location`.
async fn redirecting(status: u16, location: String) -> String {
    let status = StatusCode::from_u16(status).expect("a status");
    let redirect = any(move || async move { (status, [(LOCATION, location)]) });
    serve(Router::new().route("/from", redirect).fallback(echo)).await
}

async fn sent(url: &str, method: &str) -> Ended {
    let mut payload =
        json!({"url": format!("{url}/from"), "method": method, "headers": {"X-Key": "k", "Accept": "text/plain"}});
    if matches!(method, "POST" | "PUT") {
        payload["body"] = json!("b");
    }
    trial(&payload).execute(&http()).await
}

#[tokio::test]
async fn within_an_origin_everything_goes_along() {
    for (status, method, arrives) in [
        (301, "GET", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ] {
        let url = redirecting(status, "to?x#y".to_owned()).await;
        let ended = sent(&url, method).await;
        assert!(ended.stderr.contains(&format!("{arrives} {url}/to?x")), "{status} {method}: {}", ended.stderr);
        let value = ended.value();
        if arrives == "HEAD" {
            continue;
        }
        let body = &value["body"];
        let expected = if arrives == "GET" { "" } else { "b" };
        assert_eq!((&body["method"], &body["uri"]), (&json!(arrives), &json!("/to?x")), "{status} {method}");
        assert_eq!((&body["body"], &body["headers"]["x-key"]), (&json!(expected), &json!("k")), "{status} {method}");
        let has_type = body["headers"].get("content-type").is_some();
        assert_eq!(has_type, arrives != "GET", "{status} {method}");
    }
}

#[tokio::test]
async fn to_another_origin_go_neither_headers_nor_a_body() {
    let other = serve(Router::new().fallback(echo)).await;
    let url = redirecting(302, format!("{other}/there")).await;
    let value = sent(&url, "GET").await.value();
    let headers = &value["body"]["headers"];
    assert_eq!((headers.get("x-key"), &headers["accept"]), (None, &json!("text/plain")), "{headers}");
    assert_eq!(headers["punctual-job-id"], "nightly");

    let url = redirecting(307, format!("{other}/there")).await;
    let failure = sent(&url, "POST").await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("HTTP_REDIRECT", false));
    assert!(failure.message.contains("another origin"), "{}", failure.message);
}

#[tokio::test]
async fn some_ways_are_not_taken() {
    for location in ["ftp://127.0.0.1/", "http://user:password@127.0.0.1/", "http://"] {
        let url = redirecting(302, location.to_owned()).await;
        assert_eq!(sent(&url, "GET").await.failure().code, "HTTP_REDIRECT", "{location}");
    }
    let plain = serve(Router::new().fallback(echo)).await;
    let to_plain = any(move || async move { (StatusCode::FOUND, [(LOCATION, plain)]) });
    let (url, roots) = serve_tls(Router::new().route("/from", to_plain)).await;
    let payload = json!({ "url": format!("{url}/from") });
    let failure = trial(&payload).execute(&Http::trusting(roots, Secrets::default())).await.failure();
    assert!(failure.message.contains("nothing is encrypted"), "{failure:?}");
}

#[tokio::test]
async fn a_circle_is_left() {
    let url = redirecting(302, "/from".to_owned()).await;
    let ended = sent(&url, "GET").await;
    assert_eq!(ended.stderr.matches("302 Found").count(), 6);
    assert_eq!(ended.failure().code, "HTTP_REDIRECT");
}

#[tokio::test]
async fn a_redirect_that_is_a_success_is_the_answer() {
    let url = redirecting(302, "/elsewhere".to_owned()).await;
    let payload = json!({"url": format!("{url}/from"), "success_statuses": [302]});
    let value = trial(&payload).execute(&http()).await.value();
    assert_eq!((&value["status"], &value["headers"]["location"]), (&json!(302), &json!("/elsewhere")));
}
