use std::time::Duration;

use scheduler_server::http::{HostPolicy, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::rest;
use crate::server::Server;

async fn limited(limits: Limits) -> Server {
    Server::with(HostPolicy::Loopback, limits).await
}

/// A connection over which one request was answered and which is kept open.
async fn open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut seen = Vec::new();
    while !seen.ends_with(b"ok\n") {
        assert_ne!(stream.read_buf(&mut seen).await.expect("read"), 0, "{}", String::from_utf8_lossy(&seen));
    }
    stream
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = limited(Limits { connections: 1, ..Limits::default() }).await;
    let first = open(&server).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut told = String::new();
    second.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 429 ") && told.contains("TOO_MANY"), "{told}");
    drop(first);
    // The place is free once the server has seen the first one go.
    let again = async {
        loop {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).await.is_ok() && answer.ends_with("ok\n") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
}

#[tokio::test]
async fn who_does_not_finish_a_head_is_hung_up_on() {
    let server = limited(Limits { head: Duration::from_millis(200), ..Limits::default() }).await;
    for begun in ["", "PRI * HT", "GET /healthz HTTP/1.1\r\nhost: local"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        ended.unwrap_or_else(|_| panic!("{begun:?} was kept")).ok();
    }
}

#[tokio::test]
async fn a_drain_lets_idle_connections_go_and_takes_no_new_ones() {
    let mut server = limited(Limits::default()).await;
    let mut idle = open(&server).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(rest(&server, "GET /healthz", "").await.status, 200);
    server.drain.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), server.tasks.join_next()).await;
    ended.expect("well before the deadline").expect("the server's task").expect("it ends well");
    let mut rest = Vec::new();
    assert_eq!(idle.read_to_end(&mut rest).await.unwrap(), 0);
    assert_eq!(silent.read_to_end(&mut rest).await.unwrap_or(0), 0);
    TcpStream::connect(server.address).await.expect_err("nobody listens");
}
