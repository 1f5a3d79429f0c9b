use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use scheduler_server::http::{HostPolicy, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::client::{request, rest, send, send_h2};
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
    await_a_place(&server).await;
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

/// A connection from an address of this machine's own.
async fn from(address: [u8; 4], server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((address, 0).into()).expect("an address of loopback");
    socket.connect(server.address).await.expect("a connection")
}

#[tokio::test]
async fn one_address_does_not_keep_the_others_out() {
    let server = limited(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let _first = open(&server).await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut told = String::new();
    second.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 429 ") && told.contains("your address"), "{told}");
    let mut other = from([127, 0, 0, 2], &server).await;
    other.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_by_its_name() {
    let server = Server::start().await;
    let large = || {
        let mut large = request(&server, "GET /healthz", "");
        large.headers_mut().insert("x-large", "a".repeat(33 << 10).parse().unwrap());
        large
    };
    assert_eq!(send(&server, large()).await.status, 431);
    assert_eq!(send_h2(&server, large()).await.status, 431);
}

#[tokio::test]
async fn an_http2_connection_without_requests_is_asked_to_close() {
    let server = limited(Limits { idle: Duration::from_millis(100), ..Limits::default() }).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let mut watched = request(&server, "GET /api/v1/scheduler/runs/events?resumeToken=forever", "");
    watched.headers_mut().remove("host");
    *watched.uri_mut() = server.url("/api/v1/scheduler/runs/events?resumeToken=forever").parse().unwrap();
    let open = sender.send_request(watched).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_millis(500), tasks.join_next()).await;
    assert!(ended.is_err(), "an open stream is no idle connection");
    drop(open);
    tokio::time::timeout(Duration::from_secs(20), tasks.join_next()).await.expect("it is closed");
}

/// Until one connection is answered.
async fn await_a_place(server: &Server) {
    let answered = async {
        loop {
            let mut stream = TcpStream::connect(server.address).await.expect("a connection");
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                .await
                .expect("a connection");
            let mut answer = String::new();
            if stream.read_to_string(&mut answer).await.is_ok() && answer.ends_with("ok\n") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("a place is free");
}

#[tokio::test]
async fn who_asks_and_never_reads_loses_the_place_and_who_waits_does_not() {
    let limits = Limits { connections: 1, unread: Duration::from_millis(300), ..Limits::default() };
    let server = limited(limits).await;
    let ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut greedy = TcpStream::connect(server.address).await.unwrap();
    // Far more than the buffers of both ends hold.
    greedy.write_all(&ask.repeat(200)).await.unwrap();
    await_a_place(&server).await;
    let mut all = Vec::new();
    drop(greedy.read_to_end(&mut all).await);
    let whole = String::from_utf8_lossy(&all).matches("HTTP/1.1 200 OK").count();
    assert!(whole < 200, "nothing waited for the client");

    // A connection that waits for nothing is not hurried.
    let mut idle = open(&server).await;
    assert!(tokio::time::timeout(Duration::from_millis(600), idle.read_u8()).await.is_err(), "it was closed");
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
