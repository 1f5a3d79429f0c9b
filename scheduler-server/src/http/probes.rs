//! The answers that machines ask for: does the process live, can it serve, and how is it doing.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Whether the server can serve requests now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The ledger is reachable and a leader is known.
    Ready,
    /// It cannot; one line says why.
    NotReady(String),
}

/// Answers whether the server can serve requests now. It is asked often and must not block.
pub type Ready = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// Answers all metrics, in the OpenMetrics text format.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) fn readyz(ready: &(dyn Fn() -> Readiness + Send + Sync)) -> Response {
    match ready() {
        Readiness::Ready => "ok\n".into_response(),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

pub(super) fn metrics(metrics: &(dyn Fn() -> String + Send + Sync)) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], metrics()).into_response()
}
