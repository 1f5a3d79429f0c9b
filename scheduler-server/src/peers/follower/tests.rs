//! A leader on loopback, and a standby that follows it.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use punctual_tests::Proxy;
use scheduler_core::ids::Epoch;
use tls::{ClientFiles, ServerTls};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::http;
use crate::peers::{PRESENCE, Presence};
use crate::self_made::SelfMade;

/// A leader that tells of itself, and what follows it.
struct Leader {
    process: JoinSet<()>,
    _epoch: watch::Sender<Option<Epoch>>,
    changes: watch::Sender<Option<i64>>,
    drain: CancellationToken,
    port: u16,
}

impl Leader {
    async fn start(instance: &str, epoch: Option<i64>) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), None, instance, epoch)
    }

    fn at(listener: TcpListener, tls: Option<Arc<ServerTls>>, instance: &str, epoch: Option<i64>) -> Self {
        let (tells, said) = watch::channel(epoch.map(Epoch));
        let (changes, committed) = watch::channel(epoch.map(|epoch| epoch + 1));
        let drain = CancellationToken::new();
        let presence = Presence::new("leader", instance, said, committed, &drain);
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route(PRESENCE, get(async move || presence.show()));
        let mut process = JoinSet::new();
        process.spawn(http::serve(listener, tls, router, http::Limits::default(), drain.clone()));
        Self { process, _epoch: tells, changes, drain, port }
    }

    /// `kill -9`, as far as others see it.
    async fn kill(mut self) {
        self.process.shutdown().await;
    }
}

struct Standby {
    engine: mpsc::Receiver<Message>,
    _following: JoinSet<()>,
    _leader: watch::Sender<Option<Peer>>,
}

impl Standby {
    fn following(instance: &str, port: u16) -> Self {
        Self::following_over("http", ClientFiles::default(), instance, port)
    }

    fn following_over(scheme: &str, tls: ClientFiles, instance: &str, port: u16) -> Self {
        let (found, engine) = mpsc::channel(64);
        let (leader, elsewhere) = watch::channel(Some(Peer {
            node: "leader".into(),
            instance: instance.to_owned(),
            address: format!("{scheme}://127.0.0.1:{port}"),
            version: String::new(),
            started: None,
            elected: 1,
        }));
        let leaders = Leaders::new(tls);
        let mut following = JoinSet::new();
        following.spawn(follow(elsewhere, leaders, found, CancellationToken::new()));
        Self { engine, _following: following, _leader: leader }
    }

    /// What is said next of the leader, if that is something new.
    async fn hears(&mut self) -> Message {
        timeout(Duration::from_secs(20), self.engine.recv()).await.unwrap().unwrap()
    }

    async fn until_it_leads(&mut self) {
        while !matches!(self.hears().await, Message::Doubted(None)) {}
    }

    /// Whether the leader is found dead before it has been doubted so often.
    async fn finds_it_dead(&mut self, doubts: usize) -> bool {
        let mut doubted = 0;
        while doubted < doubts {
            match self.hears().await {
                Message::Input(Input::LeaderDied { epoch, instance }) => {
                    assert_eq!((epoch, instance.as_str()), (Epoch(7), "first"));
                    return true;
                }
                Message::Doubted(Some(_)) => doubted += 1,
                _ => {}
            }
        }
        false
    }
}

#[tokio::test]
async fn a_killed_leader_is_found_dead() {
    let leader = Leader::start("first", Some(7)).await;
    let mut standby = Standby::following("first", leader.port);
    standby.until_it_leads().await;
    leader.kill().await;
    assert!(standby.finds_it_dead(5).await);
}

#[tokio::test]
async fn a_killed_leader_is_found_dead_over_tls() {
    let folder = punctual_tests::folder();
    let made = SelfMade::in_folder(folder.path(), [127, 0, 0, 1].into()).unwrap();
    let tls = Arc::new(ServerTls::load(made.files.clone()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let leader = Leader::at(listener, Some(tls), "first", Some(7));
    let trusting = ClientFiles { ca: Some(made.ca.clone()), ..ClientFiles::default() };
    let mut standby = Standby::following_over("https", trusting, "first", leader.port);
    standby.until_it_leads().await;
    leader.kill().await;
    assert!(standby.finds_it_dead(5).await);
}

#[tokio::test]
async fn a_killed_leader_that_was_started_again_at_once_is_found_dead() {
    let leader = Leader::start("first", Some(7)).await;
    let port = leader.port;
    let mut standby = Standby::following("first", port);
    standby.until_it_leads().await;
    leader.kill().await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    let _next = Leader::at(socket.listen(8).unwrap(), None, "second", None);
    assert!(standby.finds_it_dead(50).await);
}

#[tokio::test]
async fn a_leader_behind_a_broken_wire_is_not_dead() {
    let leader = Leader::start("first", Some(7)).await;
    let wire = Proxy::to(leader.port);
    let mut standby = Standby::following("first", wire.port());
    standby.until_it_leads().await;
    wire.cut();
    assert!(!standby.finds_it_dead(6).await);
    wire.mend();
    standby.until_it_leads().await;
}

#[tokio::test]
async fn a_leader_that_stops_is_not_dead() {
    let mut leader = Leader::start("first", Some(7)).await;
    let mut standby = Standby::following("first", leader.port);
    standby.until_it_leads().await;
    leader.drain.cancel();
    leader.process.join_next().await.unwrap().unwrap();
    assert!(!standby.finds_it_dead(6).await);
}

/// As a process is that was stopped, or one behind a network that loses everything.
#[tokio::test]
async fn a_leader_that_says_nothing_is_doubted_and_not_dead() {
    let leader = Leader::start("first", Some(7)).await;
    let wire = Proxy::to(leader.port);
    let mut standby = Standby::following("first", wire.port());
    standby.until_it_leads().await;
    wire.lose_answers();
    assert!(!standby.finds_it_dead(2).await);
}

/// It is of an earlier version, or behind a rule that rejects: calls go on to be passed on to it.
#[tokio::test]
async fn a_leader_that_was_never_heard_is_not_doubted() {
    let mut standby = Standby::following("first", 1);
    for _ in 0..3 {
        assert!(matches!(standby.hears().await, Message::Doubted(None)));
    }
}

#[tokio::test]
async fn what_a_leader_tells_of_changes_reaches_the_engine_and_what_another_process_tells_does_not() {
    let leader = Leader::start("first", Some(7)).await;
    let mut standby = Standby::following("first", leader.port);
    while !matches!(standby.hears().await, Message::Input(Input::ChangesTold(8))) {}
    leader.changes.send_replace(Some(9));
    while !matches!(standby.hears().await, Message::Input(Input::ChangesTold(9))) {}
    let other = Leader::start("second", Some(7)).await;
    let mut standby = Standby::following("first", other.port);
    for _ in 0..3 {
        assert!(!matches!(standby.hears().await, Message::Input(Input::ChangesTold(_))));
    }
}
