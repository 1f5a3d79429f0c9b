use scheduler_server::http::Readiness;

use crate::client::{rest, send_h2};
use crate::server::Server;

#[tokio::test]
async fn the_page_says_what_this_is_and_loads_nothing() {
    let server = Server::start().await;
    let page = rest(&server, "GET /", "").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none';"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    for link in ["/api/v1/scheduler/status", "/api/v1/scheduler/jobs", "/healthz", "/metrics"] {
        assert!(page.text().contains(&format!("href=\"{link}\"")), "{link}");
    }
    assert!(page.text().contains("dashboard is not built in") && !page.text().contains("{version}"));
    assert!(!page.text().contains("<script") && !page.text().contains("http"), "{}", page.text());
}

#[tokio::test]
async fn probes_and_metrics_answer() {
    let server = Server::start().await;
    assert_eq!(rest(&server, "GET /healthz", "").await.text(), "ok\n");
    assert_eq!(rest(&server, "GET /readyz", "").await.status, 200);
    *server.readiness.lock().unwrap() = Readiness::NotReady("no leader is known".to_owned());
    let unready = rest(&server, "GET /readyz", "").await;
    assert_eq!((unready.status.as_u16(), unready.text()), (503, "no leader is known\n"));
    assert_eq!(rest(&server, "GET /healthz", "").await.status, 200);
    let metrics = rest(&server, "GET /metrics", "").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    assert_eq!(metrics.text(), "# EOF\n");
}

#[tokio::test]
async fn no_answer_can_be_framed_or_taken_for_another_type() {
    let server = Server::start().await;
    for (line, body) in [
        ("GET /", ""),
        ("GET /metrics", ""),
        ("GET /nothing", ""),
        ("GET /api/v1/scheduler/jobs", ""),
        ("GET /api/v1/openapi.json", ""),
        ("POST /api/v1/scheduler/jobs", "{\"nonsense\":1}"),
    ] {
        let answer = rest(&server, line, body).await;
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{line}");
        let told = ["x-content-type-options", "x-frame-options", "referrer-policy"].map(|name| answer.header(name));
        assert_eq!(told, ["nosniff", "DENY", "no-referrer"], "{line}");
        assert_eq!(answer.header("strict-transport-security"), "", "{line}: there is no TLS to be strict about");
    }
}

#[tokio::test]
async fn what_is_nowhere_is_not_found() {
    let server = Server::start().await;
    assert_eq!(rest(&server, "GET /nothing", "").await.status, 404);
    assert_eq!(rest(&server, "POST /healthz", "").await.status, 405);
    let request = crate::client::request(&server, "GET /nothing", "");
    assert_eq!(send_h2(&server, request).await.status, 404);
}
