//! The agents' streams, seen from the loop: where the engine's messages go.

use std::collections::BTreeMap;

use agent_wire::{Credits, server_messages};
use coordination::Peer;
use punctual_proto::v1;
use scheduler_core::agent::{Closed, FromAgent, StreamId, ToAgent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The sending side of one stream.
pub(crate) struct Outbound {
    pub(crate) messages: mpsc::Sender<Result<v1::ServerMessage, Status>>,
    /// Ends the stream's reader.
    pub(crate) closed: CancellationToken,
}

#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<StreamId, (Outbound, Credits)>,
}

impl Streams {
    pub(super) fn open(&mut self, id: StreamId, outbound: Outbound) {
        self.open.insert(id, (outbound, Credits::default()));
    }

    pub(super) fn heard(&mut self, id: StreamId, message: &FromAgent) {
        if let Some((_, credits)) = self.open.get_mut(&id) {
            credits.spend(message);
        }
    }

    pub(super) fn forget(&mut self, id: StreamId) {
        self.open.remove(&id);
    }

    /// Never waits: an agent that does not read is cut off, and its Inventory tells what it missed.
    pub(super) fn send(&mut self, id: StreamId, message: ToAgent, node_id: &str) {
        let Some((outbound, credits)) = self.open.get_mut(&id) else { return };
        for part in server_messages(message, node_id, credits) {
            if outbound.messages.try_send(Ok(part)).is_err() {
                tracing::warn!(stream = id.0, "an agent does not read its stream; closing it");
                outbound.closed.cancel();
                self.open.remove(&id);
                return;
            }
        }
    }

    /// Sends all agents to the node that leads: they came just as this one was deposed.
    pub(super) fn redirect(&mut self, to: &Peer) {
        for (outbound, _) in std::mem::take(&mut self.open).into_values() {
            let _ = outbound.messages.try_send(Ok(redirect(to)));
            outbound.closed.cancel();
        }
    }

    pub(super) fn close(&mut self, id: StreamId, reason: Closed) {
        if let Some((outbound, _)) = self.open.remove(&id) {
            // A full queue is closed without the reason: dropping it ends the stream.
            let _ = outbound.messages.try_send(Err(closed(reason)));
            outbound.closed.cancel();
        }
    }
}

/// Tells an agent that another node leads.
pub(super) fn redirect(to: &Peer) -> v1::ServerMessage {
    let redirect = v1::Redirect { leader_address: to.address.clone(), node_id: to.node.to_string() };
    v1::ServerMessage { message: Some(v1::server_message::Message::Redirect(redirect)) }
}

/// Why the server ends the stream, as the agent is told.
fn closed(reason: Closed) -> Status {
    match reason {
        Closed::AlreadyExists => {
            Status::already_exists("another instance of this agent id is connected; give each agent an --id of its own")
        }
        Closed::Replaced => Status::aborted("this instance has opened a newer stream"),
        Closed::Protocol(why) => Status::failed_precondition(why),
        Closed::NotLeading => Status::unavailable("this server does not lead"),
    }
}
