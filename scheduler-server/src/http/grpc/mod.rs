//! gRPC and gRPC-Web on the port: what tonic leaves to the server that it is embedded in.

mod admission;
mod deadline;
mod unknown;
mod unreadable;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use tonic::Status;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_reflection::server::Builder;
use tonic_web::GrpcWebLayer;

use super::rest;
use crate::access::Gate;
use crate::peers::{Forward, pass_on};

/// Adds health of the server, and of each service of `punctual.v1` by its name: who gets an answer at all is served.
pub async fn with_health(routes: Routes) -> Routes {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in rest::routes::pool().services() {
        reporter.set_service_status(service.full_name(), ServingStatus::Serving).await;
    }
    routes.add_service(health)
}

/// Adds reflection, `v1` and `v1alpha`, for all services of `punctual.v1` and health, and for the details of errors.
pub fn with_reflection(routes: Routes) -> Routes {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(punctual_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let built = "because the descriptor sets are built in and whole";
    routes.add_service(builder().build_v1().expect(built)).add_service(builder().build_v1alpha().expect(built))
}

/// The services as both gRPC clients and the transcoder call them, each behind its rule; behind that, a call that needs
/// the leader of a cluster goes to it.
pub(super) fn calls(routes: Routes, gate: Arc<Gate>, forward: Option<Arc<Forward>>) -> Router {
    let mut services = routes.prepare().into_axum_router().layer(from_fn(unknown::refuse));
    if let Some(forward) = forward {
        services = services.layer(from_fn_with_state(forward, pass_on));
    }
    let services = services.layer(from_fn(unreadable::explain));
    services.layer(from_fn_with_state(gate, admission::ask)).layer(from_fn(deadline::keep))
}

/// The services as they are reached from outside: gRPC-Web is gRPC that came in other clothes.
pub(super) fn with_web(calls: Router) -> Router {
    calls.layer(GrpcWebLayer::new())
}

/// The content type of a request, if it is gRPC's or gRPC-Web's.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    let is_grpc = |value: &&HeaderValue| {
        let value = value.as_bytes();
        value.len() >= GRPC.len() && value[..GRPC.len()].eq_ignore_ascii_case(GRPC)
    };
    headers.get(header::CONTENT_TYPE).filter(is_grpc)
}

const GRPC: &[u8] = b"application/grpc";

/// A refusal that gRPC clients read as a status and everyone else by its HTTP status.
pub(super) fn refusal(status: &Status, http: StatusCode, content_type: HeaderValue) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = http;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if let Err(unwritable) = status.add_header(response.headers_mut()) {
        tracing::error!(%unwritable, "a refusal could not be written as headers");
    }
    response
}
