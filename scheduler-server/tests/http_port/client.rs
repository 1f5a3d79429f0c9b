//! HTTP clients without ideas of their own: hyper's connections, one a request.

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, Version};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::server::Server;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) version: Version,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The fields that an error names, each with what is wrong.
    pub(crate) fn violations(&self) -> Vec<(String, String)> {
        let json = self.json();
        let details = json["error"]["details"].as_array().cloned().unwrap_or_default();
        let violations = details.iter().filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        violations.map(|violation| (text(&violation["field"]), text(&violation["description"]))).collect()
    }
}

/// A request of `method path` with a JSON body, if there is one.
pub(crate) fn request(server: &Server, line: &str, body: &str) -> Request<Body> {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let request = Request::builder().method(method).uri(path).header("host", server.address.to_string());
    let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
    let body = if body.is_empty() { Body::empty() } else { Body::from(body.to_owned()) };
    request.body(body).expect("a request")
}

/// Sends a request over HTTP/1.1.
pub(crate) async fn send(server: &Server, request: Request<Body>) -> Answer {
    let (response, _connection) = begin(server, request).await;
    collect(response).await
}

/// Sends a request over HTTP/1.1 and does not wait for the body.
pub(crate) async fn begin(server: &Server, request: Request<Body>) -> (Response<Incoming>, JoinSet<()>) {
    let stream = TcpStream::connect(server.address).await.expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    (sender.send_request(request).await.expect("an answer"), tasks)
}

/// Sends a request over HTTP/2.
pub(crate) async fn send_h2(server: &Server, mut request: Request<Body>) -> Answer {
    let stream = TcpStream::connect(server.address).await.expect("a connection");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("a handshake");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    request.headers_mut().remove("host");
    let uri = server.url(request.uri().path_and_query().expect("a path").as_str());
    *request.uri_mut() = uri.parse().expect("a URI");
    *request.version_mut() = Version::HTTP_2;
    collect(sender.send_request(request).await.expect("an answer")).await
}

async fn collect(response: Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Answer { status: parts.status, headers: parts.headers, version: parts.version, body }
}

/// A call of REST over HTTP/1.1.
pub(crate) async fn rest(server: &Server, line: &str, body: &str) -> Answer {
    send(server, request(server, line, body)).await
}
