//! A node of one test: everything that a server has, but the socket.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use coordination::local::Local;
use ledger::sqlite::Sqlite;
use punctual_proto::v1::executor_service_server::ExecutorServiceServer;
use scheduler_core::engine::{Config, IdleLocks, LedgerClock};
use scheduler_core::ids::NodeId;
use scheduler_core::schedule::SHORTEST_EVERY;
use scheduler_server::access::{Gate, Proved, Rate, Refusals, SignIn};
use scheduler_server::http::{self, HostPolicy, Readiness, Surface};
use scheduler_server::leader::{Executor, Loop, Stopped};
use scheduler_server::peers::Leaders;
use scheduler_server::service::{Access, Node as Named, Service};
use scheduler_server::{api, clock};
use tempfile::TempDir;
use tls::ClientFiles;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct Node {
    pub(crate) router: Router,
    pub(crate) tokens: Arc<Proved>,
    /// What calls bring with them.
    pub(crate) bearer: Mutex<Option<String>>,
    stop: CancellationToken,
    engine: tokio::task::JoinHandle<Stopped>,
    folder: TempDir,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| Gate::open()).await
    }

    /// Where nobody is let in without a token.
    pub(crate) async fn start_signed_in() -> Self {
        Self::with(|tokens, _| {
            Gate::new(Some(SignIn::new(tokens, Arc::new(clock::now), Rate::ANY)), Refusals::nowhere())
        })
        .await
    }

    #[expect(clippy::disallowed_methods, reason = "the test waits for the task's end")]
    pub(crate) async fn with(gate: impl FnOnce(Arc<Proved>, Arc<Sqlite>) -> Gate) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.db");
        let lock = Local::lock(&file, "a test").unwrap();
        let ledger = Arc::new(Sqlite::open(&file, Arc::new(clock::wall)).await.unwrap());
        let id = NodeId::from("n1");
        let agent_ttl = Duration::from_secs(15);
        let config = Config {
            node: id.clone(),
            agent_ttl,
            lease: None,
            min_every: SHORTEST_EVERY,
            idle_locks: IdleLocks::default(),
            ledger_clock: LedgerClock::ThisMachines,
            seed: 7,
        };
        let feed = Arc::default();
        let (engine, handle) = Loop::new(config, Arc::clone(&ledger) as _, Arc::new(lock), Arc::clone(&feed));
        let stop = CancellationToken::new();
        let engine = tokio::spawn(engine.run(stop.clone()));
        let named =
            Named { id, address: "http://127.0.0.1:7117".to_owned(), start_time: clock::wall(), warnings: Vec::new() };
        let tokens = Arc::new(Proved::new(Arc::clone(&ledger) as _));
        let gate = gate(Arc::clone(&tokens), Arc::clone(&ledger));
        let access = Access { tokens: Arc::clone(&tokens) as _, audit: Arc::clone(&ledger) as _ };
        let service =
            Service::new(ledger, access, Arc::new(handle.clone()), feed, Arc::new(clock::wall), named, SHORTEST_EVERY);
        let drain = CancellationToken::new();
        let executor = Executor::new(
            "node",
            Arc::new(Leaders::new(ClientFiles::default())),
            handle,
            TaskTracker::new(),
            drain.clone(),
        );
        let services = api::services(Arc::new(service), &drain).add_service(ExecutorServiceServer::new(executor));
        let surface = Surface {
            strict_transport: false,
            grpc: http::with_reflection(services),
            gate,
            forward: None,
            presence: None,
            hosts: HostPolicy::Loopback,
            ready: Arc::new(|| Readiness::Ready),
            metrics: Arc::new(String::new),
        };
        Self { router: surface.into_router(), tokens, bearer: Mutex::default(), stop, engine, folder }
    }

    /// The file of its ledger.
    pub(crate) fn ledger(&self) -> std::path::PathBuf {
        Path::join(self.folder.path(), "ledger.db")
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        assert_eq!(self.engine.await.unwrap(), Stopped::Asked);
    }
}
