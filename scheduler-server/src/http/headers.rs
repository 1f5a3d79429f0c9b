//! What browsers are told about every answer that they may show, so that none can be made into something else: no type
//! is guessed, no frame drawn round it, nothing loaded by it. A page that needs more says so itself.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{FromFnLayer, Next, from_fn_with_state};
use axum::response::Response;
use futures::future::BoxFuture;

use super::grpc;

const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A year. Not for names of loopback: there it would hold for every other program on the machine.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

type Add = fn(State<bool>, Request, Next) -> BoxFuture<'static, Response>;

pub(super) fn layer(strict_transport: bool) -> FromFnLayer<Add, bool, (State<bool>, Request)> {
    from_fn_with_state(strict_transport, |strict, request, next| Box::pin(add(strict, request, next)))
}

async fn add(State(strict_transport): State<bool>, request: Request, next: Next) -> Response {
    // No browser shows what gRPC answers, and there are many of those answers.
    let is_grpc = grpc::content_type(request.headers()).is_some();
    let mut response = next.run(request).await;
    if is_grpc {
        return response;
    }
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if strict_transport {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}
