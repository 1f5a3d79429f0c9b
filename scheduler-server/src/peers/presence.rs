//! What a node tells others of itself, for as long as it lives: who it is, in which epoch it leads, and which changes are in the
//! ledger; a line of JSON at once, with every other epoch, and every half second.
//!
//! It is no secret, and nobody is asked who they are: what a node does for hearing this it could do for the end of a
//! connection. A process that stops ends the stream, so that nobody takes its end for its death.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use scheduler_core::ids::Epoch;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Where it is served.
pub const PATH: &str = "/peers/presence";
/// Nobody hears nothing for longer than this, or something is wrong.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) node: String,
    /// One start of its process.
    pub(super) instance: String,
    /// Of the term in which it leads; `None`: it does not.
    pub(super) epoch: Option<Epoch>,
    /// Of a leader: every change of a job or calendar up to this number is in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<i64>,
}

/// What it takes to tell.
#[derive(Clone)]
pub struct Presence {
    node: String,
    instance: String,
    epoch: watch::Receiver<Option<Epoch>>,
    changes: watch::Receiver<Option<i64>>,
    drain: CancellationToken,
}

impl Presence {
    pub fn new(
        node: &str,
        instance: &str,
        epoch: watch::Receiver<Option<Epoch>>,
        changes: watch::Receiver<Option<i64>>,
        drain: &CancellationToken,
    ) -> Self {
        Self { node: node.to_owned(), instance: instance.to_owned(), epoch, changes, drain: drain.clone() }
    }

    pub(crate) fn show(&self) -> Response {
        let lines = stream::unfold((self.clone(), true), |(mut presence, is_first)| async move {
            let line = presence.next(is_first).await?;
            Some((Ok::<_, Infallible>(line), (presence, false)))
        });
        ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
    }

    /// `None`: this process stops.
    async fn next(&mut self, is_first: bool) -> Option<Bytes> {
        if !is_first {
            tokio::select! {
                biased;
                () = self.drain.cancelled() => {}
                changed = self.epoch.changed() => changed.ok()?,
                () = sleep(EVERY) => {}
            }
        }
        if self.drain.is_cancelled() {
            return None;
        }
        let epoch = *self.epoch.borrow_and_update();
        let changes = *self.changes.borrow();
        let line = Line { node: self.node.clone(), instance: self.instance.clone(), epoch, changes };
        let mut bytes = serde_json::to_vec(&line).expect("because text and numbers are JSON");
        bytes.push(b'\n');
        Some(bytes.into())
    }
}
