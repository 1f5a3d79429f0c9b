//! Who calls is found out before anything else of a request is read, and goes with it as a [`Caller`](crate::access::Caller).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{FromFnLayer, Next, from_fn_with_state};
use axum::response::Response;
use tls::PeerCertificate;
use tonic::Status;
use tonic::transport::server::TcpConnectInfo;

use super::rest::errors;
use super::{denied, grpc};
use crate::access::Gate;
use crate::access::rules::{self, Entry};
use crate::peers::Forward;

/// Who lets callers in, and what other nodes of the cluster say of those whose calls they pass on.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) gate: Arc<Gate>,
    pub(super) forward: Option<Arc<Forward>>,
}

type SignIn = fn(State<Door>, Request, Next) -> futures::future::BoxFuture<'static, Response>;

pub(super) fn layer(door: Door) -> FromFnLayer<SignIn, Door, (State<Door>, Request)> {
    from_fn_with_state(door, |door, request, next| Box::pin(sign_in(door, request, next)))
}

async fn sign_in(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Door { gate, forward } = door;
    let entry = entry(&request);
    let (address, has_certificate) = match forward.and_then(|forward| forward.vouched(&request)) {
        Some(from) => (Some(from.address), from.has_certificate),
        None => (address(&request), request.extensions().get::<Arc<PeerCertificate>>().is_some()),
    };
    let caller = gate.caller(entry, request.headers(), address).await.and_then(|caller| {
        let caller = caller.map(|caller| caller.with_certificate(has_certificate));
        caller.as_ref().map_or(Ok(()), |caller| gate.check_certificate(caller))?;
        Ok(caller)
    });
    match caller {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(refused) => {
            let status = denied::status(&refused);
            answer(&request, &status)
        }
    }
}

fn entry(request: &Request) -> Entry {
    let path = request.uri().path();
    // Those are answered by their path, whatever a request says that it is.
    if rules::is_by_hand(path) || grpc::content_type(request.headers()).is_none() {
        rules::of_path(path)
    } else if rules::of_method(path).is_some_and(|rule| rule.role.is_none()) {
        Entry::Open
    } else {
        Entry::SignedIn
    }
}

fn address(request: &Request) -> Option<IpAddr> {
    let info = request.extensions().get::<TcpConnectInfo>();
    info.and_then(TcpConnectInfo::remote_addr).map(|address| address.ip())
}

fn answer(request: &Request, status: &Status) -> Response {
    match grpc::content_type(request.headers()) {
        // gRPC clients look at the status of HTTP first, and would not read ours.
        Some(content_type) => grpc::refusal(status, StatusCode::OK, content_type.clone()),
        None => errors::response(status),
    }
}
