//! How calls fail, and how they are given up.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use super::grpc;
use super::server::{GET, Reflection, routes};
use crate::handler::trial::server::{serve, spawn};
use crate::handler::trial::trial;

#[tokio::test]
async fn a_status_is_the_error_code_and_says_whether_another_attempt_helps() {
    let url = serve(routes(Reflection::V1).0.into_axum_router()).await;
    let grpc = grpc();
    for (code, name, retryable) in [
        (1, "CANCELLED", false),
        (2, "UNKNOWN", false),
        (3, "INVALID_ARGUMENT", false),
        (4, "DEADLINE_EXCEEDED", true),
        (5, "NOT_FOUND", false),
        (7, "PERMISSION_DENIED", false),
        (8, "RESOURCE_EXHAUSTED", true),
        (9, "FAILED_PRECONDITION", false),
        (10, "ABORTED", true),
        (12, "UNIMPLEMENTED", false),
        (13, "INTERNAL", false),
        (14, "UNAVAILABLE", true),
        (16, "UNAUTHENTICATED", false),
    ] {
        let payload = json!({"target": url, "method": GET, "request": {"name": format!("code:{code}")}});
        let failure = trial(&payload).execute(&grpc).await.failure();
        assert_eq!((failure.code, failure.retryable), (format!("GRPC_{name}"), retryable));
        assert_eq!(failure.message, format!("{GET} ended with {name}: as it was asked to"));
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let failure = trial(&json!({"target": target, "method": GET})).execute(&grpc()).await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("GRPC_UNAVAILABLE", true));
    assert!(failure.message.contains("cannot be reached"), "{}", failure.message);
}

#[tokio::test]
async fn a_server_that_goes_away_under_a_call_is_unavailable() {
    let (routes, mut told) = routes(Reflection::V1);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = listener.local_addr().expect("bound").to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepted");
        let service = hyper_util::service::TowerToHyperService::new(routes.into_axum_router());
        let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
        tokio::select! {
            _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service) => {}
            _ = stopped => {}
        }
    });
    let trial = trial(&json!({"target": target, "method": GET, "request": {"name": "slow"}}));
    let grpc = grpc();
    let (ended, ()) = tokio::join!(trial.execute(&grpc), async {
        assert_eq!(told.recv().await, Some("began"));
        drop(stop);
    });
    let failure = ended.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("GRPC_UNAVAILABLE", true), "{}", failure.message);
}

#[tokio::test]
async fn a_cancel_tells_the_server() {
    let (routes, mut told) = routes(Reflection::V1);
    let url = serve(routes.into_axum_router()).await;
    let trial = trial(&json!({"target": url, "method": GET, "request": {"name": "slow"}}));
    let cancel = trial.canceller();
    let grpc = grpc();
    let (ended, ()) = tokio::join!(trial.execute(&grpc), async {
        assert_eq!(told.recv().await, Some("began"));
        cancel.cancel();
    });
    assert_eq!(ended.failure().code, "CANCELLED");
    assert_eq!(told.recv().await, Some("dropped"));
}

#[tokio::test]
async fn a_call_that_the_server_ends_at_the_deadline_is_a_timeout() {
    let url = serve(routes(Reflection::V1).0.into_axum_router()).await;
    let payload = json!({"target": url, "method": GET, "request": {"name": "code:4"}});
    let ended = trial(&payload).deadline(Duration::from_millis(900)).execute(&grpc()).await;
    assert_eq!(ended.failure().code, "CANCELLED", "by the session, which makes it TIMEOUT");
}
