//! Accepts connections, each served by a task of its own under its [`Place`](super::limits::Place).
//!
//! A loop of our own, since tonic's and axum's have neither bounds on connections nor a deadline for their end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tls::ServerTls;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::connection::Door;
use super::limits::{Limits, Places};
use super::turned_away;

/// The time to wait before the next try when the system has no socket to give.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `drain` is cancelled, then stops accepting, lets every connection finish what it has open, and closes
/// what is left when `limits.drain` has passed. With `tls`, nothing else is spoken.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    router: Router,
    limits: Limits,
    drain: CancellationToken,
) {
    let places = Places::new(&limits);
    let door = Arc::new(Door::new(tls, router, limits.clone(), drain.clone()));
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
        match places.take(peer.ip()) {
            Ok(place) => {
                let door = Arc::clone(&door);
                connections.spawn(async move {
                    door.serve(stream, peer).await;
                    drop(place);
                });
            }
            // Over TLS a refusal would cost a handshake; the connection is only closed.
            Err(full) if !door.is_tls() && refusals.len() < turned_away::AT_ONCE => {
                refusals.spawn(async move {
                    turned_away::answer(stream, turned_away::too_many(full).as_bytes()).await;
                });
            }
            Err(_) => {}
        }
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

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the task of a connection panicked");
    }
}
