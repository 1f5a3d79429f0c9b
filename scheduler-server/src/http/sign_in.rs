//! Who calls is found out before anything else of a request is read, and goes with it as a [`Caller`].

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

type SignIn = fn(State<Arc<Gate>>, Request, Next) -> futures::future::BoxFuture<'static, Response>;

pub(super) fn layer(gate: Arc<Gate>) -> FromFnLayer<SignIn, Arc<Gate>, (State<Arc<Gate>>, Request)> {
    from_fn_with_state(gate, |gate, request, next| Box::pin(sign_in(gate, request, next)))
}

async fn sign_in(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let (entry, address) = (entry(&request), address(&request));
    let has_certificate = request.extensions().get::<Arc<PeerCertificate>>().is_some();
    let caller = gate.caller(entry, request.headers(), address).await.and_then(|caller| {
        caller.as_ref().map_or(Ok(()), |caller| gate.check_certificate(caller, has_certificate))?;
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
