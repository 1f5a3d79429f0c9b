//! Servers that are not there, break off, or take their time.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::http;
use crate::handler::trial::server::spawn;
use crate::handler::trial::trial;

/// A server that gives its one connection to `serve` after it has read a request.
async fn raw<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a request"));
        }
        serve(stream).await;
    });
    format!("http://{address}")
}

#[tokio::test]
async fn nobody_there_is_worth_another_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    for url in [format!("http://{address}/a"), "http://no-such-host.invalid/".to_owned()] {
        let failure = trial(&json!({ "url": url })).execute(&http()).await.failure();
        assert_eq!((failure.code.as_str(), failure.retryable), ("HTTP_CONNECT", true));
        assert!(failure.message.starts_with(&format!("{url} could not be reached: ")), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_worth_another_attempt() {
    let silent = raw(|stream| async move { drop(stream) }).await;
    let failure = trial(&json!({ "url": silent })).execute(&http()).await.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("HTTP_BROKEN_OFF", true), "{}", failure.message);
    let half = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.expect("written");
    });
    let ended = trial(&json!({ "url": half.await })).execute(&http()).await;
    assert_eq!(ended.stdout, "half", "what came is in the log");
    let failure = ended.failure();
    assert_eq!((failure.code.as_str(), failure.retryable), ("HTTP_BROKEN_OFF", true));
    assert!(failure.message.contains("after 4 bytes"), "{}", failure.message);
}

#[tokio::test]
async fn a_cancel_drops_the_request_and_its_connection() {
    let (began, begins) = oneshot::channel();
    let (closed, closes) = oneshot::channel();
    let url = raw(|mut stream| async move {
        began.send(()).expect("awaited");
        let _ = stream.read_u8().await;
        let _ = closed.send(());
    });
    let trial = trial(&json!({ "url": url.await }));
    let cancel = trial.canceller();
    let http = http();
    let (ended, ()) = tokio::join!(trial.execute(&http), async {
        begins.await.expect("asked");
        cancel.cancel();
    });
    assert_eq!(ended.failure().code, "CANCELLED");
    closes.await.expect("the server sees the end of the connection");
}

#[tokio::test]
async fn a_deadline_cuts_off_a_body_that_never_ends() {
    let url = raw(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await.expect("written");
        let _ = stream.read_u8().await;
    });
    let ended = trial(&json!({ "url": url.await })).deadline(Duration::from_millis(300)).execute(&http()).await;
    assert_eq!(ended.stdout, "abc", "what came is in the log");
    assert_eq!(ended.failure().code, "CANCELLED", "the session makes it TIMEOUT");
}
