//! The connections of `grpc` tasks: HTTP/2, one to each server, shared by the tasks that call it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tower::Service;

use crate::handler::outgoing::{self, Connector, chain};

/// How long a connection waits for another task.
/// The largest answer; what of it is kept is another question.
const LARGEST: usize = 64 << 20;
const IDLE_FOR: Duration = Duration::from_secs(60);
/// How often a silent server is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_IN: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client<Connector, Body>,
}

impl Wire {
    pub(super) fn new(roots: RootCertStore) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .http2_only(true)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PONG_IN)
            .build(outgoing::http2(roots));
        Self { client }
    }

    pub(super) fn to(&self, origin: Uri) -> Grpc<Self> {
        Grpc::with_origin(self.clone(), origin).max_decoding_message_size(LARGEST)
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.client.request(request);
        Box::pin(async move { answer.await.map_err(|error| unavailable(&error)) })
    }
}

/// Whoever was not reached, or went away before an answer, is unavailable.
fn unavailable(error: &legacy::Error) -> Status {
    let what = if error.is_connect() { "cannot be reached" } else { "did not answer" };
    Status::unavailable(format!("the server {what}: {}", chain(error)))
}
