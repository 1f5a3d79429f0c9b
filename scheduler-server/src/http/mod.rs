//! The server's one port: gRPC, gRPC-Web, REST, the page at `/`, probes and metrics, over HTTP/1.1 and HTTP/2.
//!
//! Everything that comes in is a request to one router behind one guard. REST has no code per method: it is
//! transcoded to gRPC calls that run in this process, by the same services that outside gRPC clients reach. Who calls is
//! found out once, before anything is read; whether they may, once too, where all has become gRPC. This
//! module knows neither the ledger nor the engine; what it serves is handed to it as a [`Surface`].

mod connection;
mod limits;
mod listener;
mod turned_away;

mod denied;
mod guard;
mod headers;
mod panic;
mod sign_in;

mod grpc;
mod rest;

mod openapi;

mod page;
mod probes;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::access::Gate;
use crate::access::rules::{BY_HAND, ByHand};
use crate::peers::{Forward, Presence};

pub use grpc::{with_health, with_reflection};
pub use guard::HostPolicy;
pub use limits::Limits;
pub use listener::serve;
pub use probes::{Metrics, Readiness, Ready};

/// What the port serves.
pub struct Surface {
    /// All gRPC services, with health and reflection (see [`with_health`], [`with_reflection`]).
    pub grpc: Routes,
    /// In a cluster: how calls get to the leader when that is another node.
    pub forward: Option<Arc<Forward>>,
    /// In a cluster: what this node tells the others of itself.
    pub presence: Option<Presence>,
    /// Under which names clients may reach the server.
    pub hosts: HostPolicy,
    /// Who may come in, and do what.
    pub gate: Gate,
    /// Whether browsers are told to come by TLS only, from now on.
    pub strict_transport: bool,
    /// Asked by `/readyz`.
    pub ready: Ready,
    /// Asked by `/metrics`, for text in the OpenMetrics format.
    pub metrics: Metrics,
}

/// A route of the API over REST.
#[derive(Clone, Debug)]
pub struct ServedRoute {
    pub verb: String,
    /// As OpenAPI has it.
    pub path: String,
    /// `/punctual.v1.JobService/GetJob`; of the actions of a job each has its own.
    pub methods: Vec<String>,
}

/// All that the router takes under `/api`, but for what is by hand.
pub fn served_routes() -> Vec<ServedRoute> {
    rest::served()
}

impl Surface {
    /// The one router of the port.
    pub fn into_router(self) -> Router {
        let gate = Arc::new(self.gate);
        let calls = grpc::calls(self.grpc, Arc::clone(&gate), self.forward.clone());
        let rest = Arc::new(rest::Transcoder::new(calls.clone()));
        let grpc = grpc::with_web(calls);
        let (ready, metrics) = (self.ready, self.metrics);
        let presence = self.presence;
        let by_hand = |router: Router, (path, what, _): &(&str, ByHand, _)| {
            let (ready, metrics) = (Arc::clone(&ready), Arc::clone(&metrics));
            let presence = presence.clone();
            let answer = match what {
                ByHand::Page => get(page::show),
                ByHand::Healthz => get(probes::healthz),
                ByHand::Readyz => get(async move || probes::readyz(&*ready)),
                ByHand::Metrics => get(async move || probes::metrics(&*metrics)),
                ByHand::Presence => get(async move || match presence {
                    Some(presence) => presence.show(),
                    None => StatusCode::NOT_FOUND.into_response(),
                }),
                ByHand::OpenApi => get(openapi::show).fallback(openapi::not_allowed),
            };
            router.route(path, answer)
        };
        BY_HAND
            .iter()
            .fold(Router::new(), by_hand)
            .fallback(async move |request: Request| surface(request, grpc, rest).await)
            .layer(sign_in::layer(sign_in::Door { gate, forward: self.forward }))
            .layer(guard::layer(self.hosts))
            .layer(headers::layer(self.strict_transport))
            .layer(from_fn(panic::catch))
    }
}

/// gRPC is told by its content type, REST by its path.
async fn surface(request: Request, grpc: Router, rest: Arc<rest::Transcoder>) -> Response {
    if grpc::content_type(request.headers()).is_some() {
        return grpc.oneshot(request).await.into_response();
    }
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return rest.answer(request).await;
    }
    (StatusCode::NOT_FOUND, "Nothing is at this path. The REST API is under /api/v1/scheduler.\n").into_response()
}
