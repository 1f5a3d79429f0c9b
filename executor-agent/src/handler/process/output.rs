//! What a task writes, on its way to the log.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::handler::secrets::Mask;
use crate::handler::{Context, LogStream};
use crate::session::LOG_CHUNK;

/// Reads to the end; bytes are passed on as they come, whole lines or not, but for secrets that the task was given.
pub(super) async fn pump(mut source: impl AsyncRead + Unpin, stream: LogStream, context: &Context, mask: &Mask) {
    let mut masking = mask.stream();
    loop {
        let mut buffer = BytesMut::with_capacity(LOG_CHUNK);
        match source.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => context.log(stream, masking.push(&buffer)).await,
        }
    }
    context.log(stream, masking.end()).await;
}
