//! What a task writes, on its way to the log.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::handler::secrets::Mask;
use crate::handler::{Context, LogStream};
use crate::session::LOG_CHUNK;

/// Reads to the end; bytes are passed on as they come, whole lines or not, but for secrets that the task was given.
pub(super) async fn pump(mut source: impl AsyncRead + Unpin, stream: LogStream, context: &Context, mask: &Mask) {
    let mut masking = mask.stream();
    let mut buffer = vec![0; LOG_CHUNK];
    loop {
        match source.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => context.log(stream, masking.push(&buffer[..length])).await,
        }
    }
    context.log(stream, masking.end()).await;
}
