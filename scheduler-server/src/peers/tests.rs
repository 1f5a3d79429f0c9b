//! Two or three ports on loopback that answer as a leader or a standby would.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use coordination::Peer;
use prost::Message;
use punctual_proto::v1::{ErrorReason, PauseJobRequest, TriggerJobRequest};
use tls::ClientFiles;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::{Forward, Whereabouts, pass_on};

const TRIGGER: &str = "/punctual.v1.JobService/TriggerJob";
const PAUSE: &str = "/punctual.v1.JobService/PauseJob";

/// What a node that is asked does.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    DoesNotLead,
    /// Takes the call, and dies with it.
    Breaks,
}

/// Other nodes, which tell what they are asked.
struct Others {
    servers: JoinSet<()>,
    asked: mpsc::UnboundedReceiver<(HeaderMap, Vec<u8>)>,
    asks: mpsc::UnboundedSender<(HeaderMap, Vec<u8>)>,
}

impl Others {
    fn none() -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        Self { servers: JoinSet::new(), asked, asks }
    }

    async fn start(&mut self, manner: Manner) -> Whereabouts {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asks = self.asks.clone();
        let router = Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
            asks.send((parts.headers, body)).unwrap();
            match manner {
                Manner::Answers => Status::already_exists("answered").into_http::<Body>(),
                Manner::DoesNotLead => super::forward::no_leader("not I").into_http(),
                // The connection's task ends with it.
                Manner::Breaks => panic!("this node dies with its call, as the test asks for"),
            }
        });
        self.servers.spawn(async move { axum::serve(listener, router).await.unwrap() });
        there(&format!("http://{address}"))
    }
}

fn there(address: &str) -> Whereabouts {
    Whereabouts::There(Peer {
        node: "other".into(),
        instance: "1".to_owned(),
        address: address.to_owned(),
        version: String::new(),
        started: None,
        elected: 1,
    })
}

/// This node: what it serves itself, it answers with OUT_OF_RANGE, unless it is about to stop.
struct Standby {
    router: Router,
    whereabouts: watch::Sender<Whereabouts>,
    served: Arc<Mutex<Vec<HeaderMap>>>,
    stops: Arc<AtomicBool>,
}

impl Standby {
    fn new(leader: Whereabouts) -> Self {
        let (whereabouts, known) = watch::channel(leader);
        let mut forward = Forward::new("here", known, ClientFiles::default());
        forward.patience = Duration::from_secs(2);
        let served = Arc::new(Mutex::new(Vec::new()));
        let serve = Arc::clone(&served);
        let stops = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stops);
        let router = Router::new()
            .fallback(async move |request: Request| {
                serve.lock().unwrap().push(request.headers().clone());
                if stopping.load(Relaxed) {
                    return super::forward::no_leader("not I any more").into_http();
                }
                Status::out_of_range("served here").into_http::<Body>()
            })
            .layer(from_fn_with_state(Arc::new(forward), pass_on));
        Self { router, whereabouts, served, stops }
    }

    /// Leads, refuses the next call because it stops, and then another node leads.
    async fn gives_way_to(&self, next: Whereabouts) {
        self.stops.store(true, Relaxed);
        self.whereabouts.send_replace(Whereabouts::Here);
        while self.served.lock().unwrap().is_empty() {
            yield_now().await;
        }
        self.whereabouts.send_replace(next);
    }

    async fn call(&self, path: &str, message: &impl Message) -> Status {
        let mut body = vec![0];
        body.extend((message.encoded_len() as u32).to_be_bytes());
        message.encode(&mut body).unwrap();
        let request = Request::post(path).header("content-type", "application/grpc").body(Body::from(body)).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        Status::from_header_map(answer.headers()).unwrap()
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_write_at_a_standby_is_the_leaders_to_answer_and_is_numbered_on_the_way() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::Answers).await);
    let asked = TriggerJobRequest { job_id: "a".to_owned(), ..Default::default() };
    assert_eq!(standby.call(TRIGGER, &asked).await.message(), "answered");
    let (headers, body) = others.asked.recv().await.unwrap();
    assert_eq!(headers["punctual-forwarded-by"], "here");
    let got = TriggerJobRequest::decode(&body[5..]).unwrap();
    assert_eq!((got.job_id.as_str(), got.request_id.len()), ("a", 36));
    assert!(standby.served.lock().unwrap().is_empty());
}

#[tokio::test]
async fn reads_of_the_ledger_are_served_by_any_node() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::Answers).await);
    let status = standby.call("/punctual.v1.JobService/GetJob", &PauseJobRequest::default()).await;
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_call_waits_for_a_leader_and_is_served_here_if_that_is_this_node() {
    let mut others = Others::none();
    let standby = Standby::new(Whereabouts::Nowhere);
    let leader = others.start(Manner::Answers).await;
    let request = PauseJobRequest::default();
    let (status, ()) = tokio::join!(standby.call(PAUSE, &request), async {
        standby.whereabouts.send_replace(leader);
    });
    assert_eq!(status.message(), "answered");
    standby.whereabouts.send_replace(Whereabouts::Here);
    assert_eq!(standby.call(PAUSE, &request).await.message(), "served here");
}

#[tokio::test]
async fn who_does_not_lead_any_more_is_asked_until_it_is_known_who_does() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::DoesNotLead).await);
    let next = others.start(Manner::Answers).await;
    let request = PauseJobRequest::default();
    let (status, ()) = tokio::join!(standby.call(PAUSE, &request), async {
        others.asked.recv().await.unwrap();
        standby.whereabouts.send_replace(next);
    });
    assert_eq!(status.message(), "answered");
}

#[tokio::test]
async fn a_call_at_a_leader_that_gives_way_is_the_next_ones_to_answer() {
    let mut others = Others::none();
    let leader = Standby::new(Whereabouts::Here);
    let next = others.start(Manner::Answers).await;
    let request = PauseJobRequest::default();
    let ((), status) = tokio::join!(leader.gives_way_to(next), leader.call(PAUSE, &request));
    assert_eq!(status.message(), "answered");
}

#[tokio::test]
async fn a_write_that_may_have_been_done_elsewhere_is_not_said_not_to_be_by_a_leader_that_gives_way() {
    let mut others = Others::none();
    let node = Standby::new(others.start(Manner::Breaks).await);
    let next = others.start(Manner::DoesNotLead).await;
    let request = TriggerJobRequest { request_id: "1".to_owned(), ..Default::default() };
    let (status, ()) = tokio::join!(node.call(TRIGGER, &request), async {
        others.asked.recv().await.unwrap();
        node.gives_way_to(next).await;
    });
    assert_eq!((status.code(), reason(&status)), (Code::Unknown, ErrorReason::OutcomeUnknown.as_str_name().to_owned()));
}

#[tokio::test]
async fn a_numbered_write_whose_leader_dies_is_asked_for_again_under_the_same_number() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::Breaks).await);
    let next = others.start(Manner::Answers).await;
    let request = TriggerJobRequest::default();
    let (status, first) = tokio::join!(standby.call(TRIGGER, &request), async {
        let first = others.asked.recv().await.unwrap();
        standby.whereabouts.send_replace(next);
        first
    });
    assert_eq!(status.message(), "answered");
    let mut last = first.1.clone();
    while let Ok((_, body)) = others.asked.try_recv() {
        last = body;
    }
    assert_eq!(last, first.1);
}

#[tokio::test]
async fn a_write_without_a_number_whose_leader_dies_has_an_unknown_outcome_and_is_not_repeated() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::Breaks).await);
    let status = standby.call(PAUSE, &PauseJobRequest::default()).await;
    assert_eq!((status.code(), reason(&status)), (Code::Unknown, ErrorReason::OutcomeUnknown.as_str_name().to_owned()));
    others.asked.recv().await.unwrap();
    assert!(others.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_numbered_write_that_may_have_been_done_is_never_said_not_to_be() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::Breaks).await);
    let request = TriggerJobRequest { request_id: "mine".to_owned(), ..Default::default() };
    let (status, ()) = tokio::join!(standby.call(TRIGGER, &request), async {
        others.asked.recv().await.unwrap();
        standby.whereabouts.send_replace(Whereabouts::Nowhere);
    });
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (Code::Unknown, ErrorReason::OutcomeUnknown.as_str_name()));
    assert_eq!(info.metadata["request_id"], "mine");
}

#[tokio::test]
async fn a_leader_that_is_not_reached_has_done_nothing() {
    let mut others = Others::none();
    // A port that was free a moment ago.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let standby = Standby::new(there(&format!("http://{gone}")));
    let next = others.start(Manner::Answers).await;
    let request = PauseJobRequest::default();
    let (status, ()) = tokio::join!(standby.call(PAUSE, &request), async {
        standby.whereabouts.send_replace(next);
    });
    assert_eq!(status.message(), "answered");
}

#[tokio::test]
async fn what_was_passed_on_once_is_not_passed_on_again() {
    let mut others = Others::none();
    let standby = Standby::new(others.start(Manner::Answers).await);
    let request = Request::post(PAUSE).header("punctual-forwarded-by", "another").body(Body::empty()).unwrap();
    let answer = standby.router.clone().oneshot(request).await.unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap();
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, ErrorReason::NoLeader.as_str_name().to_owned()));
}

#[tokio::test]
async fn without_a_leader_a_call_is_refused_in_time() {
    let standby = Standby::new(Whereabouts::Nowhere);
    let status = standby.call(PAUSE, &PauseJobRequest::default()).await;
    assert_eq!((status.code(), reason(&status)), (Code::Unavailable, ErrorReason::NoLeader.as_str_name().to_owned()));
}
