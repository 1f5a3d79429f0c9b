//! The shell round the engine: runs its effects and feeds it inputs. It decides nothing.
//!
//! One task owns the engine. Everything that happens reaches it as an [`Input`] through one bounded queue:
//! agents' messages, clients' requests, answers of ledger and coordinator.

mod connect;
mod locks;
mod run;
mod streams;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coordination::Peer;
use scheduler_core::agent::StreamId;
use scheduler_core::engine::{Answer, Away, Input, Refusal, Request, RequestHandle, Stats};
use scheduler_core::ids::{AgentId, Epoch};
use scheduler_core::time::Skew;
use tokio::sync::{mpsc, oneshot, watch};

use crate::peers::Whereabouts;

pub use connect::Executor;
pub use run::{Loop, Stopped};
pub(crate) use streams::Outbound;

/// How many inputs may wait for the engine before their senders do.
const QUEUE: usize = 4_096;

/// What reaches the loop: the engine's inputs, and who waits for what they bring.
pub(crate) enum Message {
    Input(Input),
    Request(RequestHandle, Request, oneshot::Sender<Result<Answer, Refusal>>),
    /// A new stream of an agent, to be fed by the engine.
    Opened(StreamId, Outbound),
    /// This process leads, and does not answer; `None`: all is well.
    Doubted(Option<String>),
}

/// What the world sees of the engine between two inputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glance {
    pub leading: bool,
    /// As a leader, or because it stands by and has read them.
    pub jobs_known: usize,
    /// The ledger's last word was a failure.
    pub ledger_fails: bool,
    /// How far this machine's clock is from the ledger's, if that is known.
    pub skew: Option<Skew>,
    pub stats: Stats,
}

/// A way in to the engine's loop. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    numbers: Arc<AtomicU64>,
    glance: watch::Receiver<Glance>,
    agents_skews: watch::Receiver<BTreeMap<AgentId, Skew>>,
    whereabouts: watch::Receiver<Whereabouts>,
    elsewhere: watch::Receiver<Option<Peer>>,
    candidates: watch::Receiver<Vec<Peer>>,
    epoch: watch::Receiver<Option<Epoch>>,
    changes: watch::Receiver<Option<i64>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

const GONE: Refusal = Refusal::Unavailable(Away::Stopping);

impl Handle {
    /// Hands a request to the engine and waits for the answer. Dropping the future abandons a request that
    /// has not begun; one that has goes on.
    pub async fn request(&self, request: Request) -> Result<Answer, Refusal> {
        let handle = RequestHandle(self.number());
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message::Request(handle, request, answer)).await.map_err(|_| GONE)?;
        let mut abandon = Abandon { handle: Some(handle), messages: &self.messages };
        let result = answered.await.unwrap_or(Err(Refusal::OutcomeUnknown));
        abandon.handle = None;
        result
    }

    /// What the engine looks like from outside.
    pub fn glance(&self) -> Glance {
        *self.glance.borrow()
    }

    /// How far the clocks of connected agents' machines were from the ledger's, a second ago at most.
    pub fn agents_skews(&self) -> BTreeMap<AgentId, Skew> {
        self.agents_skews.borrow().clone()
    }

    /// Where the leader is, and every change of that.
    pub fn whereabouts(&self) -> watch::Receiver<Whereabouts> {
        self.whereabouts.clone()
    }

    /// The leader, where the coordinator says that it is another node.
    pub fn elsewhere(&self) -> watch::Receiver<Option<Peer>> {
        self.elsewhere.clone()
    }

    /// The nodes that lead or stand for election, this one too.
    pub fn candidates(&self) -> Vec<Peer> {
        self.candidates.borrow().clone()
    }

    /// In which this node leads, and every change of that.
    pub fn epoch(&self) -> watch::Receiver<Option<Epoch>> {
        self.epoch.clone()
    }

    /// Up to which number every change is in the ledger, while this node leads.
    pub fn changes(&self) -> watch::Receiver<Option<i64>> {
        self.changes.clone()
    }

    /// The way in for what is found out about the leader.
    pub(crate) fn messages(&self) -> mpsc::Sender<Message> {
        self.messages.clone()
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// Tells the engine that nobody waits any more, if dropped before the answer.
struct Abandon<'a> {
    handle: Option<RequestHandle>,
    messages: &'a mpsc::Sender<Message>,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            // A full queue only means that the request is done for nobody.
            let _ = self.messages.try_send(Message::Input(Input::RequestAbandoned(handle)));
        }
    }
}
