//! Accepts connections and lets hyper serve them, HTTP/1.1 or HTTP/2 as the client begins.
//!
//! A loop of our own, since tonic's and axum's have neither a bound on connections nor a deadline for their end.
//! A connection's bytes pass through [`connection`] as any reader and writer: TLS will be a handshake before it, in
//! the connection's own task and under its permit.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;

use super::turned_away;

/// What clients may use up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Number of open connections; one more is answered that there are too many.
    pub connections: usize,
    /// Number of requests that one HTTP/2 connection may have open.
    pub streams: u32,
    /// Time in which the head of a request must be there; HTTP/1.1 connections idle no longer than this.
    pub head: Duration,
    /// Time after which a silent HTTP/2 connection is asked whether it lives.
    pub keep_alive: Duration,
    /// Time for the answer to that.
    pub keep_alive_answer: Duration,
    /// Time that connections have to finish once the server drains.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            streams: 1_000,
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(20),
            keep_alive_answer: Duration::from_secs(20),
            drain: Duration::from_secs(10),
        }
    }
}

/// The time to wait before the next try when the system has no socket to give.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `drain` is cancelled, then stops accepting, lets every connection finish what it has open, and closes
/// what is left when `limits.drain` has passed.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, drain: CancellationToken) {
    let http = Arc::new(http(&limits));
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = drain.cancelled() => break,
            Some(ended) = connections.join_next() => { report(ended); continue }
            Some(ended) = refusals.join_next() => { report(ended); continue }
            accepted = accept(&listener) => accepted,
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            if refusals.len() < turned_away::AT_ONCE {
                refusals.spawn(turned_away::answer(stream));
            }
            continue;
        };
        let (http, router, drain, head) = (http.clone(), router.clone(), drain.clone(), limits.head);
        connections.spawn(async move {
            connection(&http, stream, peer, router, head, drain).await;
            drop(permit);
        });
    }
    drop(listener);
    refusals.abort_all();
    let finished = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limits.drain, finished).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were closed at the end of the drain");
        connections.shutdown().await;
    }
}

fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive_answer)
        .max_concurrent_streams(limits.streams);
    http
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted: raise the limit of open files?");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn connection(
    http: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    drain: CancellationToken,
) {
    let info = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(peer) };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "a connection keeps Nagle's delay");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(info.clone());
        // A router is always ready.
        router.clone().call(request)
    });
    let begun = Begun::default();
    let stream = Counted { stream, read: begun.clone() };
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut silent = pin!(tokio::time::sleep(head));
    let mut told = false;
    let mut judged = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut served => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, error, "a connection ended early");
                }
                return;
            }
            () = drain.cancelled(), if !told => {
                told = true;
                served.as_mut().graceful_shutdown();
            }
            // hyper's own clock starts when it knows the version of HTTP.
            () = &mut silent, if !judged => {
                judged = true;
                if !begun.is_version_known() {
                    return;
                }
            }
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the task of a connection panicked");
    }
}

/// How many bytes have come in.
#[derive(Clone, Default)]
struct Begun(Arc<AtomicUsize>);

impl Begun {
    /// HTTP/2 begins with these many bytes that are always the same; whoever sent as many has said which it speaks.
    const PREFACE: usize = 24;

    fn is_version_known(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::PREFACE
    }
}

/// A stream that counts what is read.
struct Counted<S> {
    stream: S,
    read: Begun,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.read.0.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
