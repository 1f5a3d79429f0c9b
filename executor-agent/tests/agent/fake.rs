//! A scheduler server whose every answer is the test's.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual_proto::v1::agent_message::Message as FromAgent;
use punctual_proto::v1::executor_service_server::{ExecutorService, ExecutorServiceServer};
use punctual_proto::v1::report::{Event, Finished};
use punctual_proto::v1::server_message::Message as ToAgent;
use punctual_proto::v1::{
    Ack, Acks, AgentMessage, Assign, Assignments, HeartbeatConfirmed, Hello, Inventory, LogAck, LogChunk, Report,
    ServerMessage, Welcome,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

/// Nothing that is awaited here takes longer on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Fake {
    pub(crate) url: String,
    streams: mpsc::Receiver<Peer>,
}

/// One stream that an agent opened.
pub(crate) struct Peer {
    incoming: Streaming<AgentMessage>,
    outgoing: mpsc::Sender<Result<ServerMessage, Status>>,
    pub(crate) epoch: i64,
    pub(crate) instance: String,
    pub(crate) confirms: bool,
    pub(crate) logs: BTreeMap<(String, i32), Vec<LogChunk>>,
}

struct Service(mpsc::Sender<Peer>);

#[tonic::async_trait]
impl ExecutorService for Service {
    type ConnectStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (outgoing, stream) = mpsc::channel(64);
        let peer = Peer {
            incoming: request.into_inner(),
            outgoing,
            epoch: 0,
            instance: String::new(),
            confirms: true,
            logs: BTreeMap::new(),
        };
        self.0.send(peer).await.map_err(|_| Status::unavailable("the test has ended"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (sender, streams) = mpsc::channel(8);
        let service = ExecutorServiceServer::new(Service(sender));
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        #[expect(clippy::disallowed_methods, reason = "a test's server ends with its runtime")]
        tokio::spawn(serving);
        Self { url, streams }
    }

    /// The next stream that the agent opens, and its Hello.
    pub(crate) async fn greeted(&mut self) -> (Peer, Hello) {
        let mut peer = patiently(self.streams.recv()).await.expect("served as long as the test");
        let hello = match peer.next().await {
            FromAgent::Hello(hello) => hello,
            other => panic!("a stream starts with Hello, not {other:?}"),
        };
        peer.instance.clone_from(&hello.instance);
        (peer, hello)
    }

    /// The next stream, welcomed under this epoch, and its Inventory; the right to run is confirmed.
    pub(crate) async fn welcomed(&mut self, epoch: i64) -> (Peer, Inventory) {
        let (mut peer, _) = self.greeted().await;
        peer.welcome(Some(epoch)).await;
        let inventory = match peer.next().await {
            FromAgent::Inventory(inventory) => inventory,
            other => panic!("Welcome is answered by Inventory, not {other:?}"),
        };
        peer.confirm_one().await;
        (peer, inventory)
    }
}

impl Peer {
    pub(crate) async fn send(&self, message: ToAgent) {
        let message = ServerMessage { message: Some(message) };
        self.outgoing.send(Ok(message)).await.expect("the agent listens");
    }

    pub(crate) async fn welcome(&mut self, epoch: Option<i64>) {
        self.epoch = epoch.unwrap_or_default();
        self.send(ToAgent::Welcome(Welcome {
            epoch,
            node_id: "fake".to_owned(),
            agent_ttl: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
            heartbeat_interval: Some(prost_types::Duration { seconds: 0, nanos: 100_000_000 }),
            limits: None,
            server_time: None,
        }))
        .await;
    }

    /// The next message that is no heartbeat. Heartbeats are confirmed on the way, log chunks kept and acknowledged.
    pub(crate) async fn next(&mut self) -> FromAgent {
        loop {
            match self.any().await {
                FromAgent::Heartbeat(heartbeat) => self.confirm(heartbeat.n).await,
                FromAgent::LogChunks(chunks) => self.keep(chunks.chunks).await,
                other => return other,
            }
        }
    }

    /// As [`Self::next`]; `None` when the agent is gone.
    pub(crate) async fn until_closed(&mut self) -> Option<FromAgent> {
        while let Some(Ok(message)) = patiently(self.incoming.next()).await {
            match message.message.expect("a message has content") {
                FromAgent::Heartbeat(heartbeat) => {
                    let confirmed = HeartbeatConfirmed { n: heartbeat.n, ..HeartbeatConfirmed::default() };
                    let message = Some(ToAgent::HeartbeatConfirmed(confirmed));
                    // It may be gone by now.
                    let _ = self.outgoing.send(Ok(ServerMessage { message })).await;
                }
                other => return Some(other),
            }
        }
        None
    }

    async fn any(&mut self) -> FromAgent {
        let message = patiently(self.incoming.next()).await.expect("the stream goes on").expect("the stream is sound");
        message.message.expect("a message has content")
    }

    async fn confirm_one(&mut self) {
        loop {
            if let FromAgent::Heartbeat(heartbeat) = self.any().await {
                self.confirm(heartbeat.n).await;
                return;
            }
        }
    }

    async fn confirm(&self, n: i64) {
        if self.confirms {
            self.send(ToAgent::HeartbeatConfirmed(HeartbeatConfirmed { n, ..HeartbeatConfirmed::default() })).await;
        }
    }

    async fn keep(&mut self, chunks: Vec<LogChunk>) {
        let mut acks = Acks::default();
        for chunk in chunks {
            acks.log_credits += 1;
            acks.logs.push(LogAck { run_id: chunk.run_id.clone(), attempt: chunk.attempt, sequence: chunk.sequence });
            self.logs.entry((chunk.run_id.clone(), chunk.attempt)).or_default().push(chunk);
        }
        self.send(ToAgent::Acks(acks)).await;
    }

    /// Reads until a report comes, one of those that a message brings at a time is expected.
    pub(crate) async fn report(&mut self) -> Report {
        loop {
            if let FromAgent::Reports(reports) = self.next().await {
                assert_eq!(reports.reports.len(), 1, "{reports:?}");
                return reports.reports.into_iter().next().expect("one");
            }
        }
    }

    /// Reads and acknowledges reports until the attempt's last.
    pub(crate) async fn finished(&mut self) -> Finished {
        loop {
            let report = self.report().await;
            self.ack(&report).await;
            if let Some(Event::Finished(finished)) = report.event {
                return finished;
            }
        }
    }

    pub(crate) async fn started(&mut self) {
        let report = self.report().await;
        assert!(matches!(report.event, Some(Event::Started(_))), "{report:?}");
        self.ack(&report).await;
    }

    pub(crate) async fn ack(&self, report: &Report) {
        let ack =
            Ack { run_id: report.run_id.clone(), attempt: report.attempt, sequence: report.sequence, refused: false };
        self.send(ToAgent::Acks(Acks { reports: vec![ack], report_credits: 1, ..Acks::default() })).await;
    }

    pub(crate) fn assign(&self, task_type: &str, payload: &serde_json::Value) -> Assign {
        Assign {
            epoch: self.epoch,
            instance: self.instance.clone(),
            run_id: Uuid::now_v7().to_string(),
            attempt: 1,
            fencing_token: 7,
            namespace: "default".to_owned(),
            job_id: "job".to_owned(),
            task_type: task_type.to_owned(),
            payload: payload.to_string().into(),
            timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            kill_grace: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
            ..Assign::default()
        }
    }

    pub(crate) async fn give(&self, assign: &Assign) {
        self.send(ToAgent::Assignments(Assignments { assignments: vec![assign.clone()] })).await;
    }

    /// All that an attempt wrote to one of its streams.
    pub(crate) fn text(&self, assign: &Assign, stream: punctual_proto::v1::log_chunk::Stream) -> String {
        let chunks = self.logs.get(&(assign.run_id.clone(), assign.attempt)).into_iter().flatten();
        let bytes: Vec<u8> =
            chunks.filter(|chunk| chunk.stream() == stream).flat_map(|chunk| chunk.data.to_vec()).collect();
        String::from_utf8(bytes).expect("text")
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it came in time")
}
