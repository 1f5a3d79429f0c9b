//! Keeps the deadline that a client gives with `grpc-timeout`, for streams to their end.
//!
//! tonic does this in its own server only, which the port does without.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use http_body::Frame;
use tokio::time::Sleep;
use tonic::Status;

pub(super) async fn keep(request: Request, next: Next) -> Response {
    let Some(timeout) = request.headers().get("grpc-timeout").and_then(parse) else {
        return next.run(request).await;
    };
    let mut deadline = Box::pin(tokio::time::sleep(timeout));
    tokio::select! {
        biased;
        response = next.run(request) => response.map(|body| Body::new(Until { body, deadline, passed: false })),
        () = &mut deadline => passed().into_http(),
    }
}

/// `grpc-timeout` is up to eight digits and a unit. What cannot be read is no deadline.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

fn passed() -> Status {
    Status::deadline_exceeded("the deadline that the client gave has passed")
}

/// A body that ends at the deadline, with the status that says so.
struct Until {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    passed: bool,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.passed {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        std::task::ready!(self.deadline.as_mut().poll(cx));
        self.passed = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(match passed().add_header(&mut trailers) {
            Ok(()) => Some(Ok(Frame::trailers(trailers))),
            Err(unwritable) => Some(Err(axum::Error::new(unwritable))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.passed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit_and_nothing_else_is() {
        let cases = [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("30S", Some(Duration::from_secs(30))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("9n", Some(Duration::from_nanos(9))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("+1S", None),
            ("10", None),
            ("1s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(&HeaderValue::from_static(text)), expected, "{text:?}");
        }
    }
}
