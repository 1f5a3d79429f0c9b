//! One connection: TLS where the port has it, then HTTP/1.1 or HTTP/2 as the client begins, until either end is done.

mod counted;
mod patient;
mod tracked;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tls::{PeerCertificate, ServerTls, plain};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;

use self::counted::Counted;
use self::patient::Patient;
use self::tracked::Requests;
use super::limits::Limits;
use super::turned_away;

/// What all connections go through.
pub(super) struct Door {
    tls: Option<Arc<ServerTls>>,
    http: auto::Builder<TokioExecutor>,
    router: Router,
    limits: Limits,
    drain: CancellationToken,
}

/// What requests are told of the connection that they came by.
#[derive(Clone)]
struct Peer {
    info: TcpConnectInfo,
    certificate: Option<Arc<PeerCertificate>>,
}

impl Door {
    pub(super) fn new(tls: Option<Arc<ServerTls>>, router: Router, limits: Limits, drain: CancellationToken) -> Self {
        Self { tls, http: http(&limits), router, limits, drain }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves a connection to its end.
    pub(super) async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "a connection keeps Nagle's delay");
        }
        let info = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(peer) };
        let Some(tls) = &self.tls else {
            return self.speak(stream, Peer { info, certificate: None }).await;
        };
        let shaken = tokio::select! {
            biased;
            () = self.drain.cancelled() => return,
            shaken = tokio::time::timeout(self.limits.handshake, shake_hands(tls, stream)) => shaken,
        };
        match shaken {
            Ok(Ok(Some((stream, certificate)))) => self.speak(stream, Peer { info, certificate }).await,
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection did not become TLS"),
            Err(_) => tracing::debug!(%peer, "a connection did not become TLS in time"),
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let requests = Requests::default();
        let (router, count) = (self.router.clone(), requests.clone());
        let from = peer.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(from.info.clone());
            if let Some(certificate) = &from.certificate {
                request.extensions_mut().insert(Arc::clone(certificate));
            }
            let open = count.begin();
            // A router is always ready.
            let answer = router.clone().call(request);
            async move { answer.await.map(|response| response.map(|body| open.until_the_end_of(body))) }
        });
        let (stream, begun) = Counted::new(Patient::new(stream, self.limits.unread));
        let mut served = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let mut silent = pin!(tokio::time::sleep(self.limits.head));
        let mut look = tokio::time::interval(self.limits.idle);
        look.reset();
        let mut told = false;
        let mut judged = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut served => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = ?peer.info.remote_addr, error, "a connection ended early");
                    }
                    return;
                }
                () = self.drain.cancelled(), if !told => {
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
                _ = look.tick(), if !told => {
                    if requests.none_since_the_last_look() {
                        told = true;
                        served.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

type Shaken = (tokio_rustls::server::TlsStream<TcpStream>, Option<Arc<PeerCertificate>>);

/// `None`: the client did not begin with TLS, and was told to.
async fn shake_hands(tls: &ServerTls, stream: TcpStream) -> io::Result<Option<Shaken>> {
    let mut first = [0; 1];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if !plain::is_tls(first[0]) {
        tell_to_speak_tls(stream).await?;
        return Ok(None);
    }
    let stream = tls.acceptor().accept(stream).await?;
    let certificate = PeerCertificate::of_chain(stream.get_ref().1.peer_certificates()).map(Arc::new);
    Ok(Some((stream, certificate)))
}

async fn tell_to_speak_tls(mut stream: TcpStream) -> io::Result<()> {
    let mut first = [0; plain::ENOUGH];
    let mut read = 0;
    while read < first.len() {
        match stream.read(&mut first[read..]).await? {
            0 => break,
            more => read += more,
        }
    }
    turned_away::answer(stream, &plain::answer(&first[..read])).await;
    Ok(())
}

fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    let head_bytes = usize::try_from(limits.head_bytes).unwrap_or(usize::MAX);
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(head_bytes);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive_answer)
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.resets)
        .max_header_list_size(limits.head_bytes);
    http
}
