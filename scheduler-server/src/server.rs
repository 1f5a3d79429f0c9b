//! A server from its settings to its end: build, serve, drain.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use async_trait::async_trait;
use coordination::{Coordinator, Peer};
use executor_agent::{Agent, Running};
use punctual_proto::v1::executor_service_server::ExecutorServiceServer;
use scheduler_core::engine::{Answer, Config, IdleLocks, LedgerClock, Refusal, Request};
use scheduler_core::ids::NodeId;
use scheduler_core::time::Skew;
use tls::{ClientFiles, ServerTls};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::access::{self, Clocks, Gate, Keeping, Proved, Refusals, SignIn};
use crate::dev_tokens::DevTokens;
use crate::feed::Feed;
use crate::http::{self, HostPolicy, Metrics, Readiness, Surface};
use crate::leader::{Executor, Handle, Loop, Stopped};
use crate::peers::{self, Forward, Leaders, PeerSecret, Presence, Whereabouts};
use crate::process::Process;
use crate::service::{Access, LeaderPort, Node, Service};
use crate::settings::{Ledger, Settings, Tls};
use crate::tasks::{TaskKind, Tasks};
use crate::{api, certificates, clock, metrics, open_files, store};

/// How long the embedded agent may take to kill its tasks and to report that.
const AGENT_STOP: Duration = Duration::from_secs(5);
/// Connections that may wait to be accepted, when many come at once: beyond it, clients try again after a second.
const BACKLOG: u32 = 4_096;
/// How long everything may take to end.
const STOP: Duration = Duration::from_secs(15);

/// Runs a server until a signal ends it, or something that it cannot do without fails.
pub async fn run(settings: Settings) -> Result<()> {
    let mut signals = Signals::new()?;
    let tls = settings.tls.as_ref().map(|tls| ServerTls::load(tls.files().clone())).transpose()?.map(Arc::new);
    let process = Process::starts();
    let secret = settings.cluster.as_ref().and_then(|cluster| cluster.peer_secret.as_deref());
    let secret = secret.map(PeerSecret::read).transpose()?;
    let opened = store::open(&settings, &process).await?;
    let tokens_of_dev = match &settings.tls {
        Some(Tls::SelfMade(made)) => Some(DevTokens::in_folder(&made.folder, &*opened.tokens, clock::wall()).await?),
        Some(Tls::Given(_)) | None => None,
    };
    let listener = bind(&settings)?;
    let limits = open_files::make_room(settings.limits.clone());
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let drain = CancellationToken::new();
    let stop = CancellationToken::new();
    let mut tasks = Tasks::default();

    let feed = Arc::new(Feed::default());
    let config = engine_config(&settings, &*opened.coordinator);
    let (told_sizes, sizes) = watch::channel(Vec::new());
    if settings.cluster.is_some() {
        let sizes = metrics::keep_sizes(Arc::clone(&opened.coordinator), told_sizes);
        tasks.spawn(TaskKind::Sizes, until(stop.clone(), sizes));
    }
    let (engine, handle) = Loop::new(config, opened.leader, opened.coordinator, Arc::clone(&feed));
    tasks.spawn(TaskKind::Leader, lead(engine, stop.clone(), drain.clone().drop_guard()));
    if let Some(cluster) = &settings.cluster {
        let leaders = Leaders::new(cluster.peers.clone());
        let following = peers::follow(handle.elsewhere(), leaders, handle.messages(), stop.clone());
        tasks.spawn(TaskKind::Follower, async move {
            following.await;
            Ok(())
        });
    }
    if let Some(lock) = opened.lock {
        tasks.spawn(TaskKind::LedgerLock, lock.keep(stop.clone()));
    }

    let clocks: Clocks = Arc::new(clock::now);
    let tokens = Arc::new(Proved::new(opened.tokens));
    let (refusals, refused) = Refusals::new(Arc::clone(&clocks));
    let keeping = Keeping::of(settings.audit_retention);
    let keeper = access::keep(Arc::clone(&opened.audit), Arc::clone(&clocks), keeping, refused);
    tasks.spawn(TaskKind::Audit, async move {
        keeper.await;
        Ok(())
    });
    let sign_in = settings.sign_in.then(|| SignIn::new(Arc::clone(&tokens), clocks, settings.token_rate));
    let service = Service::new(
        opened.reader,
        Access { tokens, audit: opened.audit },
        Arc::new(handle.clone()),
        feed,
        Arc::new(clock::wall),
        Node {
            id: NodeId(settings.node_id.clone()),
            address: settings.advertise.clone(),
            start_time: process.started,
            warnings: settings.warnings.clone(),
        },
        settings.min_every,
    );
    let gate = Gate::new(sign_in, refusals).certified(settings.certified.clone());
    let grpc = grpc(&settings, service, &handle, &drain).await;
    let mut surface = surface(&settings, gate, grpc, &handle, metrics::metrics(handle.clone(), sizes));
    if let Some(cluster) = &settings.cluster {
        let forward = Forward::new(&settings.node_id, handle.whereabouts(), cluster.peers.clone());
        surface.forward = Some(Arc::new(forward.with_secret(secret)));
        let (epoch, changes) = (handle.epoch(), handle.changes());
        surface.presence = Some(Presence::new(&settings.node_id, &process.instance, epoch, changes, &drain));
    }
    let router = surface.into_router();
    if let (Some(Tls::Given(_)), Some(tls)) = (&settings.tls, &tls) {
        tasks.spawn(TaskKind::Certificates, certificates::renew(Arc::clone(tls), drain.clone()));
    }
    let serving = http::serve(listener, tls, router, limits, drain.clone());
    tasks.spawn(TaskKind::Port, async move {
        serving.await;
        Ok(())
    });
    tracing::info!(address = %settings.advertise, node = %settings.node_id, sign_in = settings.sign_in, "listening");
    if let (Some(Tls::SelfMade(made)), Some(tokens)) = (&settings.tls, &tokens_of_dev) {
        println!("{}", made.how_to_call(&settings.advertise, tokens));
    }

    let agent = settings
        .embedded_agent
        .as_deref()
        .map(|folder| embedded_agent(folder, &settings, tokens_of_dev.as_ref()))
        .transpose()?;
    let ended = supervise(&mut tasks, &mut signals, agent).await;
    tracing::info!("stopping; another signal stops at once");
    tokio::select! {
        biased;
        () = signals.next() => bail!("stopped at once"),
        ended = tokio::time::timeout(STOP, end(tasks, &stop)) => {
            ended.map_err(|_| anyhow!("not everything ended within {} s", STOP.as_secs()))?;
        }
    }
    ended
}

/// Goes on until a signal comes (the embedded agent is stopped then) or a task ends by itself.
async fn supervise(tasks: &mut Tasks, signals: &mut Signals, agent: Option<Running>) -> Result<()> {
    let Some(mut agent) = agent else {
        return tokio::select! {
            biased;
            () = signals.next() => Ok(()),
            ended = tasks.next_end() => Err(failed(ended)),
        };
    };
    tokio::select! {
        biased;
        () = signals.next() => {
            tracing::info!("stopping: the embedded agent's tasks are killed");
            agent.stop();
            if tokio::time::timeout(AGENT_STOP, agent.ended()).await.is_err() {
                tracing::warn!("the embedded agent has not left in time");
            }
            Ok(())
        }
        ended = tasks.next_end() => Err(failed(ended)),
        ended = agent.ended() => {
            let why = ended.err().map_or_else(|| "it left".to_owned(), |error| error.to_string());
            Err(anyhow!("{} ended: {why}", TaskKind::EmbeddedAgent))
        }
    }
}

/// In order: the engine, which finishes what the ledger has been asked for and gives leadership up; then connections and
/// streams, so that somebody else leads before agents and clients have to go elsewhere.
async fn end(mut tasks: Tasks, stop: &CancellationToken) {
    stop.cancel();
    while let Some((kind, ended)) = tasks.next_end().await {
        if let Err(why) = ended {
            tracing::error!(task = %kind, %why, "ended badly");
        }
    }
}

fn failed(ended: Option<(TaskKind, Result<(), String>)>) -> anyhow::Error {
    match ended {
        Some((kind, Err(why))) => anyhow!("{kind} ended: {why}"),
        Some((kind, Ok(()))) => anyhow!("{kind} ended, and nobody asked it to"),
        None => anyhow!("nothing runs"),
    }
}

/// Goes on until it is told to stop.
async fn until(stop: CancellationToken, task: impl Future<Output = ()>) -> Result<(), String> {
    stop.run_until_cancelled(task).await;
    Ok(())
}

/// However it ends, connections and streams follow.
async fn lead(engine: Loop, stop: CancellationToken, _drain: DropGuard) -> Result<(), String> {
    match engine.run(stop).await {
        Stopped::Asked => Ok(()),
        Stopped::Deposed(why) => Err(why),
    }
}

fn bind(settings: &Settings) -> Result<TcpListener> {
    let address = settings.listen;
    listen(address).with_context(|| {
        format!("cannot listen on {address}: is another program there? choose another with --listen ADDRESS:PORT")
    })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Or a restart would wait for the connections of the one before to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn engine_config(settings: &Settings, coordinator: &dyn Coordinator) -> Config {
    Config {
        node: NodeId(settings.node_id.clone()),
        agent_ttl: settings.agent_ttl,
        lease: coordinator.lease(),
        min_every: settings.min_every,
        idle_locks: settings.cluster.as_ref().map_or_else(IdleLocks::default, |cluster| cluster.idle_locks),
        ledger_clock: match settings.ledger {
            Ledger::Sqlite(_) => LedgerClock::ThisMachines,
            Ledger::Postgres(_) => LedgerClock::ItsOwn,
        },
        seed: uuid::Uuid::new_v4().as_u128(),
    }
}

/// The gRPC services, with reflection and health checks.
async fn grpc(settings: &Settings, service: Service, handle: &Handle, drain: &CancellationToken) -> Routes {
    let tls = settings.cluster.as_ref().map(|cluster| cluster.peers.clone()).unwrap_or_default();
    let leaders = Arc::new(Leaders::new(tls));
    let executor = Executor::new(&settings.node_id, leaders, handle.clone(), TaskTracker::new(), drain.clone());
    let services = api::services(Arc::new(service), drain).add_service(ExecutorServiceServer::new(executor));
    http::with_reflection(http::with_health(services).await)
}

fn surface(settings: &Settings, gate: Gate, grpc: Routes, handle: &Handle, metrics: Metrics) -> Surface {
    let ready = handle.clone();
    Surface {
        grpc,
        forward: None,
        presence: None,
        gate,
        strict_transport: settings.tls.is_some() && settings.names.is_some(),
        hosts: settings.names.as_ref().map_or(HostPolicy::Loopback, HostPolicy::names),
        ready: Arc::new(move || readiness(&ready)),
        metrics,
    }
}

fn readiness(handle: &Handle) -> Readiness {
    let glance = handle.glance();
    let is_known = matches!(*handle.whereabouts().borrow(), Whereabouts::There(_));
    if !glance.leading && !is_known {
        return Readiness::NotReady("no leader is known yet".to_owned());
    }
    if glance.ledger_fails {
        return Readiness::NotReady("the ledger does not answer".to_owned());
    }
    Readiness::Ready
}

/// The agent of `dev`: it connects like any other.
fn embedded_agent(folder: &Path, settings: &Settings, tokens: Option<&DevTokens>) -> Result<Running> {
    let mut agent = Agent::builder("embedded")
        .servers([settings.advertise.clone()])
        .tls(trusted(settings))
        .labels(BTreeMap::from([("embedded".to_owned(), "true".to_owned())]))
        .state_dir(folder);
    if let (Some(tokens), Some(Tls::SelfMade(made))) = (tokens, &settings.tls) {
        agent = agent.token_file(&tokens.agent).hidden([&tokens.admin, &made.files.key, &made.authority_key()]);
    }
    agent.build().context("the embedded agent")?.start().context("the embedded agent")
}

/// Whom the embedded agent trusts.
fn trusted(settings: &Settings) -> ClientFiles {
    match &settings.tls {
        Some(Tls::SelfMade(made)) => ClientFiles { ca: Some(made.ca.clone()), ..ClientFiles::default() },
        Some(Tls::Given(_)) | None => ClientFiles::default(),
    }
}

#[async_trait]
impl LeaderPort for Handle {
    async fn request(&self, request: Request) -> Result<Answer, Refusal> {
        Self::request(self, request).await
    }

    fn candidates(&self) -> Vec<Peer> {
        Self::candidates(self)
    }

    fn skew(&self) -> Option<Skew> {
        self.glance().skew
    }
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
