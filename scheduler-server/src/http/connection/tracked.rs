//! Counts the requests of a connection that are open, each from its head to the end of its answer's body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

/// The requests of one connection.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    /// Whether one has begun since the last look.
    begun: AtomicBool,
}

impl Requests {
    pub(super) fn begin(&self) -> Open {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        self.0.begun.store(true, Ordering::Relaxed);
        Open(Arc::clone(&self.0))
    }

    /// Whether none is open, and none has begun since this was asked before.
    pub(super) fn none_since_the_last_look(&self) -> bool {
        let begun = self.0.begun.swap(false, Ordering::Relaxed);
        !begun && self.0.open.load(Ordering::Relaxed) == 0
    }
}

/// A request that is open as long as this.
pub(super) struct Open(Arc<Counts>);

impl Open {
    pub(super) fn until_the_end_of(self, body: Body) -> Tracked {
        Tracked { body, _open: self }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body.
pub(super) struct Tracked {
    body: Body,
    _open: Open,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
