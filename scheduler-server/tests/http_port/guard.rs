use axum::body::Body;
use axum::http::Request;
use scheduler_server::http::{HostPolicy, Limits};
use serde_json::json;

use crate::client::{request, send, send_h2};
use crate::server::Server;

fn with(server: &Server, line: &str, name: &'static str, value: &str) -> Request<Body> {
    let mut request = request(server, line, "");
    request.headers_mut().insert(name, value.parse().expect("a header"));
    request
}

#[tokio::test]
async fn a_rebound_host_is_refused_on_every_surface() {
    let server = Server::start().await;
    for path in ["/", "/healthz", "/readyz", "/metrics", "/api/v1/scheduler/jobs", "/nothing"] {
        let refused = send(&server, with(&server, &format!("GET {path}"), "host", "rebound.example.org:7117")).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (421, &json!(421)), "{path}");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_on_every_surface() {
    let server = Server::start().await;
    for path in ["/", "/metrics", "/api/v1/scheduler/jobs"] {
        let refused = send(&server, with(&server, &format!("GET {path}"), "origin", "http://example.org")).await;
        let error = &refused.json()["error"];
        assert_eq!((refused.status.as_u16(), &error["status"]), (403, &json!("PERMISSION_DENIED")), "{path}");
    }
    let own = format!("http://{}", server.address);
    assert_eq!(send(&server, with(&server, "GET /api/v1/scheduler/jobs", "origin", &own)).await.status, 200);
    let over_h2 = with(&server, "GET /api/v1/scheduler/jobs", "origin", "null");
    assert_eq!(send_h2(&server, over_h2).await.status, 403);
}

#[tokio::test]
async fn a_refused_grpc_call_has_a_status_that_its_client_reads() {
    let server = Server::start().await;
    let mut call = with(&server, "POST /punctual.v1.JobService/ListJobs", "origin", "http://example.org");
    call.headers_mut().insert("content-type", "application/grpc-web+proto".parse().unwrap());
    *call.body_mut() = Body::from(&[0_u8; 5][..]);
    let refused = send(&server, call).await;
    assert_eq!((refused.status.as_u16(), refused.header("grpc-status")), (403, "7"));
}

#[tokio::test]
async fn an_open_server_answers_to_its_names() {
    let server = Server::with(HostPolicy::names(["node-1.example.org"]), Limits::default()).await;
    assert_eq!(send(&server, with(&server, "GET /healthz", "host", "node-1.example.org:80")).await.status, 200);
    assert_eq!(send(&server, request(&server, "GET /metrics", "")).await.status, 421);
    assert_eq!(send(&server, request(&server, "GET /readyz", "")).await.status, 200, "as Kubernetes asks a pod");
}
