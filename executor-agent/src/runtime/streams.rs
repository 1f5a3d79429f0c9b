//! The streams that the session asked for, over gRPC.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt, stream};
use punctual_proto::v1::executor_service_client::ExecutorServiceClient;
use punctual_proto::v1::{AgentMessage, agent_message, server_message};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tracing::info_span;

use super::channel::Channels;
use super::tasks::Tasks;
use crate::session::{Closed, Input, StreamId};
use crate::token::TokenFile;

/// Messages that may wait for the network. Credits keep batches few; a server that lets more than this wait does not
/// read, and is given up.
const WAITING: usize = 1024;
/// What the server may send in a message: limits are stated by it, this only keeps the memory safe.
const MAX_MESSAGE: usize = 8 << 20;

pub(super) struct Streams {
    tasks: Tasks,
    token: Option<TokenFile>,
    inputs: mpsc::Sender<Input>,
    channels: Channels,
    open: BTreeMap<StreamId, Lanes>,
}

/// Two ways out, so that nothing waits behind a log: batches may wait for each other, the rest may not wait for them.
struct Lanes {
    urgent: mpsc::Sender<AgentMessage>,
    batches: mpsc::Sender<AgentMessage>,
    closed: CancellationToken,
}

impl Streams {
    pub(super) fn new(tasks: Tasks, token: Option<TokenFile>, inputs: mpsc::Sender<Input>, channels: Channels) -> Self {
        Self { tasks, token, inputs, channels, open: BTreeMap::new() }
    }

    pub(super) fn connect(&mut self, stream: StreamId, server: String) {
        let (urgent, urgent_out) = mpsc::channel(WAITING);
        let (batches, batches_out) = mpsc::channel(WAITING);
        let closed = CancellationToken::new();
        self.open.insert(stream, Lanes { urgent, batches, closed: closed.clone() });
        let (inputs, token, channels) = (self.inputs.clone(), self.token.clone(), self.channels.clone());
        let outgoing = merge(urgent_out, batches_out);
        let span = info_span!("stream", server = %server);
        self.tasks.spawn(span, async move {
            let talk = async {
                let why = talk(stream, &channels, server, token, outgoing, &inputs).await;
                let _ = inputs.send(Input::Closed { stream, why }).await;
            };
            tokio::select! { biased; () = closed.cancelled() => {}, () = talk => {} }
        });
    }

    /// The stream is dropped with what it holds unread.
    pub(super) fn close(&mut self, stream: StreamId) {
        if let Some(lanes) = self.open.remove(&stream) {
            lanes.closed.cancel();
        }
    }

    /// False when the server does not read: the stream is closed then.
    pub(super) fn send(&mut self, stream: StreamId, message: agent_message::Message) -> bool {
        let Some(lanes) = self.open.get(&stream) else { return true };
        let is_batch = matches!(message, agent_message::Message::Reports(_) | agent_message::Message::LogChunks(_));
        let lane = if is_batch { &lanes.batches } else { &lanes.urgent };
        match lane.try_send(AgentMessage { message: Some(message) }) {
            // A stream that has just ended says so itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.close(stream);
                false
            }
        }
    }
}

/// Urgent messages overtake batches.
fn merge(
    urgent: mpsc::Receiver<AgentMessage>,
    batches: mpsc::Receiver<AgentMessage>,
) -> impl Stream<Item = AgentMessage> + Send + 'static {
    let first = |_: &mut ()| stream::PollNext::Left;
    stream::select_with_strategy(ReceiverStream::new(urgent), ReceiverStream::new(batches), first)
}

/// One stream from its connection to its end.
async fn talk(
    stream: StreamId,
    channels: &Channels,
    server: String,
    token: Option<TokenFile>,
    outgoing: impl Stream<Item = AgentMessage> + Send + 'static,
    inputs: &mpsc::Sender<Input>,
) -> Closed {
    let authorization = match &token {
        Some(token) => match token.authorization().await {
            Ok(authorization) => Some(authorization),
            Err(why) => return Closed::Lost(why),
        },
        None => None,
    };
    let channel = match channels.open(server).await {
        Ok(channel) => channel,
        Err(why) => return Closed::Lost(why),
    };
    if inputs.send(Input::Connected { stream }).await.is_err() {
        return Closed::Lost("the agent ends".to_owned());
    }
    let mut client = ExecutorServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let mut request = Request::new(outgoing);
    if let Some(authorization) = authorization {
        request.metadata_mut().insert("authorization", authorization);
    }
    let mut incoming = match client.connect(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return refused(&status),
    };
    while let Some(message) = incoming.next().await {
        match message {
            Ok(message) => {
                // A kind of message that this version does not know is ignored.
                let Some(message) = message.message else { continue };
                log_order(&message);
                if inputs.send(Input::Message { stream, message: Box::new(message) }).await.is_err() {
                    break;
                }
            }
            Err(status) => return refused(&status),
        }
    }
    Closed::Lost("the server closed the stream".to_owned())
}

fn log_order(message: &server_message::Message) {
    if let server_message::Message::Redirect(redirect) = message {
        tracing::info!(leader = %redirect.leader_address, "redirected to the leader");
    }
}

fn refused(status: &Status) -> Closed {
    match status.code() {
        Code::AlreadyExists => Closed::AlreadyExists(status.message().to_owned()),
        code => {
            Closed::Lost(tls::explain(status).map_or_else(|| format!("{code:?}: {}", status.message()), str::to_owned))
        }
    }
}
