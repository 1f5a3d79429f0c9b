//! A handler that panics fails its own request, with an answer; the connection and the server go on.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use punctual_proto::v1::ErrorReason;
use tonic::Code;

use super::grpc;
use super::rest::errors;

pub(super) async fn catch(request: Request, next: Next) -> Response {
    let grpc = grpc::content_type(request.headers()).cloned();
    let path = request.uri().path().to_owned();
    // What a panicking handler leaves half done is its own: the router hands each request a clone.
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answered.unwrap_or_else(|_| {
        tracing::error!(path, "a handler panicked; its request was answered with INTERNAL");
        let status = errors::refuse(Code::Internal, ErrorReason::InternalError, "a bug; the server's log says more");
        match grpc {
            Some(content_type) => grpc::refusal(&status, StatusCode::OK, content_type),
            None => errors::response(&status),
        }
    })
}
