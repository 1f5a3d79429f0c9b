//! Servers with one reflection, with the other, and with none.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::grpc;
use super::server::{GET, Reflection, routes};
use crate::handler::trial::server::serve;
use crate::handler::trial::trial;

#[tokio::test]
async fn v1alpha_alone_will_do() {
    let url = serve(routes(Reflection::V1Alpha).0.into_axum_router()).await;
    let value = trial(&json!({"target": url, "method": GET, "request": {"name": "a"}})).execute(&grpc()).await.value();
    assert_eq!(value["name"], "a");
}

#[tokio::test]
async fn without_reflection_nothing_can_be_called() {
    let url = serve(routes(Reflection::None).0.into_axum_router()).await;
    let failure = trial(&json!({"target": url, "method": GET})).execute(&grpc()).await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("GRPC_NO_REFLECTION", false));
}

#[tokio::test]
async fn a_server_is_asked_once_unless_it_may_have_changed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let count = from_fn(move |request: Request, next: Next| {
        if request.uri().path().contains("reflection") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        next.run(request)
    });
    let url = serve(routes(Reflection::V1).0.into_axum_router().layer(count)).await;
    let grpc = grpc();
    for _ in 0..3 {
        trial(&json!({"target": url, "method": GET})).execute(&grpc).await.value();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // What does not fit may fit by now.
    trial(&json!({"target": url, "method": GET, "request": {"new": 1}})).execute(&grpc).await.failure();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // A method that is described and not there is gone: the next attempt asks again.
    let gone = json!({"target": url, "method": GET, "request": {"name": "code:12"}});
    for _ in 0..2 {
        assert_eq!(trial(&gone).execute(&grpc).await.failure().code, "GRPC_UNIMPLEMENTED");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
