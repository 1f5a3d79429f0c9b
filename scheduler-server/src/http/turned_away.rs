//! The answer to a connection that is not served: said before anything more is read.

use std::time::Duration;

use punctual_proto::v1::ErrorReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use super::limits::Full;
use super::rest::errors;

/// Number of connections that are told so at the same time; beyond it they are only closed.
pub(super) const AT_ONCE: usize = 64;

/// Closing with unread bytes would take the answer back, so the client has this long to read it and hang up.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn answer(mut stream: TcpStream, message: &[u8]) {
    let told = async {
        stream.write_all(message).await?;
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    };
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection that is not served left before it was told"),
    }
}

/// In HTTP/1.1, whatever the client speaks.
pub(super) fn too_many(full: Full) -> String {
    let message = match full {
        Full::Server => "the server has as many connections as it takes: close some, or try again later",
        Full::Client => "your address has as many connections as one may have: close some",
    };
    let status = errors::refuse(Code::ResourceExhausted, ErrorReason::TooMany, message);
    let http = errors::http_status(&status);
    let body = errors::json(&status).to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {http}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n{body}"
    )
}
