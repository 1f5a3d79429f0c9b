//! An answer as it comes in: its body goes to the log, and its beginning is kept for the result.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::failure;
use crate::handler::secrets::Mask;
use crate::handler::{Context, LogStream, result};
use crate::session::Failure;

/// An answer that has been read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The first bytes of the body, as many as a result can have.
    pub(super) kept: Vec<u8>,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

impl Answer {
    /// Reads up to `most` bytes of the body.
    pub(super) async fn read(
        response: http::Response<Incoming>,
        most: u64,
        context: &Context,
        mask: &Mask,
    ) -> Result<Self, Failure> {
        let (head, mut body) = response.into_parts();
        let is_logged = is_text(&head.headers);
        let mut answer = Self { status: head.status, headers: head.headers, kept: Vec::new(), is_whole: true };
        let mut masking = mask.stream();
        let mut last = b'\n';
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| failure::broken_off(&error, read))?;
            let Ok(mut data) = frame.into_data() else { continue };
            if data.len() as u64 > most - read {
                data.truncate(usize::try_from(most - read).expect("because it is less than a length"));
                answer.is_whole = false;
            }
            read += data.len() as u64;
            let room = data.len().min(result::MAX_BYTES - answer.kept.len());
            answer.kept.extend_from_slice(&data[..room]);
            if is_logged && let Some(end) = data.last() {
                last = *end;
                context.log(LogStream::Stdout, masking.push(&data)).await;
            }
            if !answer.is_whole {
                break;
            }
        }
        // Where the body was cut there may be the beginning of a secret.
        if answer.is_whole {
            context.log(LogStream::Stdout, masking.end()).await;
        }
        if last != b'\n' {
            context.log(LogStream::Stdout, "\n").await;
        }
        if !is_logged && read > 0 {
            context.log(LogStream::Stderr, format!("({read} bytes that are no text)\n")).await;
        }
        if !answer.is_whole {
            let cut = format!("(cut after {most} bytes, which is this task's max_response_bytes)\n");
            context.log(LogStream::Stderr, cut).await;
        }
        answer.is_whole &= read == answer.kept.len() as u64;
        Ok(answer)
    }
}

/// Whether people could read the body. What does not say what it is, is taken for text.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return true };
    let Some(essence) = essence(content_type) else { return false };
    let signs = ["json", "xml", "javascript", "yaml", "x-www-form-urlencoded"];
    essence.starts_with("text/") || signs.iter().any(|sign| essence.ends_with(sign))
}

/// A content type without its parameters, in small letters.
pub(super) fn essence(content_type: &http::HeaderValue) -> Option<String> {
    let text = content_type.to_str().ok()?;
    Some(text.split(';').next()?.trim().to_ascii_lowercase())
}
