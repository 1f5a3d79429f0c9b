//! `ExecutorService.Connect`: an agent's stream, handed to the engine message by message.

use std::sync::Arc;
use std::time::Duration;

use coordination::Peer;
use futures::StreamExt;
use punctual_proto::v1;
use scheduler_core::agent::{FromAgent, Inventory, StreamId};
use scheduler_core::engine::Input;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response, Status, Streaming};
use v1::agent_message::Message as Wire;
use v1::executor_service_server::ExecutorService;

use crate::peers::{FORWARDED, Leaders, Whereabouts};

use super::streams::redirect;
use super::{Handle, Message, Outbound};
use crate::access::{Admission, Caller};

/// How many messages to an agent may wait for it to read.
const OUTBOUND: usize = 1_024;
/// How long a new stream may take to say Hello.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// Parts of one Inventory, at most: a bound on what an agent can make us hold.
const MAX_INVENTORY: usize = 100_000;

/// The agents' side of the API.
pub struct Executor {
    node_id: String,
    leaders: Arc<Leaders>,
    handle: Handle,
    readers: TaskTracker,
    drain: CancellationToken,
}

impl Executor {
    /// Its streams end when `drain` is cancelled; their readers are tracked in `readers`.
    pub fn new(
        node_id: &str,
        leaders: Arc<Leaders>,
        handle: Handle,
        readers: TaskTracker,
        drain: CancellationToken,
    ) -> Self {
        Self { node_id: node_id.to_owned(), leaders, handle, readers, drain }
    }
}

#[tonic::async_trait]
impl ExecutorService for Executor {
    type ConnectStream = ReceiverStream<Result<v1::ServerMessage, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let admission = request.extensions().get::<Admission>().cloned();
        let Admission { caller, .. } =
            admission.ok_or_else(|| Status::unauthenticated("nobody looked at who calls"))?;
        let (messages, outbound) = mpsc::channel(OUTBOUND);
        let reader = Reader {
            node_id: self.node_id.clone(),
            leaders: Arc::clone(&self.leaders),
            is_passed_on: request.metadata().contains_key(FORWARDED),
            authorization: request.metadata().get("authorization").cloned(),
            caller,
            id: StreamId(self.handle.number()),
            handle: self.handle.clone(),
            incoming: request.into_inner(),
            messages,
            closed: self.drain.child_token(),
            inventory: None,
        };
        self.readers.spawn(reader.run());
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

/// Reads one stream until either side ends it.
struct Reader {
    node_id: String,
    leaders: Arc<Leaders>,
    /// Another node passes on what an agent has told it.
    is_passed_on: bool,
    /// By which the agent is known at the leader, too.
    authorization: Option<MetadataValue<Ascii>>,
    caller: Caller,
    id: StreamId,
    handle: Handle,
    incoming: Streaming<v1::AgentMessage>,
    messages: mpsc::Sender<Result<v1::ServerMessage, Status>>,
    closed: CancellationToken,
    /// The parts so far of an Inventory that goes on.
    inventory: Option<Inventory>,
}

impl Reader {
    async fn run(mut self) {
        let (closed, caller) = (self.closed.clone(), self.caller.clone());
        let ended = tokio::select! {
            biased;
            () = closed.cancelled() => Ok(()),
            () = caller.signed_out() => Err(Status::unauthenticated("the token has expired or was revoked")),
            ended = self.read() => ended,
        };
        if let Err(status) = ended {
            tracing::warn!(stream = self.id.0, message = status.message(), "closing an agent's stream");
            // An agent that does not read loses the reason, not the end.
            let _ = self.messages.try_send(Err(status));
        }
        // The loop has ended if nobody listens.
        let _ = self.handle.messages.send(Message::Input(Input::StreamClosed(self.id))).await;
    }

    async fn read(&mut self) -> Result<(), Status> {
        let first = tokio::time::timeout(HELLO_WAIT, self.incoming.next());
        let first = first.await.map_err(|_| Status::deadline_exceeded("no Hello within 10 s"))?;
        let Some(v1::AgentMessage { message: Some(Wire::Hello(hello)) }) = first.transpose()? else {
            return Err(Status::failed_precondition("a stream begins with Hello"));
        };
        let wire = hello.clone();
        let hello = agent_wire::hello(hello).map_err(malformed)?;
        self.caller.may_be(&hello).map_err(Status::permission_denied)?;
        if self.is_passed_on {
            tracing::info!(agent = %hello.agent_id, "an agent tells another node that it cannot connect to this one");
            let is_of_this = wire.unreached_leader == self.node_id;
            return match is_of_this {
                true => self.pass_on(Message::Input(Input::Unreached(hello.agent_id))).await,
                false => Ok(()),
            };
        }
        tracing::info!(stream = self.id.0, agent = %hello.agent_id, instance = %hello.instance, "an agent says Hello");
        if let Some(peer) = self.leader_elsewhere().await {
            tracing::info!(stream = self.id.0, agent = %hello.agent_id, leader = %peer.node, "an agent is sent to the leader");
            // An agent that does not read it has gone elsewhere already.
            let _ = self.messages.try_send(Ok(redirect(&peer)));
            if wire.unreached_leader == peer.node.as_str() {
                self.leaders.tell_unreached(&peer, &self.node_id, self.authorization.clone(), wire).await;
            }
            return Ok(());
        }
        let outbound = Outbound { messages: self.messages.clone(), closed: self.closed.clone() };
        self.pass_on(Message::Opened(self.id, outbound)).await?;
        self.pass_on(Message::Input(Input::Hello(self.id, hello))).await?;
        while let Some(message) = self.incoming.next().await {
            // A broken connection is an end like any other: the agent comes back with its Inventory.
            let Ok(message) = message else { return Ok(()) };
            let goes_on = matches!(&message.message, Some(Wire::Inventory(part)) if part.more);
            let Some(message) = agent_wire::from_agent(message).map_err(malformed)? else { continue };
            let Some(message) = self.whole(message, goes_on)? else { continue };
            self.pass_on(Message::Input(Input::FromAgent(self.id, message))).await?;
        }
        Ok(())
    }

    /// Holds the agent until it is known who leads (rule 22); `None`: this node does, or soon will.
    async fn leader_elsewhere(&self) -> Option<Peer> {
        let mut whereabouts = self.handle.whereabouts();
        let known = tokio::select! {
            biased;
            // The agent has given this stream up.
            () = self.messages.closed() => return None,
            known = whereabouts.wait_for(|known| *known != Whereabouts::Nowhere) => known,
        };
        match known.as_deref() {
            Ok(Whereabouts::There(peer)) => Some(peer.clone()),
            // The loop is gone, which whoever passes the Hello on will find.
            Ok(Whereabouts::Here | Whereabouts::Soon | Whereabouts::Nowhere) | Err(_) => None,
        }
    }

    /// Puts an Inventory that came in parts together.
    fn whole(&mut self, message: FromAgent, goes_on: bool) -> Result<Option<FromAgent>, Status> {
        let FromAgent::Inventory(part) = message else { return Ok(Some(message)) };
        let mut inventory = self.inventory.take().unwrap_or_default();
        inventory.held.extend(part.held);
        inventory.reports.extend(part.reports);
        if inventory.held.len() + inventory.reports.len() > MAX_INVENTORY {
            return Err(Status::resource_exhausted("the Inventory is too large"));
        }
        if goes_on {
            self.inventory = Some(inventory);
            return Ok(None);
        }
        Ok(Some(FromAgent::Inventory(inventory)))
    }

    async fn pass_on(&self, message: Message) -> Result<(), Status> {
        self.handle.messages.send(message).await.map_err(|_| Status::unavailable("this server is stopping"))
    }
}

fn malformed(error: agent_wire::Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}
